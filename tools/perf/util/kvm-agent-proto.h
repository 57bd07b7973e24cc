/* SPDX-License-Identifier: GPL-2.0 */
/* What goes over the wire, see Documentation/perf-kvm-agent-protocol.txt. */
#ifndef __PERF_KVM_AGENT_PROTO_H
#define __PERF_KVM_AGENT_PROTO_H

#include <linux/types.h>

#define KVM_AGENT_MAGIC		0x47415650
#define KVM_AGENT_VERSION_MIN	1
#define KVM_AGENT_VERSION_MAX	1
#define KVM_AGENT_PORT		4242

#define KVM_FRAME_FIXED_MAX	4096
#define KVM_FRAME_TEXT_MAX	8192
#define KVM_FRAME_DATA_MAX	65536

#define KVM_AGENT_MAX_OPTIONS	64

#define KVM_AGENT_BUILD_ID_MIN	16
#define KVM_AGENT_BUILD_ID_MAX	20

/* Whole seconds; the others are the policy's. */
#define KVM_AGENT_HELLO_TIMEOUT	10
#define KVM_AGENT_FRAME_TIMEOUT	10

struct kvm_frame_hdr {
	__le32	size;
	__le16	type;
	__le16	fixed;
	__le32	id;
	__le32	reserved;
};

struct kvm_frame_none {
};

struct kvm_frame_hello {
	__le32	magic;
	__le16	min;
	__le16	max;
};

struct kvm_frame_welcome {
	__le32	magic;
	__le16	version;
	__le16	reserved;
};

struct kvm_frame_error {
	__le32	code;
	__le32	fatal;
};

struct kvm_frame_probe {
	__le32	clock;
	__le32	reserved;
};

struct kvm_frame_probe_reply {
	__le32	clock;
	__le32	reserved;
	__le64	time;
};

struct kvm_frame_start {
	__le32	flags;
	__le32	reserved;
};

/* In START: CLOCK is wanted. */
#define KVM_START_CLOCK		1

/* How the guest's perf clock relates to its host's. */
struct kvm_frame_clock {
	__le64	until;
	__le64	time;
	__le64	epoch;
	__le64	generation;
	__le64	offset;
	__le32	flags;
	__le32	reserved;
};

#define KVM_CLOCK_RELATED	1
#define KVM_CLOCK_LAST		2

struct kvm_frame_data {
	__le64	offset;
};

struct kvm_frame_summary {
	__le64	bytes;
	__le64	sent;
	__le64	reserved[4];
	__le32	status;
	__le32	flags;
};

#define KVM_SUMMARY_KILLED	2

/* By the host, in all recordings of the session. Older hosts send an empty one. */
struct kvm_frame_bye {
	__le64	samples;
	__le64	lost;
};

struct kvm_frame_get_file {
	__le32	kind;
	__le32	pid;
	__le64	max;
	__le32	build_id_size;
	__u8	build_id[KVM_AGENT_BUILD_ID_MAX];
};

struct kvm_frame_file {
	__le64	size;
	__le32	build_id_size;
	__u8	build_id[KVM_AGENT_BUILD_ID_MAX];
};

enum kvm_frame_type {
	KVM_FRAME_HELLO	= 1,
	KVM_FRAME_WELCOME	= 2,
	KVM_FRAME_ERROR	= 3,
	KVM_FRAME_GET_CAPS	= 4,
	KVM_FRAME_CAPS		= 5,
	KVM_FRAME_PROBE	= 6,
	KVM_FRAME_PROBE_REPLY	= 7,
	KVM_FRAME_START	= 8,
	KVM_FRAME_STARTED	= 9,
	KVM_FRAME_DATA		= 10,
	KVM_FRAME_STOP		= 11,
	KVM_FRAME_SUMMARY	= 12,
	KVM_FRAME_BYE		= 13,
	KVM_FRAME_GET_FILE	= 14,
	KVM_FRAME_FILE		= 15,
	KVM_FRAME_CLOCK		= 16,
};

enum kvm_frame_from {
	KVM_FRAME_FROM_HOST,
	KVM_FRAME_FROM_AGENT,
};

enum kvm_agent_error_code {
	KVM_AGENT_E_VERSION	= 1,
	KVM_AGENT_E_PROTOCOL	= 2,
	KVM_AGENT_E_ORDER	= 3,
	KVM_AGENT_E_PEER	= 4,
	KVM_AGENT_E_REFUSED	= 5,
	KVM_AGENT_E_FAILED	= 6,
	KVM_AGENT_E_TIMEOUT	= 7,
	KVM_AGENT_E_BUSY	= 8,
};

enum kvm_agent_clock {
	KVM_AGENT_CLOCK_PERF,
	KVM_AGENT_CLOCK_MONOTONIC,
	KVM_AGENT_CLOCK_RAW,
	KVM_AGENT_CLOCK_BOOTTIME,
	KVM_AGENT_CLOCK_REALTIME,
	KVM_AGENT_NR_CLOCKS,
};

enum kvm_agent_file_kind {
	KVM_AGENT_FILE_KALLSYMS,
	KVM_AGENT_FILE_MODULES,
	KVM_AGENT_FILE_BUILD_IDS,
	KVM_AGENT_FILE_PATH,
	KVM_AGENT_FILE_VDSO,
	KVM_AGENT_FILE_ID,
	KVM_AGENT_NR_FILE_KINDS,
};

#endif /* __PERF_KVM_AGENT_PROTO_H */
