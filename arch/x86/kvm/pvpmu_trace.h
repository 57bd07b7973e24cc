/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the paravirtual PMU.
 */
#if !defined(_TRACE_KVM_PVPMU_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_PVPMU_H

#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm_pvpmu

/* A register was written, by the guest or by user space. */
TRACE_EVENT(kvm_pvpmu_write,
	TP_PROTO(unsigned int vcpu_id, u32 msr, u64 value, bool host),
	TP_ARGS(vcpu_id, msr, value, host),

	TP_STRUCT__entry(
		__field(unsigned int,	vcpu_id)
		__field(u32,		msr)
		__field(u64,		value)
		__field(bool,		host)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->msr = msr;
		__entry->value = value;
		__entry->host = host;
	),

	TP_printk("vcpu %u msr 0x%x value 0x%llx%s", __entry->vcpu_id,
		  __entry->msr, __entry->value,
		  __entry->host ? " (host)" : "")
);

/* A counter was started; error is 0 when something counts for it. */
TRACE_EVENT(kvm_pvpmu_counter,
	TP_PROTO(unsigned int vcpu_id, unsigned int idx, u64 evtsel, int error),
	TP_ARGS(vcpu_id, idx, evtsel, error),

	TP_STRUCT__entry(
		__field(unsigned int,	vcpu_id)
		__field(unsigned int,	idx)
		__field(u64,		evtsel)
		__field(int,		error)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->idx = idx;
		__entry->evtsel = evtsel;
		__entry->error = error;
	),

	TP_printk("vcpu %u counter %u evtsel 0x%llx error %d", __entry->vcpu_id,
		  __entry->idx, __entry->evtsel, __entry->error)
);

#endif /* _TRACE_KVM_PVPMU_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/x86/kvm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE pvpmu_trace

/* This part must be outside protection. */
#include <trace/define_trace.h>
