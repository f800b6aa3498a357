#pragma once
/* One pass over the journals of a directory: writes, cuts and flushes the logs that it knows the
 * folders of. Several may run at once, each on a core's thread, over different logs. Blocks
 * (port_call).
 *
 *   recovery_pass_init -> recovery_pass_run, each on its thread -> recovery_pass_join, of all */
#include "storage/recovery.h"

struct recovery_pass {
    const struct recovery *recovery; /* read, and nothing of it changes meanwhile */
    struct port *port;
    const struct recovery_names *names;
    struct map redos;         /* by topic id and partition: logs being replayed */
    struct log_starts starts; /* that it met */
    enum error error;         /* of recovery_pass_run; CANCELLED: another one had failed */
    bool flush_all; /* many logs: one OP_FLUSH_ALL at the end instead of two flushes each */
    bool strict;    /* see struct recovery, as all below: */
    uint64_t replayed_bytes, set_aside;
    char fault[512], warning[600];
};

/* Begins a pass; `names` is needed until it has run. recovery_is_read must have said NONE. */
void recovery_pass_init(struct recovery_pass *pass, const struct recovery *recovery,
                        struct port *port, const struct recovery_names *names);

/* On the thread of its port. No other pass at work may know the same log. The caller tells of an
 * error (recovery_failed), with the pass's place among those that are joined. */
void recovery_pass_run(struct recovery_pass *pass);

/* One operation of a pass, as port_call; -CANCELLED once another pass has failed, but for closes.
 */
int64_t recovery_pass_call(const struct recovery_pass *pass, struct op *op);

/* Once all `count` passes have run: what they found is the recovery's, names and where logs begin
 * are flushed, and the passes are done with. Returns the first error, with recovery->fault. */
enum error recovery_pass_join(struct recovery *recovery, struct recovery_pass *passes, int count);

/* Says into fault[512] what is wrong with a journal. */
void recovery_blame(char *fault, const struct recovery_journal *journal, enum error error);
