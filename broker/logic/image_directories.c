/* Log directories in the image: which one a replica lies in, and how many lie in each. */
#include "base/check.h"
#include "base/memory.h"
#include "logic/image_memory.h"

struct image_directory {
    struct uuid id;
    int32_t load;
};

struct uuid image_partition_directory(const struct image_partition *partition, int32_t broker_id)
{
    int32_t count;
    const int32_t *replicas = image_partition_list(partition, IMAGE_REPLICAS, &count);
    for (int32_t i = 0; i < count; i++)
        if (replicas[i] == broker_id)
            return partition->directories[i];
    return (struct uuid){{0}};
}

static bool is_offline(const struct image_broker *broker, struct uuid directory)
{
    if (!broker)
        return true;
    if (broker->log_dir_count == 0 || uuid_equal(directory, (struct uuid){{0}}))
        return false; /* it does not say, or it is not said */
    for (int32_t i = 0; i < broker->log_dir_count; i++)
        if (uuid_equal(broker->log_dirs[i], directory))
            return false;
    return true;
}

int32_t image_offline_replicas(const struct image *image, const struct image_partition *partition,
                               int32_t *ret)
{
    int32_t count, offline = 0;
    const int32_t *replicas = image_partition_list(partition, IMAGE_REPLICAS, &count);
    for (int32_t i = 0; i < count; i++) {
        if (!is_offline(image_broker(image, replicas[i]), partition->directories[i]))
            continue;
        if (ret)
            ret[offline] = replicas[i];
        offline++;
    }
    return offline;
}

int32_t image_directory_load(const struct image *image, struct uuid directory)
{
    const struct image_directory *found =
        map_get(&image->directories, directory.bytes, sizeof directory.bytes);
    return found ? found->load : 0;
}

static void count_one(struct image *image, struct uuid id, int32_t more)
{
    struct image_directory *directory = map_get(&image->directories, id.bytes, sizeof id.bytes);
    if (!directory) {
        directory = memory_zeroed(sizeof *directory);
        directory->id = id;
        map_put(&image->directories, directory->id.bytes, sizeof id.bytes, directory);
    }
    directory->load += more;
    check(directory->load >= 0);
    if (directory->load == 0) {
        map_remove(&image->directories, directory->id.bytes, sizeof id.bytes);
        memory_free(directory);
    }
}

void image_count_directories(struct image *image, const struct image_partition *partition,
                             int32_t more)
{
    for (int32_t i = 0; i < partition->counts[IMAGE_REPLICAS]; i++)
        if (!uuid_equal(partition->directories[i], (struct uuid){{0}}))
            count_one(image, partition->directories[i], more);
}

void image_directories_done(struct image *image)
{
    uint32_t position = 0;
    for (struct image_directory *directory; (directory = map_next(&image->directories, &position));)
        memory_free(directory);
    map_done(&image->directories);
}
