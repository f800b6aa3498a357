#pragma once
/* What DescribeLogDirs tells of log directories, as this core knows them. */
#include "cluster/broker.h"
#include "storage/log_size.h"

struct partition;

struct log_dir {
    const char *root, *path; /* its absolute path is both, one behind the other */
    enum error error;        /* NONE, or KAFKA_STORAGE_ERROR: absent or fenced */
    int32_t handle;          /* of the folder, for OP_SPACE; -1 */
};

/* False: the directory is not one of log.dirs. */
bool log_dir_describe(const struct shard *shard, int directory, struct log_dir *ret);

/* The place in broker->directories of the directory that a partition of this core lies in;
 * directory_count: of none that is here. */
int log_dir_of(const struct partition *partition);

/* Sets up `size` to tell the partition's (log_size_step), while the caller holds it. */
void log_dir_size(const struct partition *partition, struct log_size *size);
