# SPDX-License-Identifier: GPL-2.0
# Builds one kernel from build/linux: allnoconfig plus the fragments in FRAGMENTS, into O.
# make kernel uses it for the lab's kernel, make check also for other configurations.

O         ?= build/kernel
FRAGMENTS ?= lab/kernel.config
TARGETS   ?= bzImage modules
SRC       ?= build/linux

# New symbols come with edited Kconfig files: those in git, and those of the overlay.
KCONFIGS := $(addprefix $(SRC)/,$(shell git -C $(SRC) ls-files -- '*Kconfig*' 2>/dev/null)) \
            $(wildcard $(SRC)/arch/x86/events/Kconfig $(SRC)/arch/x86/kvm/Kconfig)

# ccache only helps when nothing in a command line depends on time or place.
CCACHE := $(shell command -v ccache 2>/dev/null)
export CCACHE_BASEDIR := $(CURDIR)
KBUILD = $(MAKE) --no-print-directory -C $(SRC) O=$(abspath $(O)) CC="$(strip $(CCACHE) gcc)" \
         HOSTCC="$(strip $(CCACHE) gcc)" LOCALVERSION= KBUILD_BUILD_TIMESTAMP='1970-01-01' \
         KBUILD_BUILD_VERSION=1 KBUILD_BUILD_USER=pvperf KBUILD_BUILD_HOST=lab PYTHON3=/usr/bin/python3

.PHONY: build
build: $(O)/.config
	+$(KBUILD) $(TARGETS)

$(O)/.config: $(FRAGMENTS) $(KCONFIGS)
	mkdir -p $(O)
	cd $(SRC) && MAKEFLAGS= scripts/kconfig/merge_config.sh -n -O $(abspath $(O)) $(abspath $(FRAGMENTS))
	touch $@
