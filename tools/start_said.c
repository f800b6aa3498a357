#include "tools/start_said.h"
#include "cluster/shard.h"
#include "tools/options.h"
#include <string.h>

void start_say_sentences(const struct broker *broker)
{
    for (const char *line = broker->sentences; line && *line;) {
        int size = (int)strcspn(line, "\n");
        say("broker", "%.*s", size, line);
        line += size + (line[size] == '\n');
    }
}

void start_say(const struct broker *broker)
{
    if (broker->replayed_bytes > 0)
        say("broker", "recovered: %llu bytes of records from the journals, in %lld ms",
            (unsigned long long)broker->replayed_bytes, (long long)broker->recovery_ms);
    start_say_sentences(broker);
    if (broker->metadata_read.warning[0])
        say("broker", "%s", broker->metadata_read.warning);
    for (int i = 0; i < broker->directory_count; i++)
        if (broker->directories[i].absent)
            say("broker", "starting without %s: %s", broker->directories[i].path,
                broker->directories[i].reason);
    if (broker->warning[0])
        say("broker", "%s", broker->warning);
}

void start_note_metadata(struct broker *broker)
{
    const struct metadata_read *read = &broker->metadata_read;
    event_write(&broker->shards[0].core.events, &broker->shards[0].core.now, EVENT_INFO,
                "metadata_read",
                "snapshot_end=%lld snapshot_records=%llu snapshot_bytes=%llu log_records=%llu "
                "log_bytes=%llu",
                (long long)read->snapshot_end, (unsigned long long)read->snapshot_records,
                (unsigned long long)read->snapshot_bytes, (unsigned long long)read->log_records,
                (unsigned long long)read->log_bytes);
}
