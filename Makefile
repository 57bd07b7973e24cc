# SPDX-License-Identifier: GPL-2.0
# pvperf: builds the base with our changes, and runs the lab. "make help" lists the targets.

include base.mk

JOBS    ?= $(shell nproc)
PYTHON  ?= /usr/bin/python3
ACCEL   ?= tcg
T       ?=
prefix  ?= /usr/local
DESTDIR ?=
# Where systemd and users look for it, but not outside of a prefix of one's own.
sysconfdir ?= $(if $(filter /usr /usr/local,$(prefix)),/etc,$(prefix)/etc)

# Each build below chooses its own number of jobs, whatever this make was given.
SUBMAKE := env -u MAKEFLAGS -u MFLAGS $(MAKE) --no-print-directory -j$(JOBS)
LOCKED  := scripts/with-lock
ORIGIN  := $(or $(LINUX_TREE),$(LINUX_TARBALL))

# No rule but those below: make would link build/perf/perf by itself.
.SUFFIXES:

.DELETE_ON_ERROR:
.PHONY: help deps tree kernel perf install-perf selftests lab lab-image lab-modules shell-host shell-guest demo check check-qemu \
        check-stock check-debug bench qemu base-perf guest-kernel stock-selftests stock-kernel compare-stock series refresh lint \
        unit-tests perf-tests variants sparse hook-budget clock-check fuzz clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

deps: ## install the packages that building and running need
	@scripts/install-deps $(BASE_PACKAGE)

tree: ## unpack the base, apply patches/ and copy the new files, into build/linux
	@$(LOCKED) tree scripts/update-tree $(BASE_VERSION) $(ORIGIN)

kernel: tree ## build the kernel of the lab's host and guest
	@$(LOCKED) kernel scripts/cold-build kernel build/kernel $(SUBMAKE) -f lab/kernel.mk

# Libraries that the lab has no use for: some are so large that loading them
# takes perf in a guest under TCG longer than its work.
PERF_WITHOUT := BUILD_BPF_SKEL=0 NO_JVMTI=1 NO_LIBLLVM=1 NO_LIBPERL=1 NO_LIBBABELTRACE=1
PERF_OPTIONS = PYTHON=$(PYTHON) $(PERF_WITHOUT) CC="$(strip $(shell command -v ccache) gcc)" prefix=$(prefix)
PERF_BUILD   = $(SUBMAKE) -C build/linux/tools/perf O=$(CURDIR)/build/perf $(PERF_OPTIONS)

perf: tree ## build perf
	@mkdir -p build/perf
	@$(LOCKED) perf scripts/cold-build perf build/perf $(PERF_BUILD)

# asciidoc runs the first python3 of the PATH, and only Debian's has it as a module.
install-perf: perf ## install perf, its man pages and the agent's unit and policy under DESTDIR/prefix
	@$(LOCKED) perf env PATH="/usr/bin:$$PATH" $(PERF_BUILD) DESTDIR=$(DESTDIR) install
	@DESTDIR=$(DESTDIR) scripts/install-agent $(prefix) $(sysconfdir)

# The unpatched perf: what it makes of a merged recording, and of its own tests.
base-perf: ## build the unpatched perf, to compare with
	@$(LOCKED) base-perf $(MAKE) --no-print-directory build/base-perf/perf

build/base-perf/perf:
	scripts/base-tree build/base-tools perf
	@mkdir -p build/base-perf
	$(SUBMAKE) -C build/base-tools/tools/perf O=$(CURDIR)/build/base-perf $(PERF_OPTIONS)

# perf's own tests: ours must pass whatever the unpatched perf passes here. What
# that one gave is kept in the record, so it is run only once.
PERF_TESTS_RECORD = build/perf-tests-of-base.json

$(PERF_TESTS_RECORD): build/base-perf/perf
	scripts/record-perf-tests build/base-perf/perf build/base-tools/tools/perf $@

perf-tests: perf
	@$(LOCKED) base-perf $(MAKE) --no-print-directory $(PERF_TESTS_RECORD)
	scripts/record-perf-tests build/perf/perf build/linux/tools/perf build/perf-tests.json
	scripts/compare-perf-tests $(PERF_TESTS_RECORD) build/perf-tests.json \
		build/base-perf/perf build/base-tools/tools/perf build/perf/perf build/linux/tools/perf

# The base's own tests that our changes must not break, and ours.
SELFTESTS = x86_64/kvm_pv_test x86_64/state_test steal_time x86_64/kvm_clock_test kvm_binary_stats_test \
            $(patsubst tools/testing/selftests/kvm/%.c,%,$(wildcard tools/testing/selftests/kvm/x86_64/*_test.c))

selftests: tree ## build the KVM selftests that the lab runs
	@$(LOCKED) selftests scripts/build-selftests build/selftests $(JOBS) $(SELFTESTS)

# What boots and drives the VMs, and what the tests run in them. Static, so that
# a guest with an image of its own can run it too.
LAB_PROGRAMS  := $(addprefix build/lab/,init vm-exec tsc-khz)
TEST_PROGRAMS := $(patsubst lab/progs/%.c,build/lab/%,$(wildcard lab/progs/*.c))
COMPILE = @mkdir -p $(@D) && echo "  CC      $@" && gcc -O2 -Wall -Wextra -Werror -static -o $@ $<

# A program that only the guests with an image of their own have: the host knows neither its path nor its functions.
build/lab/image/own-chain: lab/progs/call-chain.c
	$(COMPILE) -Dchain_inner=own_inner -Dchain_middle=own_middle -Dchain_outer=own_outer -Wl,--build-id=sha1

lab: $(LAB_PROGRAMS) $(TEST_PROGRAMS) build/lab/clock-read

# The kernel's own lines that read the perf clock, ours and the base's, in one program.
build/lab/clock-read: lab/clock/clock-read.c lab/clock/kernel.h scripts/native-clock arch/x86/kvm/perf_clock_scale.h \
		arch/x86/include/asm/kvm_perf_clock_read.h arch/x86/include/uapi/asm/kvm_perf_clock.h | tree
	@mkdir -p $(@D) && echo "  CC      $@"
	@scripts/native-clock build/linux >build/lab/native-clock.h
	@gcc -O2 -Wall -Wextra -Werror -Wno-unused-function -Wno-sign-compare -Iarch/x86/include -Ibuild/lab -o $@ $<

clock-check: build/lab/clock-read
	build/lab/clock-read check

build/lab/%: lab/agent/%.c lab/agent/frame.h
	$(COMPILE)

build/lab/%: lab/progs/%.c
	$(COMPILE)

lab-image: lab lab-modules build/lab/guest.cpio

# For what a test cannot have happen otherwise.
lab-modules:
	@mkdir -p build/lab/modules && cp -u lab/modules/* build/lab/modules/
	@$(LOCKED) kernel $(SUBMAKE) -f lab/kernel.mk TARGETS="M=$(CURDIR)/build/lab/modules modules"

# The kernel of a guest that has nothing of its host's: the same, with another build id. Objects are made again when
# objtool is newer; the copy's is built anew, as its paths are others.
GUEST_KERNEL = $(SUBMAKE) -f lab/kernel.mk O=build/kernel-guest FRAGMENTS="lab/kernel.config lab/guest-kernel.config"

guest-kernel: kernel
	@$(LOCKED) guest-kernel scripts/copy-build build/kernel build/kernel-guest $(GUEST_KERNEL) TARGETS=prepare
	@$(LOCKED) guest-kernel $(GUEST_KERNEL) TARGETS=bzImage

build/perf/perf:
	@$(MAKE) --no-print-directory perf

build/lab/guest.cpio: scripts/guest-image build/lab/init $(TEST_PROGRAMS) build/lab/image/own-chain build/perf/perf
	scripts/guest-image $@ $(TEST_PROGRAMS) build/lab/image/own-chain

shell-host: kernel lab ## a shell in the host VM
	@lab/run-vm --accel $(ACCEL) --timeout 0 --tty bash

shell-guest: kernel lab ## a shell in a guest VM
	@lab/run-vm --accel $(ACCEL) --timeout 0 --tty --guest -- bash

demo: deps ## build everything, boot host and guest, and show what pvperf does
	@$(PYTHON) lab/steps demo --accel $(ACCEL)

check: deps ## build and test everything; T=name runs one test or group
	@$(PYTHON) lab/steps check --accel $(ACCEL) $(T)

check-qemu: deps ## build QEMU with contrib/qemu and test live migration with it
	@$(PYTHON) lab/steps check-qemu --accel $(ACCEL)

check-stock: deps ## run the KVM selftests of the base on the unpatched kernel and on ours, and compare
	@$(PYTHON) lab/steps check-stock --accel $(ACCEL)

check-debug: deps ## test under host kernels with lockdep, KASAN, KCSAN and KVM as modules; T=name runs one
	@$(PYTHON) lab/steps check-debug --accel $(ACCEL) $(T)

bench: deps ## measure; the results stay in build/bench.txt
	@$(PYTHON) lab/steps bench --accel $(ACCEL)

series: tree ## make the three patch sets for the unchanged base; BUILD=1 builds each commit
	@$(LOCKED) tree scripts/make-series $(if $(BUILD),--build)

FUZZ_SECONDS ?= 3600

fuzz: perf ## fuzz what reads a guest's bytes for FUZZ_SECONDS, of default an hour
	@$(LOCKED) fuzz scripts/build-fuzz build/perf build/fuzz
	@$(LOCKED) fuzz lab/run-fuzz --seconds $(FUZZ_SECONDS)

refresh: tree ## rewrite patches/ from the commits in build/linux
	@$(LOCKED) tree scripts/refresh-patches

# What make check does besides.

SHELL_SCRIPTS = $(shell grep -lE '^\#!/bin/(sh|bash)|shellcheck shell' -r scripts lab .ci --exclude=Makefile)

lint:
	shellcheck -x $(SHELL_SCRIPTS)

unit-tests: lab
	PYTHONPATH=lab:scripts $(PYTHON) -B -m unittest discover -s lab/unit

VARIANT = $(SUBMAKE) -f lab/kernel.mk TARGETS="arch/x86/kvm/ arch/x86/events/ arch/x86/kernel/kvm.o kernel/events/"
OFF     = FRAGMENTS="lab/kernel.config lab/features-off.config"
# What of the series is no part of a feature, and there without any.
FIXES   = $(wildcard patches/kvm/*-Forget-PV-features-*.patch)

variants: tree
	@$(LOCKED) module $(VARIANT) O=build/kernel-module FRAGMENTS="lab/kernel.config lab/kvm-module.config"
	$(PYTHON) scripts/check-exports build/kernel-module build/kernel
	$(PYTHON) scripts/check-hooks-off build/kernel-module
	@$(LOCKED) off $(VARIANT) $(OFF) O=build/kernel-off
	@$(LOCKED) base-off scripts/base-tree build/base-off all $(FIXES)
	@$(LOCKED) base-off $(VARIANT) $(OFF) O=build/kernel-base-off SRC=build/base-off
	$(PYTHON) scripts/check-config-off build/kernel-base-off build/kernel-off

# Debian's QEMU, with contrib/qemu.
qemu:
	@$(LOCKED) qemu scripts/build-qemu build/qemu $(JOBS)

# The unpatched kernel and the base's own selftests, for make check-stock.
KVM_TESTS = build/linux/tools/testing/selftests/kvm/Makefile
STOCK     = $(filter-out x86_64/pvpmu% x86_64/perf_clock%,$(shell sed -n 's/^TEST_GEN_PROGS_x86_64 += //p' $(KVM_TESTS)))

stock-selftests: tree
	@$(LOCKED) selftests scripts/build-selftests build/selftests $(JOBS) $(STOCK)
	@printf '%s\n' $(STOCK) >build/selftests/stock-list

stock-kernel: tree
	@$(LOCKED) stock scripts/base-tree build/base-linux all
	@$(LOCKED) stock $(SUBMAKE) -f lab/kernel.mk TARGETS=bzImage SRC=build/base-linux O=build/kernel-stock

compare-stock:
	scripts/compare-stock build/logs/stock-unpatched.txt build/logs/stock-ours.txt $(ACCEL) \
		build/kernel-stock/arch/x86/boot/bzImage build/kernel/arch/x86/boot/bzImage

# Kernels that watch themselves, for make check-debug, and one that has KVM as modules.
kernel-%: lab/debug-%.config tree
	@$(LOCKED) kernel-$* $(SUBMAKE) -f lab/kernel.mk TARGETS=bzImage O=build/kernel-$* \
		FRAGMENTS="lab/kernel.config lab/debug-$*.config"

kernel-module: tree
	@$(LOCKED) module $(SUBMAKE) -f lab/kernel.mk O=build/kernel-module FRAGMENTS="lab/kernel.config lab/kvm-module.config"

sparse: kernel
	@$(LOCKED) kernel scripts/run-sparse build/kernel

hook-budget: tree
	@scripts/hook-budget

clean: ## remove everything that was built, and build/linux with it
	rm -rf build
