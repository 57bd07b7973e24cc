/* SPDX-License-Identifier: GPL-2.0 */
/* What the driver and the targets have to know of each other. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
	const char	*name;
	/* Reads a file whose first bytes are to be kept in most cases, and has this many of them. */
	size_t		header;
	/* Gives hostile bytes to the code. A wrong outcome aborts. */
	void		(*run)(const uint8_t *data, size_t size);
	/* Looks closer at what came of it; for inputs that do something new. */
	void		(*check)(void);
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_nr_targets;

/* Says what is wrong and aborts; the driver has the input on disk already. */
_Noreturn void fuzz_fail(const char *what);

#endif /* FUZZ_H */
