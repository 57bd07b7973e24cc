/* SPDX-License-Identifier: GPL-2.0 */
/* The host's side of the agent's protocol. */
#ifndef __PERF_KVM_AGENT_CLIENT_H
#define __PERF_KVM_AGENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include "kvm-agent-clock.h"
#include "kvm-agent-stream.h"
#include "kvm-channel.h"

/* The guest's clock is the host's + offset, wrong by up to bound, near the host's time at. */
struct kvm_agent_reading {
	u32	clock;
	u64	at;		/* ns, on the host's clock of that name */
	s64	offset;		/* ns */
	u64	bound;		/* ns */
};

/* Of its perf clock, at a time of the guest's; the one before was so at until. */
struct kvm_agent_clock_state {
	bool	related;
	bool	last;		/* behind the end of the recording */
	u64	until;
	u64	time;
	u64	epoch;
	s64	offset;
};

/* What the guest says of itself: cleaned text, and never more than that. */
struct kvm_agent_caps {
	char	release[128];
	char	machine[32];
	char	perf[64];
	char	perf_pv_clock[320];
	char	perf_pv_clock_host[96];
	char	clocks[128];
	char	compression[32];
	u32	nr_cpus;	/* 0: not known */
	u32	start_flags;	/* that it knows */
};

struct kvm_agent_unpack;

struct kvm_agent_summary {
	struct kvm_agent_stream	counted;	/* by us, from the bytes that came */
	u64			bytes;		/* by the agent, as all below */
	u32			status;
	u32			flags;
	bool			complete;	/* all has come, up to the end of a record */
	char			messages[2049];
};

struct kvm_agent_client_ops {
	/*
	 * A piece of the pipe format, decompressed if it was compressed. What is
	 * not 0 gives up the session.
	 */
	int	(*data)(void *priv, const void *data, size_t len);
	/* A reading that was asked for without waiting, or to keep alive; may be NULL. */
	void	(*reading)(void *priv, const struct kvm_agent_reading *reading);
	/* What the guest's perf clock is from then on; NULL: that is not wanted. */
	void	(*clock)(void *priv, const struct kvm_agent_clock_state *clock);
};

/* A file that the agent sends, see kvm-agent-client-symbols.c. */
struct kvm_agent_transfer {
	u32	id;		/* of the request; 0: there is none */
	int	fd;		/* of whoever asked for it */
	int	err;		/* of writing there */
	u64	size;		/* as announced */
	u64	bytes;		/* that have come */
	u8	build_id[KVM_AGENT_BUILD_ID_MAX];
	size_t	build_id_size;	/* 0: it has none */
};

/* s, in which a file must have come; whoever made the client may change it. */
#define KVM_AGENT_FILE_TIMEOUT	300

enum kvm_agent_client_state {
	KVM_AGENT_CLIENT_NEW,
	KVM_AGENT_CLIENT_READY,
	KVM_AGENT_CLIENT_RECORDING,
	KVM_AGENT_CLIENT_RECEIVING,
	KVM_AGENT_CLIENT_DEAD,
};

struct kvm_agent_client {
	struct kvm_channel			*channel;
	const struct kvm_agent_client_ops	*ops;
	void					*priv;
	enum kvm_agent_client_state		 state;
	struct kvm_agent_error			 error;		/* of what failed last */
	u16					 version;
	u32					 last_id;

	struct kvm_agent_clocks			 clocks;
	u32					 clock;		/* of the probe in flight */
	u32					 probe_id;	/* 0: there is none */
	u64					 probe_sent;	/* on that clock */
	u32					 keep_clock;	/* for probes that keep alive */
	u64					 last_sent;	/* ns, monotonic */
	u64					 last_received;

	u32					 start_id;
	u32					 start_flags;
	u64					 max_bytes;
	u64					 received;	/* bytes, maybe compressed */
	struct kvm_agent_unpack			*unpack;	/* NULL: they are not */
	struct kvm_agent_stream			 stream;	/* decompressed */
	struct kvm_agent_summary		 summary;
	u64					 past_samples;	/* of recordings before */
	u64					 past_lost;
	bool					 said_bye;

	struct kvm_agent_transfer		 transfer;
	u64					 file_timeout;	/* s */
};

struct kvm_agent_client *kvm_agent_client__new(int fd, const struct kvm_agent_client_ops *ops,
					       void *priv);
struct kvm_agent_client *kvm_agent_client__connect(const char *address,
						   const struct kvm_agent_client_ops *ops,
						   void *priv, struct kvm_agent_error *error);
void kvm_agent_client__bye(struct kvm_agent_client *client);
void kvm_agent_client__delete(struct kvm_agent_client *client);

int kvm_agent_client__hello(struct kvm_agent_client *client, u16 min, u16 max);
int kvm_agent_client__get_caps(struct kvm_agent_client *client, struct kvm_agent_caps *caps);
int kvm_agent_client__probe(struct kvm_agent_client *client, u32 clock, unsigned int count,
			    struct kvm_agent_reading *best);
int kvm_agent_client__ask_time(struct kvm_agent_client *client, u32 clock);

int kvm_agent_client__start(struct kvm_agent_client *client, const char * const *options,
			    size_t nr_options, u64 max_bytes);
int kvm_agent_client__poll(struct kvm_agent_client *client, unsigned int timeout_ms);
int kvm_agent_client__stop(struct kvm_agent_client *client);
int kvm_agent_client__finish(struct kvm_agent_client *client, unsigned int timeout_s);

/*
 * What gives names to the guest's addresses: written to fd, from where it stands,
 * and no more than max bytes. Returns 0 when all of it is there, and its build-id,
 * if it has one, is in client->transfer; or an error, behind which fd may have a
 * part. If the agent refused, or fd took no more, the session goes on. The contents
 * are the guest's, and may be anything.
 */
int kvm_agent_client__get_kallsyms(struct kvm_agent_client *client, int fd, u64 max);
int kvm_agent_client__get_modules(struct kvm_agent_client *client, int fd, u64 max);
int kvm_agent_client__get_build_ids(struct kvm_agent_client *client, int fd, u64 max);
int kvm_agent_client__get_vdso(struct kvm_agent_client *client, int fd, u64 max);
int kvm_agent_client__get_file(struct kvm_agent_client *client, const char *path,
			       const u8 *build_id, size_t len, int fd, u64 max);
/* The same, of a path as the process sees it that had it mapped, if it still runs. */
int kvm_agent_client__get_file_of(struct kvm_agent_client *client, pid_t pid, const char *path,
				  const u8 *build_id, size_t len, int fd, u64 max);
/* Only the build-id of such a path, into client->transfer. */
int kvm_agent_client__get_id_of(struct kvm_agent_client *client, pid_t pid, const char *path);

/* Between the client's own files. */
int kvm_agent_client__fail(struct kvm_agent_client *client, u32 code, const char *what);
int kvm_agent_client__get_file_frame(struct kvm_agent_client *client,
				     const struct kvm_frame_get_file *fixed, const char *path,
				     u32 *id, struct kvm_frame *reply);
int kvm_agent_client__take_file_data(struct kvm_agent_client *client,
				     const struct kvm_frame *frame);

void kvm_agent_caps__parse(struct kvm_agent_caps *caps, const void *text, size_t len);

#endif /* __PERF_KVM_AGENT_CLIENT_H */
