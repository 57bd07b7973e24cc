// SPDX-License-Identifier: GPL-2.0
/*
 * Judges what a guest's tracepoint wants to have printed. It is an expression of C,
 * which libtraceevent reads and computes in the process of whoever looks at the
 * merged file: with functions that read as many bytes as they are told, indexes,
 * and divisions. Only what can do no harm is taken: plain conversions, and
 * arguments of fields, numbers, operators and tables of names.
 */
#include "kvm-merge-format-print.h"

#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>

#define MAX_SIZE	(32 * 1024)
/* libtraceevent calls itself for each level, and for each operator in a row. */
#define MAX_DEPTH	32
#define MAX_OPERATORS	128

struct lexer {
	const char		*pos;
	const char		*end;
	char			*out;	/* what is taken, with room for all */
	unsigned int		depth;
	unsigned int		operators;
	bool			has_strings;
	kvm_merge_has_field_t	has_field;
	const void		*data;
};

static void skip_blanks(struct lexer *lex)
{
	while (lex->pos < lex->end && (*lex->pos == ' ' || *lex->pos == '\t'))
		*lex->out++ = *lex->pos++;
}

static bool next_is(const struct lexer *lex, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(lex->end - lex->pos) >= len && !memcmp(lex->pos, text, len);
}

static bool take(struct lexer *lex, const char *text)
{
	size_t len = strlen(text);

	if (!next_is(lex, text))
		return false;
	memcpy(lex->out, text, len);
	lex->out += len;
	lex->pos += len;
	return true;
}

static size_t word_length(const struct lexer *lex)
{
	size_t len = 0;

	while (lex->pos + len < lex->end && kvm_merge_is_word(lex->pos[len]))
		len++;
	return len;
}

static void take_bytes(struct lexer *lex, size_t len)
{
	memcpy(lex->out, lex->pos, len);
	lex->out += len;
	lex->pos += len;
}

static void take_chars(struct lexer *lex, const char *set, unsigned int max)
{
	for (; max && lex->pos < lex->end && *lex->pos && strchr(set, *lex->pos); max--)
		*lex->out++ = *lex->pos++;
}

/* Behind the %. An address is not looked up in the host's symbols: it is the guest's. */
static bool take_conversion(struct lexer *lex)
{
	if (take(lex, "%"))
		return true;
	take_chars(lex, "-+ #0", 4);
	take_chars(lex, "0123456789", 2);
	if (take(lex, "."))
		take_chars(lex, "0123456789", 2);
	take_chars(lex, "hlLz", 2);
	if (take(lex, "p")) {
		if (lex->pos < lex->end && strchr("SsFfB", *lex->pos))
			lex->pos++;
		return lex->pos == lex->end || !kvm_merge_is_word(*lex->pos);
	}
	if (lex->pos == lex->end || !*lex->pos || !strchr("diuxXocs", *lex->pos))
		return false;
	lex->has_strings |= *lex->pos == 's';
	*lex->out++ = *lex->pos++;
	return true;
}

static bool take_string(struct lexer *lex)
{
	if (!take(lex, "\""))
		return false;
	while (lex->pos < lex->end) {
		if (take(lex, "\""))
			return true;
		if (*lex->pos < ' ' || *lex->pos > '~')
			return false;
		if (take(lex, "\\")) {
			if (lex->pos == lex->end || !*lex->pos || !strchr("\"\\nt", *lex->pos))
				return false;
			*lex->out++ = *lex->pos++;
		} else if (take(lex, "%")) {
			if (!take_conversion(lex))
				return false;
		} else {
			*lex->out++ = *lex->pos++;
		}
	}
	return false;
}

/* Digits that are no more than this allows. */
static bool take_index(struct lexer *lex, unsigned int elements)
{
	unsigned long index = 0;
	const char *start = lex->pos;

	while (lex->pos < lex->end && *lex->pos >= '0' && *lex->pos <= '9' && index < elements) {
		index = index * 10 + (*lex->pos - '0');
		*lex->out++ = *lex->pos++;
	}
	return lex->pos > start && index < elements && take(lex, "]");
}

static bool take_field(struct lexer *lex, bool string)
{
	unsigned int elements;
	size_t len;

	skip_blanks(lex);
	len = word_length(lex);
	if (!len || !lex->has_field(lex->data, lex->pos, len, string, &elements))
		return false;
	take_bytes(lex, len);
	skip_blanks(lex);
	return take(lex, "[") ? take_index(lex, elements) : true;
}

static bool is_table(const char *word, size_t len)
{
	return (len == strlen("__print_flags") && !memcmp(word, "__print_flags", len)) ||
	       (len == strlen("__print_symbolic") && !memcmp(word, "__print_symbolic", len));
}

/* Numbers, casts, and functions that are known to read no more than a field. */
static bool take_word(struct lexer *lex)
{
	const char *word = lex->pos;
	size_t len = word_length(lex);

	take_bytes(lex, len);
	skip_blanks(lex);
	if (len == 3 && !memcmp(word, "REC", len))
		return take(lex, "->") && take_field(lex, false);
	if (len == strlen("__get_str") && !memcmp(word, "__get_str", len))
		return take(lex, "(") && take_field(lex, true) && take(lex, ")");
	return !next_is(lex, "(") || is_table(word, len);
}

/* A divisor is a number, and not zero. */
static bool take_division(struct lexer *lex)
{
	*lex->out++ = *lex->pos++;
	skip_blanks(lex);
	return lex->pos < lex->end && *lex->pos >= '1' && *lex->pos <= '9';
}

static bool take_operator(struct lexer *lex)
{
	char c = *lex->pos;

	if (c == '/')
		return ++lex->operators <= MAX_OPERATORS && take_division(lex);
	if (!c || !strchr("(){},+-*&|^~!<>=?:", c))
		return false;
	if (c == '(' || c == '{')
		lex->depth++;
	if ((c == ')' || c == '}') && !lex->depth--)
		return false;
	if (c == ',')
		lex->operators = 0;
	else if (!strchr("(){}", c))
		lex->operators++;
	*lex->out++ = c;
	lex->pos++;
	return lex->depth <= MAX_DEPTH && lex->operators <= MAX_OPERATORS;
}

static bool take_all(struct lexer *lex)
{
	if (!take_string(lex))
		return false;
	for (skip_blanks(lex); lex->pos < lex->end; skip_blanks(lex)) {
		bool good;

		if (*lex->pos == '"')
			good = take_string(lex);
		else if (kvm_merge_is_word(*lex->pos))
			good = take_word(lex);
		else
			good = take_operator(lex);
		if (!good)
			return false;
	}
	return !lex->depth;
}

/* NULL: it is not taken, or there is no memory. */
char *kvm_merge_format_print__copy(const char *text, size_t len, kvm_merge_has_field_t has_field,
				   const void *data, bool *has_strings)
{
	struct lexer lex = {
		.pos		= text,
		.end		= text + len,
		.has_field	= has_field,
		.data		= data,
	};
	char *copy = len <= MAX_SIZE ? malloc(len + 1) : NULL;

	if (!copy)
		return NULL;
	lex.out = copy;
	if (!take_all(&lex)) {
		free(copy);
		return NULL;
	}
	*lex.out = '\0';
	*has_strings = lex.has_strings;
	return copy;
}
