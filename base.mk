# SPDX-License-Identifier: GPL-2.0
# The base that the overlay and the patches are made for, and where to get it.

BASE_VERSION  := 6.12
BASE_PACKAGE  := linux-source-$(BASE_VERSION)

# Any other origin of the same series: a tarball, or a directory with sources.
LINUX_TARBALL ?= /usr/src/$(BASE_PACKAGE).tar.xz
LINUX_TREE    ?=
