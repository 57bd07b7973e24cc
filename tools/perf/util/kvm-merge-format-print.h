/* SPDX-License-Identifier: GPL-2.0 */
/* The line "print fmt:" of a tracepoint's format. */
#ifndef __PERF_KVM_MERGE_FORMAT_PRINT_H
#define __PERF_KVM_MERGE_FORMAT_PRINT_H

#include <stdbool.h>
#include <stddef.h>

/* Of a name in C; ctype has letters of Latin-1 as well. */
static inline bool kvm_merge_is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/*
 * Whether there is a field of this name, and it is a string behind the fixed part if
 * that is asked for; and how many elements it has that can be indexed.
 */
typedef bool (*kvm_merge_has_field_t)(const void *data, const char *name, size_t len, bool string,
				      unsigned int *elements);

char *kvm_merge_format_print__copy(const char *text, size_t len, kvm_merge_has_field_t has_field,
				   const void *data, bool *has_strings);

#endif /* __PERF_KVM_MERGE_FORMAT_PRINT_H */
