# SPDX-License-Identifier: GPL-2.0
# pvperf: builds the base with our changes, and runs the lab. "make help" lists the targets.

include base.mk

JOBS    ?= $(shell nproc)
PYTHON  ?= /usr/bin/python3
ACCEL   ?= tcg
T       ?=
prefix  ?= /usr/local
DESTDIR ?=

# Each build below chooses its own number of jobs, whatever this make was given.
SUBMAKE := env -u MAKEFLAGS -u MFLAGS $(MAKE) --no-print-directory -j$(JOBS)
LOCKED  := scripts/with-lock
ORIGIN  := $(or $(LINUX_TREE),$(LINUX_TARBALL))

.DELETE_ON_ERROR:
.PHONY: help deps tree kernel perf install-perf lab shell-host shell-guest refresh clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

deps: ## install the packages that building and running need
	@scripts/install-deps $(BASE_PACKAGE)

tree: ## unpack the base, apply patches/ and copy the new files, into build/linux
	@$(LOCKED) tree scripts/update-tree $(BASE_VERSION) $(ORIGIN)

kernel: tree ## build the kernel of the lab's host and guest
	@$(LOCKED) kernel $(SUBMAKE) -f lab/kernel.mk

PERF_BUILD = $(SUBMAKE) -C build/linux/tools/perf O=$(CURDIR)/build/perf PYTHON=$(PYTHON) \
             CC="$(strip $(shell command -v ccache) gcc)" WERROR=1 prefix=$(prefix)

perf: tree ## build perf
	@mkdir -p build/perf
	@$(LOCKED) perf $(PERF_BUILD)

install-perf: perf ## install perf under DESTDIR/prefix
	@$(LOCKED) perf $(PERF_BUILD) DESTDIR=$(DESTDIR) install

LAB_PROGRAMS := $(addprefix build/lab/,init vm-exec)

lab: $(LAB_PROGRAMS)

build/lab/%: lab/agent/%.c lab/agent/frame.h
	@mkdir -p $(@D)
	gcc -O2 -Wall -Wextra -Werror -static -o $@ $<

# The image of guests that do not share the host VM's root: busybox, perf, and what perf links to.
build/lab/guest.cpio: scripts/guest-image $(LAB_PROGRAMS) $(wildcard build/perf/perf)
	scripts/guest-image $@

shell-host: kernel lab ## a shell in the host VM
	@lab/run-vm --accel $(ACCEL) --timeout 0 --tty bash

shell-guest: kernel lab ## a shell in a guest VM
	@lab/run-vm --accel $(ACCEL) --timeout 0 --tty --guest -- bash

refresh: tree ## rewrite patches/ from the commits in build/linux
	@$(LOCKED) tree scripts/refresh-patches

clean: ## remove everything that was built, and build/linux with it
	rm -rf build
