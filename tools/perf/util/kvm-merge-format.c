// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what a guest's kernel says of a tracepoint:
 *
 *	name: sched_wakeup
 *	ID: 374
 *	format:
 *		field:unsigned short common_type;	offset:0;	size:2;	signed:0;
 *		...
 *
 *	print fmt: "comm=%s pid=%d", REC->comm, REC->pid
 *
 * A reader of the merged file trusts all of it, and looks for fields where it says.
 * So nothing is copied that was not understood, and each sample has to have the
 * fields that its event announces.
 */
#include "kvm-merge-format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include "kvm-merge-format-print.h"
#include "strbuf.h"

#define MAX_FIELDS	128
#define MAX_DECL	120
#define MAX_RAW		65536

enum field_kind {
	FIELD_NUMBER,
	FIELD_POINTER,
	FIELD_CHARS,
	FIELD_ARRAY,
	FIELD_DYNAMIC,		/* the field tells where the data are */
	FIELD_RELATIVE,		/* the same, counted from its end */
};

struct kvm_merge_format_field {
	char		decl[MAX_DECL + 1];
	u8		name;		/* where in decl it begins, */
	u8		name_len;	/* and how long it is */
	u8		kind;
	bool		is_signed;
	bool		string;		/* what is dynamic is one */
	bool		common;
	u32		elements;	/* of an array, if its length is a plain number */
	u32		offset;
	u32		size;
};

struct text {
	const char	*pos;
	const char	*end;
};

static bool skip(struct text *text, const char *what)
{
	size_t len = strlen(what);

	if ((size_t)(text->end - text->pos) < len || memcmp(text->pos, what, len))
		return false;
	text->pos += len;
	return true;
}

static bool read_number(struct text *text, u32 *number)
{
	const char *start = text->pos;

	for (*number = 0; text->pos < text->end && isdigit(*text->pos); text->pos++) {
		*number = *number * 10 + (*text->pos - '0');
		if (*number > MAX_RAW)
			return false;
	}
	return text->pos > start;
}

static bool read_name(struct text *text, char *name)
{
	size_t len = 0;

	while (text->pos + len < text->end && kvm_merge_is_word(text->pos[len]))
		len++;
	if (!len || len > KVM_MERGE_FORMAT_NAME || isdigit(*text->pos))
		return false;
	memcpy(name, text->pos, len);
	name[len] = '\0';
	text->pos += len;
	return true;
}

/* Words with blanks and asterisks between them; the last word is the name. */
static bool split_decl(struct kvm_merge_format_field *field, size_t end)
{
	size_t start = end, words = 0;

	while (start && kvm_merge_is_word(field->decl[start - 1]))
		start--;
	if (start == end || isdigit(field->decl[start]))
		return false;
	field->name = start;
	field->name_len = end - start;
	for (size_t i = 0; i < start; i++) {
		if (!kvm_merge_is_word(field->decl[i]) && !strchr(" *", field->decl[i]))
			return false;
		words += kvm_merge_is_word(field->decl[i]);
	}
	return words;
}

static bool ends_with_char(const char *decl, size_t len)
{
	while (len && decl[len - 1] == ' ')
		len--;
	return len >= 4 && !memcmp(decl + len - 4, "char", 4) &&
	       (len == 4 || !kvm_merge_is_word(decl[len - 5]));
}

/* "__data_loc char[] name" */
static bool parse_dynamic(struct kvm_merge_format_field *field)
{
	char *brackets = strstr(field->decl, "[] ");
	bool good;

	/* "__data_loc cpumask_t mask" */
	if (!brackets)
		return field->size == sizeof(u32) && split_decl(field, strlen(field->decl));
	field->string = ends_with_char(field->decl, brackets - field->decl);
	memset(brackets, ' ', 2);
	good = split_decl(field, strlen(field->decl));
	memcpy(brackets, "[]", 2);
	return good && field->decl + field->name > brackets && field->size == sizeof(u32);
}

/* A reader divides the field's size by the length. */
static u32 count_elements(const struct kvm_merge_format_field *field, const char *bracket)
{
	struct text text = { bracket + 1, bracket + strlen(bracket) - 1 };
	u32 nr;

	if (!read_number(&text, &nr) || text.pos != text.end || bracket[1] == '0')
		return 0;
	return field->size % nr ? 0 : nr;
}

/* "char comm[16]" */
static bool parse_array(struct kvm_merge_format_field *field, char *bracket)
{
	size_t len = strlen(bracket);

	if (len < 3 || bracket[len - 1] != ']')
		return false;
	for (size_t i = 1; i < len - 1; i++) {
		if (!kvm_merge_is_word(bracket[i]))
			return false;
	}
	if (!split_decl(field, bracket - field->decl))
		return false;
	field->kind = ends_with_char(field->decl, field->name) ? FIELD_CHARS : FIELD_ARRAY;
	field->elements = count_elements(field, bracket);
	return true;
}

static bool parse_decl(struct kvm_merge_format_field *field)
{
	char *bracket = strchr(field->decl, '[');

	field->kind = FIELD_DYNAMIC;
	if (strstarts(field->decl, "__data_loc "))
		return parse_dynamic(field);
	field->kind = FIELD_RELATIVE;
	if (strstarts(field->decl, "__rel_loc "))
		return parse_dynamic(field);
	if (bracket)
		return parse_array(field, bracket);
	if (!split_decl(field, strlen(field->decl)))
		return false;
	field->kind = strchr(field->decl, '*') ? FIELD_POINTER : FIELD_NUMBER;
	if (field->size != 1 && field->size != 2 && field->size != 4 && field->size != 8)
		field->kind = FIELD_ARRAY;
	return true;
}

/* field:DECL; offset:N; size:N; signed:N; */
static bool parse_field(struct text *line, struct kvm_merge_format_field *field)
{
	const char *semicolon;
	u32 is_signed;
	size_t len;

	memset(field, 0, sizeof(*field));
	if (!skip(line, "\tfield:"))
		return false;
	semicolon = memchr(line->pos, ';', line->end - line->pos);
	len = semicolon ? semicolon - line->pos : 0;
	if (!len || len > MAX_DECL || memchr(line->pos, '\0', len))
		return false;
	memcpy(field->decl, line->pos, len);
	line->pos += len;
	if (!skip(line, ";\toffset:") || !read_number(line, &field->offset) ||
	    !skip(line, ";\tsize:") || !read_number(line, &field->size) ||
	    !skip(line, ";\tsigned:") || !read_number(line, &is_signed) || !skip(line, ";"))
		return false;
	field->is_signed = is_signed;
	return line->pos == line->end && field->size &&
	       field->offset + field->size <= MAX_RAW && parse_decl(field);
}

static const char *field_name(const struct kvm_merge_format_field *field)
{
	return field->decl + field->name;
}

static bool is_called(const struct kvm_merge_format_field *field, const char *name, size_t len)
{
	return field->name_len == len && !memcmp(field_name(field), name, len);
}

/* A reader finds the type of all records by the first format that it has. */
static bool check_type_field(const struct kvm_merge_format_field *field)
{
	return is_called(field, "common_type", strlen("common_type")) && !field->offset &&
	       field->size == sizeof(u16);
}

/* Up to where it ends, without the end of the line. */
static bool next_line(struct text *text, struct text *line)
{
	const char *end;

	if (text->pos == text->end)
		return false;
	end = memchr(text->pos, '\n', text->end - text->pos);
	line->pos = text->pos;
	line->end = end ?: text->end;
	text->pos = end ? end + 1 : text->end;
	return true;
}

/* What is printed asks for a field by its name. */
static bool is_new(const struct kvm_merge_format *format,
		   const struct kvm_merge_format_field *field)
{
	for (size_t i = 0; i < format->nr_fields; i++) {
		if (is_called(&format->fields[i], field_name(field), field->name_len))
			return false;
	}
	return true;
}

static int parse_fields(struct kvm_merge_format *format, struct text *text, struct text *line)
{
	bool common = true;

	while (next_line(text, line)) {
		struct kvm_merge_format_field *field = &format->fields[format->nr_fields];

		if (line->pos == line->end) {
			common = false;
			continue;
		}
		if (skip(line, "print fmt: "))
			return common || !format->nr_fields ? -EBADMSG : 0;
		if (format->nr_fields == MAX_FIELDS || !parse_field(line, field) ||
		    !is_new(format, field))
			return -EBADMSG;
		field->common = common;
		if (!format->nr_fields && !check_type_field(field))
			return -EBADMSG;
		format->size = max(format->size, field->offset + field->size);
		format->nr_fields++;
	}
	return -EBADMSG;
}

static bool has_field(const void *data, const char *name, size_t len, bool string,
		      unsigned int *elements)
{
	const struct kvm_merge_format *format = data;

	for (size_t i = 0; i < format->nr_fields; i++) {
		if (!is_called(&format->fields[i], name, len))
			continue;
		*elements = format->fields[i].elements;
		return !string || format->fields[i].string;
	}
	return false;
}

/* A string that is elsewhere in the guest's memory: a reader would look into the host's. */
static bool has_far_string(const struct kvm_merge_format *format)
{
	for (size_t i = 0; i < format->nr_fields; i++) {
		if (format->fields[i].kind == FIELD_POINTER &&
		    strstr(format->fields[i].decl, "char"))
			return true;
	}
	return false;
}

static int parse(struct kvm_merge_format *format, struct text *text)
{
	bool has_strings = false;
	struct text line;
	int err;

	if (!skip(text, "name: ") || !read_name(text, format->name) || !skip(text, "\nID: ") ||
	    !read_number(text, &format->id) || !skip(text, "\nformat:\n"))
		return -EBADMSG;
	err = parse_fields(format, text, &line);
	if (err)
		return err;
	format->print = kvm_merge_format_print__copy(line.pos, line.end - line.pos, has_field,
						     format, &has_strings);
	if (has_strings && has_far_string(format))
		zfree(&format->print);
	return 0;
}

/* -EBADMSG: it is not understood, or cannot be. */
int kvm_merge_format__parse(struct kvm_merge_format *format, const char *str, size_t len)
{
	struct text text = { str, str + len };
	int err;

	memset(format, 0, sizeof(*format));
	format->fields = calloc(MAX_FIELDS + 1, sizeof(*format->fields));
	if (!format->fields)
		return -ENOMEM;
	err = parse(format, &text);
	if (err)
		kvm_merge_format__exit(format);
	return err;
}

void kvm_merge_format__exit(struct kvm_merge_format *format)
{
	zfree(&format->fields);
	zfree(&format->print);
}

/* Offset and size of 16 bits each. A string is read up to its end, wherever that is. */
static bool dynamic_fits(const struct kvm_merge_format_field *field, const void *raw, size_t size)
{
	size_t offset, len;
	u32 loc;

	memcpy(&loc, raw + field->offset, sizeof(loc));
	offset = loc & 0xffff;
	len = loc >> 16;
	if (field->kind == FIELD_RELATIVE)
		offset += field->offset + field->size;
	if (offset > size || len > size - offset)
		return false;
	return !field->string || memchr(raw + offset, '\0', size - offset);
}

/* Whether a sample has all fields, and is of this tracepoint. */
bool kvm_merge_format__fits(const struct kvm_merge_format *format, const void *raw, size_t size)
{
	u16 type;

	if (size < format->size)
		return false;
	memcpy(&type, raw, sizeof(type));
	if (type != format->id)
		return false;
	for (size_t i = 0; i < format->nr_fields; i++) {
		const struct kvm_merge_format_field *field = &format->fields[i];

		if (field->kind >= FIELD_DYNAMIC && !dynamic_fits(field, raw, size))
			return false;
	}
	return true;
}

static const char *conversion(const struct kvm_merge_format_field *field)
{
	switch (field->kind) {
	case FIELD_NUMBER:
		if (field->size == sizeof(u64))
			return field->is_signed ? "%lld" : "%llu";
		return field->is_signed ? "%d" : "%u";
	case FIELD_POINTER:
		return "0x%llx";
	case FIELD_CHARS:
		return "%s";
	case FIELD_DYNAMIC:
	case FIELD_RELATIVE:
		return field->string ? "%s" : NULL;
	default:
		return NULL;
	}
}

/* All fields with their names. */
static int write_made_up_print(const struct kvm_merge_format *format, struct strbuf *sb)
{
	int err = strbuf_addstr(sb, "\"");
	const char *blank = "";

	for (size_t i = 0; !err && i < format->nr_fields; i++) {
		const struct kvm_merge_format_field *field = &format->fields[i];

		if (field->common || !conversion(field))
			continue;
		err = strbuf_addf(sb, "%s%.*s=%s", blank, field->name_len, field_name(field),
				  conversion(field));
		blank = " ";
	}
	err = err ?: strbuf_addstr(sb, "\"");
	for (size_t i = 0; !err && i < format->nr_fields; i++) {
		const struct kvm_merge_format_field *field = &format->fields[i];

		if (!field->common && conversion(field))
			err = strbuf_addf(sb, field->string ? ", __get_str(%.*s)" : ", REC->%.*s",
					  field->name_len, field_name(field));
	}
	return err ?: strbuf_addstr(sb, "\n");
}

static int write_fields(const struct kvm_merge_format *format, struct strbuf *sb, bool common)
{
	int err = 0;

	for (size_t i = 0; !err && i < format->nr_fields; i++) {
		const struct kvm_merge_format_field *field = &format->fields[i];

		if (field->common == common)
			err = strbuf_addf(sb, "\tfield:%s;\toffset:%u;\tsize:%u;\tsigned:%d;\n",
					  field->decl, field->offset, field->size,
					  field->is_signed);
	}
	return err ?: strbuf_addstr(sb, "\n");
}

int kvm_merge_format__write(const struct kvm_merge_format *format, struct strbuf *sb)
{
	int err = strbuf_addf(sb, "name: %s\nID: %u\nformat:\n", format->name, format->new_id) ?:
		  write_fields(format, sb, true) ?: write_fields(format, sb, false) ?:
		  strbuf_addstr(sb, "print fmt: ");

	if (err)
		return err;
	return format->print ? strbuf_addf(sb, "%s\n", format->print) :
			       write_made_up_print(format, sb);
}
