#include "logic/placement.h"
#include "base/check.h"

bool placement_is_active(const struct image *image, int32_t broker_id)
{
    const struct image_broker *broker = image_broker(image, broker_id);
    return broker && !broker->is_fenced && !broker->in_controlled_shutdown;
}

static struct complaint no_memory(void)
{
    return (struct complaint){ERROR_NO_MEMORY, STRING_NULL};
}

struct complaint placement_init(struct placement *placement, const struct image *image,
                                int replication_factor, struct random *random, struct arena *arena)
{
    *placement = (struct placement){.image = image};
    int32_t *brokers = arena_take(arena, (size_t)image->broker_count * sizeof *brokers);
    if (!brokers)
        return no_memory();
    int32_t active = 0;
    for (int32_t i = 0; i < image->broker_count; i++)
        active += placement_is_active(image, image->brokers[i].id);
    bool take_all = active < replication_factor;
    for (int32_t i = 0; i < image->broker_count; i++) {
        if (take_all || placement_is_active(image, image->brokers[i].id))
            brokers[placement->broker_count++] = image->brokers[i].id;
    }
    placement->brokers = brokers;
    if (active == 0)
        return (struct complaint){
            ERROR_INVALID_REPLICATION_FACTOR,
            arena_format(arena,
                         "Unable to replicate the partition %d time(s): All brokers are currently "
                         "fenced.",
                         replication_factor)};
    if (replication_factor > placement->broker_count)
        return (struct complaint){
            ERROR_INVALID_REPLICATION_FACTOR,
            arena_format(arena,
                         "Unable to replicate the partition %d time(s): The target replication "
                         "factor of %d cannot be reached because only %d broker(s) are registered.",
                         replication_factor, replication_factor, placement->broker_count)};
    placement->start = random_next(random) % (uint64_t)placement->broker_count;
    return (struct complaint){ERROR_NONE, STRING_NULL};
}

void placement_replicas(const struct placement *placement, int32_t id, int32_t count,
                        int32_t *ret_replicas)
{
    int32_t brokers = placement->broker_count;
    check(count >= 1 && count <= brokers && id >= 0);
    int64_t first = ((int64_t)placement->start + id) % brokers;
    int64_t shift = brokers > 1 ? (id / brokers) % (brokers - 1) : 0;
    ret_replicas[0] = placement->brokers[first];
    for (int32_t i = 1; i < count; i++) { /* the others follow, begun `shift` further on */
        int64_t step = 1 + (shift + i - 1) % (brokers - 1);
        ret_replicas[i] = placement->brokers[(first + step) % brokers];
    }
}

bool placement_directories_init(struct placement_directories *directories,
                                const struct image *image, int32_t broker_id, struct arena *arena)
{
    const struct image_broker *broker = image_broker(image, broker_id);
    *directories = (struct placement_directories){0};
    if (!broker || broker->log_dir_count == 0)
        return true;
    directories->ids = broker->log_dirs;
    directories->count = broker->log_dir_count;
    directories->loads =
        arena_take(arena, (size_t)broker->log_dir_count * sizeof *directories->loads);
    for (int32_t i = 0; directories->loads && i < directories->count; i++)
        directories->loads[i] = image_directory_load(image, broker->log_dirs[i]);
    return directories->loads != NULL;
}

struct uuid placement_directory(struct placement_directories *directories)
{
    int32_t least = 0;
    if (directories->count == 0)
        return (struct uuid){{0}};
    for (int32_t i = 1; i < directories->count; i++)
        if (directories->loads[i] < directories->loads[least])
            least = i;
    directories->loads[least]++;
    return directories->ids[least];
}

static struct complaint invalid(struct string text)
{
    return (struct complaint){ERROR_INVALID_REPLICA_ASSIGNMENT, text};
}

struct complaint placement_check(const struct image *image, struct arena *arena, int32_t id,
                                 const int32_t *replicas, int32_t count, int32_t expected_count)
{
    if (count <= 0)
        return invalid(STRING("The manual partition assignment includes an empty replica list."));
    bool any_active = false;
    for (int32_t i = 0; i < count; i++) {
        if (!image_broker(image, replicas[i])) /* first: it bounds the search for twins */
            return invalid(arena_format(arena,
                                        "The manual partition assignment includes broker %d, but "
                                        "no such broker is registered.",
                                        replicas[i]));
        for (int32_t j = 0; j < i; j++) {
            if (replicas[j] == replicas[i])
                return invalid(arena_format(arena,
                                            "The manual partition assignment includes the broker "
                                            "%d more than once.",
                                            replicas[i]));
        }
        any_active |= placement_is_active(image, replicas[i]);
    }
    if (expected_count >= 0 && count != expected_count)
        return invalid(arena_format(arena,
                                    "The manual partition assignment includes a partition with %d "
                                    "replica(s), but this is not consistent with previous "
                                    "partitions, which have %d replica(s).",
                                    count, expected_count));
    if (!any_active)
        return invalid(arena_format(arena,
                                    "All brokers specified in the manual partition assignment for "
                                    "partition %d are fenced or in controlled shutdown.",
                                    id));
    return (struct complaint){ERROR_NONE, STRING_NULL};
}
