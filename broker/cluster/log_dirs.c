#include "cluster/log_dirs.h"
#include "cluster/partition.h"
#include "storage/log_state.h"
#include "storage/store.h"

bool log_dir_describe(const struct shard *shard, int directory, struct log_dir *ret)
{
    const struct broker *broker = shard->broker;
    const struct directory *described = &broker->directories[directory];
    const struct store *store = shard->stores[directory];
    bool absolute = described->path[0] == '/' || !broker->root;
    *ret = (struct log_dir){.root = absolute ? "" : broker->root,
                            .path = described->path,
                            .error = store->fenced ? ERROR_KAFKA_STORAGE_ERROR : ERROR_NONE,
                            .handle = store->directory_handle};
    return described->holds_partitions;
}

int log_dir_of(const struct partition *partition)
{
    const struct shard *shard = partition->shard;
    int directory = 0;
    while (directory < shard->broker->directory_count &&
           shard->stores[directory] != partition->log->store)
        directory++;
    return directory;
}

void log_dir_size(const struct partition *partition, struct log_size *size)
{
    *size = (struct log_size){.log = partition->log, .handle = -1};
}
