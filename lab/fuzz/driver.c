// SPDX-License-Identifier: GPL-2.0
/*
 * Gives a target all inputs that are on disk, then each of the small ones with
 * every truncation, every bit turned and each word replaced, and then mutations
 * of them at random until its time is over. Inputs that reach code which none
 * before did are mutated further. What is run next is in a file that outlives a
 * crash.
 *
 * usage: fuzz TARGET SECONDS SEED CURRENT FILE...
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_INPUT	(512 * 1024)
#define SMALL_INPUT	(24 * 1024)
#define MAX_CORPUS	8192
#define MAX_CORPUS_SIZE	(256UL * 1024 * 1024)
#define MAP_BITS	18
#define RUN_TIMEOUT	20	/* s */
#define MAX_RSS_MB	1500

struct input {
	uint8_t	*data;
	size_t	size;
};

struct current {
	uint64_t	size;
	uint8_t		data[MAX_INPUT];
};

static struct input corpus[MAX_CORPUS];
static size_t nr_corpus, corpus_size;
static const struct fuzz_target *target;
static struct current *current;
static const char *current_path;
static uint64_t nr_runs, nr_edges, end;

/* Coverage: the compiler calls these from the code that is fuzzed. */

static uint8_t seen[1 << MAP_BITS];
static bool found;

static void __attribute__((no_sanitize("all"))) mark(uint64_t key)
{
	uint8_t *slot = &seen[(key * 0x9e3779b97f4a7c15) >> (64 - MAP_BITS)];

	if (!*slot) {
		*slot = 1;
		nr_edges++;
		found = true;
	}
}

void __sanitizer_cov_trace_pc(void);
void __attribute__((no_sanitize("all"))) __sanitizer_cov_trace_pc(void)
{
	void *pc = __builtin_return_address(0);

	mark((uint64_t)pc);
}

/* How many leading bits two compared values share: to come nearer to a value counts as new. */
static void __attribute__((no_sanitize("all"))) compare(void *pc, uint64_t a, uint64_t b)
{
	mark((uint64_t)pc * 64 + (a == b ? 63 : __builtin_clzll(a ^ b)));
}

#define DEFINE_CMP(suffix, type)						\
	void __sanitizer_cov_trace_##suffix(type a, type b);			\
	void __attribute__((no_sanitize("all")))				\
	__sanitizer_cov_trace_##suffix(type a, type b)				\
	{									\
		compare(__builtin_return_address(0), a, b);			\
	}

DEFINE_CMP(cmp1, uint8_t)
DEFINE_CMP(cmp2, uint16_t)
DEFINE_CMP(cmp4, uint32_t)
DEFINE_CMP(cmp8, uint64_t)
DEFINE_CMP(const_cmp1, uint8_t)
DEFINE_CMP(const_cmp2, uint16_t)
DEFINE_CMP(const_cmp4, uint32_t)
DEFINE_CMP(const_cmp8, uint64_t)

void __sanitizer_cov_trace_switch(uint64_t val, void *table);
void __attribute__((no_sanitize("all"))) __sanitizer_cov_trace_switch(uint64_t val, void *table)
{
	const uint64_t *cases = table;

	for (uint64_t i = 0; i < cases[0]; i++)
		compare((char *)__builtin_return_address(0) + i, val, cases[2 + i]);
}

/* Running */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void fuzz_fail(const char *what)
{
	dprintf(STDERR_FILENO, "fuzz: %s: %s; the input is in %s\n", target->name, what,
		current_path);
	abort();
}

static void on_alarm(int sig)
{
	(void)sig;
	fuzz_fail("it takes too long");
}

static void check_memory(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	if (usage.ru_maxrss / 1024 > MAX_RSS_MB)
		fuzz_fail("it takes too much memory");
}

static void add_to_corpus(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (nr_corpus == MAX_CORPUS || corpus_size + size > MAX_CORPUS_SIZE)
		return;
	copy = malloc(size + 1);
	if (!copy)
		return;
	memcpy(copy, data, size);
	corpus[nr_corpus++] = (struct input){ copy, size };
	corpus_size += size;
}

static void run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);	/* so that a read behind its end is seen */

	current->size = size;
	memcpy(current->data, data, size);
	memcpy(exact, data, size);
	found = false;
	alarm(RUN_TIMEOUT);
	target->run(exact, size);
	if (found && target->check)
		target->check();
	alarm(0);
	free(exact);
	if (found)
		add_to_corpus(data, size);
	if (++nr_runs % 4096 == 0)
		check_memory();
}

/* All cases of a kind */

static const uint64_t words[] = {
	0, 1, 7, 8, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8,
	0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff8, 0xffffffffffffffff,
};

#define NR_WORDS	(sizeof(words) / sizeof(*words))

static void run_truncated(const struct input *input)
{
	for (size_t size = 0; size < input->size && now() < end; size++)
		run(input->data, size);
}

static void run_bits(const struct input *input, uint8_t *buf)
{
	memcpy(buf, input->data, input->size);
	for (size_t bit = 0; bit < 8 * input->size && now() < end; bit++) {
		buf[bit / 8] ^= 1 << bit % 8;
		run(buf, input->size);
		buf[bit / 8] ^= 1 << bit % 8;
	}
}

static void run_words(const struct input *input, uint8_t *buf)
{
	memcpy(buf, input->data, input->size);
	for (size_t size = 2; size <= 8; size *= 2) {
		for (size_t pos = 0; pos + size <= input->size && now() < end; pos += size) {
			for (size_t i = 0; i < NR_WORDS; i++) {
				memcpy(buf + pos, &words[i], size);
				run(buf, input->size);
			}
			memcpy(buf + pos, input->data + pos, size);
		}
	}
}

/* At random */

static uint64_t state;

static uint64_t rnd(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return limit ? (state * 0x2545f4914f6cdd1d >> 16) % limit : 0;
}

/* Mostly where records and fields begin. */
static size_t place(size_t size)
{
	size_t pos = rnd(size + 1);

	return rnd(4) ? pos / 8 * 8 : pos;
}

static size_t length(size_t left)
{
	size_t len = 8 * (1 + rnd(1 << rnd(8)));

	return len < left ? len : left;
}

static void set_word(uint8_t *buf, size_t size)
{
	size_t pos = place(size), len = 1 << rnd(4);
	uint64_t val = words[rnd(NR_WORDS)];

	if (rnd(2) && size - pos >= 8) {
		memcpy(&val, buf + pos, 8);
		val += rnd(65) - 32;
	}
	memcpy(buf + pos, &val, len < size - pos ? len : size - pos);
}

/* Records that come twice, or out of order; fields of one record in another. */
static void copy_part(uint8_t *buf, size_t size)
{
	const struct input *other = &corpus[rnd(nr_corpus)];
	size_t to = place(size), from = place(other->size);
	size_t len = length(size - to);

	if (len > other->size - from)
		len = other->size - from;
	memcpy(buf + to, other->data + from, len);
}

static void swap_parts(uint8_t *buf, size_t size)
{
	size_t a = place(size), b = place(size), len;

	if (a > b) {
		size_t tmp = a;

		a = b;
		b = tmp;
	}
	len = length(b - a < size - b ? b - a : size - b);
	for (size_t i = 0; i < len; i++) {
		uint8_t tmp = buf[a + i];

		buf[a + i] = buf[b + i];
		buf[b + i] = tmp;
	}
}

static size_t cut(uint8_t *buf, size_t size)
{
	size_t pos = place(size), len = length(size - pos);

	memmove(buf + pos, buf + pos + len, size - pos - len);
	return size - len;
}

static size_t repeat(uint8_t *buf, size_t size)
{
	size_t pos = place(size), len = length(size - pos);

	if (size + len > MAX_INPUT)
		return size;
	memmove(buf + pos + len, buf + pos, size - pos);
	return size + len;
}

static size_t mutate(uint8_t *buf, size_t size)
{
	switch (rnd(16)) {
	case 0 ... 5:
		set_word(buf, size);
		return size;
	case 6 ... 8:
		if (size)
			buf[rnd(size)] ^= 1 << rnd(8);
		return size;
	case 9 ... 10:
		copy_part(buf, size);
		return size;
	case 11 ... 12:
		swap_parts(buf, size);
		return size;
	case 13:
		return repeat(buf, size);
	case 14:
		return cut(buf, size);
	default:
		return rnd(8) ? size : rnd(size + 1);
	}
}

/* The header of a file is spared most of the time, or nothing behind it is ever read. */
static void run_random(uint8_t *buf)
{
	size_t last = nr_corpus - 1 - rnd(nr_corpus / 4 + 1);
	const struct input *input = &corpus[rnd(2) ? rnd(nr_corpus) : last];
	size_t spared = rnd(8) && target->header < input->size ? target->header : 0;
	size_t size = input->size;

	memcpy(buf, input->data, size);
	for (uint64_t i = 1 + rnd(1 << rnd(5)); i; i--)
		size = spared + mutate(buf + spared, size - spared);
	run(buf, size);
}

static void read_input(const char *path)
{
	static uint8_t buf[MAX_INPUT];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (n < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
	found = true;
	add_to_corpus(buf, n);
	run(buf, n);
}

static void map_current(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*current))) {
		perror(path);
		exit(1);
	}
	current_path = path;
	current = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (current == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static const struct fuzz_target *find_target(const char *name)
{
	for (size_t i = 0; i < fuzz_nr_targets; i++) {
		if (!strcmp(name, fuzz_targets[i].name))
			return &fuzz_targets[i];
	}
	fprintf(stderr, "fuzz: there is no target %s\n", name);
	exit(1);
}

/* All of the smallest input, and of the others as far as half of the time lasts. */
static void run_all_cases(size_t nr_seeds, uint8_t *buf, uint64_t deadline)
{
	uint64_t until = end;

	end = deadline;
	for (size_t i = 0; i < nr_seeds && now() < end; i++) {
		if (corpus[i].size > SMALL_INPUT)
			continue;
		run_truncated(&corpus[i]);
		run_bits(&corpus[i], buf);
		run_words(&corpus[i], buf);
	}
	end = until;
}

int main(int argc, char **argv)
{
	static uint8_t buf[MAX_INPUT];
	size_t nr_seeds;

	if (argc < 5) {
		fprintf(stderr, "usage: fuzz TARGET SECONDS SEED CURRENT FILE...\n");
		return 1;
	}
	target = find_target(argv[1]);
	map_current(argv[4]);
	/* What the code has to say of each input; the sanitizers do not use this. */
	stderr = fopen("/dev/null", "w");
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	state = strtoull(argv[3], NULL, 0) * 2 + 1;
	end = now() + 1000 * strtoull(argv[2], NULL, 0);
	for (int i = 5; i < argc; i++)
		read_input(argv[i]);
	if (!nr_corpus)
		add_to_corpus((const uint8_t *)"", 0);
	nr_seeds = nr_corpus;
	run_all_cases(nr_seeds, buf, now() + (end > now() ? (end - now()) / 2 : 0));
	while (now() < end)
		run_random(buf);
	check_memory();
	printf("%s: %llu runs, %zu inputs, %llu points of the code reached\n", target->name,
	       (unsigned long long)nr_runs, nr_corpus, (unsigned long long)nr_edges);
	return 0;
}
