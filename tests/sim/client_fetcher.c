/* A consumer with a fetch session (KIP-227): partitions of many topics, that come and go, read
 * through one session for as long as there is one.
 *
 *   no session -- full --> session -- incremental ... --> no session   [evicted, broker restarted,
 *                                                                       refused, or dropped]
 * What it believes of a partition is what it was told last, whether that is long ago or not. It
 * must be what is true:
 *  1. its high watermark is no older than anything promised before the fetch was asked for;
 *  2. between two incremental fetches a full one is asked for now and then: it says no less than
 *     what was believed before it, and no more than what is believed after it;
 *  3. a partition is told again only if there is news, a new one at once, a forgotten one never;
 *  4. none that has records waits for longer than each of the others has had its turn. */
#include "base/check.h"
#include "base/memory.h"
#include "protocol/messages.h"
#include "sim/broker_sim.h"
#include "sim/client_start.h"

enum { PARTS_MAX = 12, SESSIONS_FROM = 7, IDS_FROM = 13 };

static const int64_t second_ns = 1000000000;

enum fetcher_ask { ASK_FULL, ASK_INCREMENTAL, ASK_COMPARE, ASK_BAD_EPOCH, ASK_BAD_ID };

struct fetcher_part {
    struct model_partition *partition;
    int64_t offset;
    bool changed;      /* since the session was told */
    bool told;         /* in this session */
    bool failed;       /* the last it was told was an error */
    bool gave;         /* records, in the last answer */
    bool in_answer;    /* the one that is being taken */
    int hungry;        /* answers with no records for it, though there were some */
    int64_t watermark; /* believed; -1 nothing */
    int64_t compared;  /* what a full fetch said since; -1 */
    int64_t log_start; /* believed; -1 nothing */
    int64_t promised_start, promised_end; /* when it was asked for */
};

struct fetcher {
    int32_t session_id, epoch;
    bool uncertain; /* a request of the session may be lost, or the broker another */
    struct fetcher_part parts[PARTS_MAX];
    int part_count;
    struct model_partition *forgotten[PARTS_MAX];
    int forgotten_count;
    bool asked;
    enum fetcher_ask ask;
    int rounds; /* left with these partitions */
    int32_t max_bytes, part_bytes, max_wait_ms;
    bool over;
};

static void init(struct client *client)
{
    struct fetcher *fetcher = client->state;
    if (!fetcher) {
        fetcher = client->state = memory_zeroed(sizeof *fetcher);
        fetcher->max_bytes = 1 << random_between(&client->random, 0, 18);
        fetcher->part_bytes = 1 << random_between(&client->random, 8, 20);
        fetcher->max_wait_ms = (int32_t)random_between(&client->random, 0, 500);
    }
}

static bool asks_by_id(const struct client *client)
{
    return session_version(&client->session, API_FETCH) >= IDS_FROM;
}

/* ---- which partitions ---- */

static void drop_session(struct fetcher *fetcher)
{
    fetcher->session_id = fetcher->epoch = 0;
    fetcher->uncertain = false;
    fetcher->forgotten_count = 0;
    for (int i = 0; i < fetcher->part_count; i++) {
        struct fetcher_part *part = &fetcher->parts[i];
        part->changed = part->told = part->failed = false;
        part->hungry = 0;
        part->watermark = part->compared = part->log_start = -1;
    }
}

static struct fetcher_part *find(struct fetcher *fetcher, const struct model_partition *partition)
{
    for (int i = 0; i < fetcher->part_count; i++)
        if (fetcher->parts[i].partition == partition)
            return &fetcher->parts[i];
    return NULL;
}

static void add(struct client *client)
{
    struct fetcher *fetcher = client->state;
    const struct model *model = &client->sim->model;
    if (model->topic_count == 0 || fetcher->part_count == PARTS_MAX)
        return;
    struct model_topic *topic =
        model->topics[random_below(&client->random, (uint64_t)model->topic_count)];
    struct model_partition *partition =
        &topic->partitions[random_below(&client->random, (uint64_t)topic->partition_count)];
    bool unclear = topic->kind == MODEL_PASSING && !asks_by_id(client);
    if (topic->deleted_ns != INT64_MAX || unclear || find(fetcher, partition))
        return;
    for (int i = 0; i < fetcher->forgotten_count; i++)
        if (fetcher->forgotten[i] == partition)
            return; /* one request does not want and forget the same */
    fetcher->parts[fetcher->part_count++] =
        (struct fetcher_part){.partition = partition,
                              .offset = random_between(&client->random, 0, partition->promised_end),
                              .changed = true,
                              .watermark = -1,
                              .compared = -1,
                              .log_start = -1};
}

static void forget(struct fetcher *fetcher, int index)
{
    if (fetcher->part_count < 2 || fetcher->forgotten_count == PARTS_MAX)
        return;
    fetcher->forgotten[fetcher->forgotten_count++] = fetcher->parts[index].partition;
    memmove(&fetcher->parts[index], &fetcher->parts[index + 1],
            (size_t)(--fetcher->part_count - index) * sizeof fetcher->parts[0]);
}

static void pick(struct client *client)
{
    struct fetcher *fetcher = client->state;
    fetcher->part_count = 0;
    int wanted = (int)random_between(&client->random, 1, PARTS_MAX);
    for (int i = 0; i < 3 * wanted && fetcher->part_count < wanted; i++)
        add(client);
    fetcher->rounds = (int)random_between(&client->random, 4, 200);
    drop_session(fetcher);
}

static void change(struct client *client)
{
    struct fetcher *fetcher = client->state;
    int index = (int)random_below(&client->random, (uint64_t)fetcher->part_count);
    struct fetcher_part *part = &fetcher->parts[index];
    switch (random_below(&client->random, 16)) {
    case 0:
        add(client);
        break;
    case 1:
        forget(fetcher, index);
        break;
    case 2:
        part->offset = random_between(&client->random, 0, part->partition->promised_end);
        part->changed = true;
        part->hungry = 0;
        break;
    default:
        break;
    }
}

/* ---- asking ---- */

struct lists {
    struct fetch_request_fetch_topic topics[PARTS_MAX];
    struct fetch_request_fetch_partition parts[PARTS_MAX];
    struct fetch_request_forgotten_topic forgotten[PARTS_MAX];
    int32_t forgotten_parts[PARTS_MAX];
};

/* Neighbours of one topic are named together. */
static void list_parts(struct fetcher *fetcher, bool only_changed, struct lists *lists,
                       struct fetch_request *request)
{
    const struct model_topic *before = NULL;
    int count = 0;
    for (int i = 0; i < fetcher->part_count; i++) {
        struct fetcher_part *part = &fetcher->parts[i];
        const struct model_topic *topic = part->partition->topic;
        if (only_changed && !part->changed)
            continue;
        if (topic != before) {
            struct fetch_request_fetch_topic *to = &lists->topics[request->topics_count++];
            message_set_defaults(&fetch_request_fetch_topic_message, to);
            to->topic = string_of(topic->name);
            to->topic_id = topic->id;
            to->partitions = &lists->parts[count];
            before = topic;
        }
        struct fetch_request_fetch_partition *to = &lists->parts[count++];
        message_set_defaults(&fetch_request_fetch_partition_message, to);
        to->partition = part->partition->index;
        to->fetch_offset = part->offset;
        to->partition_max_bytes = fetcher->part_bytes;
        lists->topics[request->topics_count - 1].partitions_count++;
    }
    request->topics = lists->topics;
}

static void list_forgotten(struct fetcher *fetcher, struct lists *lists,
                           struct fetch_request *request)
{
    for (int i = 0; i < fetcher->forgotten_count; i++) {
        struct fetch_request_forgotten_topic *to = &lists->forgotten[i];
        message_set_defaults(&fetch_request_forgotten_topic_message, to);
        to->topic = string_of(fetcher->forgotten[i]->topic->name);
        to->topic_id = fetcher->forgotten[i]->topic->id;
        lists->forgotten_parts[i] = fetcher->forgotten[i]->index;
        to->partitions = &lists->forgotten_parts[i];
        to->partitions_count = 1;
    }
    request->forgotten_topics_data = lists->forgotten;
    request->forgotten_topics_data_count = fetcher->forgotten_count;
}

static void name_session(const struct fetcher *fetcher, struct fetch_request *request)
{
    request->session_id = fetcher->session_id;
    request->session_epoch = fetcher->epoch;
    if (fetcher->ask == ASK_COMPARE)
        request->session_id = 0, request->session_epoch = -1;
    if (fetcher->ask == ASK_BAD_EPOCH)
        request->session_epoch += 1 + (fetcher->rounds & 3);
    if (fetcher->ask == ASK_BAD_ID)
        request->session_id ^= 1 << 20, request->session_epoch = 7;
}

static void fetch(struct client *client)
{
    struct fetcher *fetcher = client->state;
    bool knows_sessions = session_version(&client->session, API_FETCH) >= SESSIONS_FROM;
    struct lists lists;
    struct fetch_request request;
    message_set_defaults(&fetch_request_message, &request);
    if (fetcher->ask == ASK_FULL)
        drop_session(fetcher);
    list_parts(fetcher, fetcher->ask == ASK_INCREMENTAL, &lists, &request);
    if (fetcher->ask == ASK_INCREMENTAL)
        list_forgotten(fetcher, &lists, &request);
    if (knows_sessions)
        name_session(fetcher, &request);
    bool at_once = client->sim->calm || fetcher->ask == ASK_COMPARE;
    request.max_wait_ms = at_once ? 0 : fetcher->max_wait_ms;
    request.min_bytes = 1;
    request.max_bytes = fetcher->max_bytes;
    for (int i = 0; i < fetcher->part_count; i++) {
        fetcher->parts[i].promised_start = fetcher->parts[i].partition->start_promised;
        fetcher->parts[i].promised_end = fetcher->parts[i].partition->promised_end;
    }
    fetcher->asked = client_ask(client, API_FETCH, &request, true);
}

static enum fetcher_ask draw_ask(struct client *client)
{
    struct fetcher *fetcher = client->state;
    bool knows_sessions = session_version(&client->session, API_FETCH) >= SESSIONS_FROM;
    uint64_t kind = random_below(&client->random, 24);
    if (fetcher->session_id == 0 || !knows_sessions)
        return ASK_FULL;
    if (client->sim->calm)
        return kind < 12 ? ASK_INCREMENTAL : ASK_COMPARE;
    if (fetcher->uncertain) /* which epoch would be bad? */
        return ASK_INCREMENTAL;
    return kind == 0   ? ASK_BAD_EPOCH
           : kind == 1 ? ASK_BAD_ID
           : kind < 6  ? ASK_COMPARE
                       : ASK_INCREMENTAL;
}

static bool has_unclear_names(const struct client *client)
{
    const struct fetcher *fetcher = client->state;
    for (int i = 0; i < fetcher->part_count && !asks_by_id(client); i++)
        if (fetcher->parts[i].partition->topic->kind == MODEL_PASSING)
            return true;
    return false;
}

static void work(struct client *client)
{
    struct fetcher *fetcher = client->state;
    int64_t now_ns = client->core.now.monotonic_ns;
    if (fetcher->asked || fetcher->over || now_ns < client->next_ns)
        return;
    /* Some take their time, so that others' sessions are preferred to theirs. */
    client->next_ns =
        now_ns +
        (random_once_in(&client->random, 32) ? random_between(&client->random, 0, second_ns) : 0);
    bool starts = fetcher->part_count == 0 || has_unclear_names(client);
    if (starts || (fetcher->rounds-- <= 0 && !client->sim->calm))
        pick(client);
    if (fetcher->part_count == 0) {
        fetcher->over = client->sim->calm; /* there is nothing to be read */
        return;
    }
    if (!client->sim->calm)
        change(client);
    fetcher->ask = draw_ask(client);
    fetch(client);
}

/* ---- answers ---- */

static struct fetcher_part *part_of(struct client *client, const struct session_response *response,
                                    const struct fetch_response_fetchable_topic_response *topic,
                                    int32_t index)
{
    struct fetcher *fetcher = client->state;
    for (int i = 0; i < fetcher->part_count; i++) {
        const struct model_partition *partition = fetcher->parts[i].partition;
        bool same = response->version >= IDS_FROM
                        ? uuid_equal(partition->topic->id, topic->topic_id)
                        : string_equal(string_of(partition->topic->name), topic->topic);
        if (same && partition->index == index)
            return &fetcher->parts[i];
    }
    world_violation(client->sim->world,
                    "session: partition %d of %.*s answered, which is not in it", index,
                    topic->topic.size, topic->topic.data);
    return NULL;
}

static bool error_is_sound(struct client *client, const struct fetcher_part *part, enum error error,
                           int64_t asked_ns)
{
    const struct model_partition *partition = part->partition;
    if (!model_start_explains(partition, part->offset, part->promised_start, error))
        return false;
    if (error == ERROR_NONE || error == ERROR_OFFSET_OUT_OF_RANGE)
        return true;
    if (error == ERROR_KAFKA_STORAGE_ERROR && partition->rotten)
        return true;
    if (error == ERROR_KAFKA_STORAGE_ERROR) /* of before the last start, it may come late */
        return !client->sim->calm || asked_ns < client->sim->calm_ns;
    return (error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
            error == ERROR_NOT_LEADER_OR_FOLLOWER) &&
           (partition->topic->delete_asked || asked_ns <= partition->seen_ns + MODEL_SPREAD_NS);
}

/* The records of one partition; returns where it goes on, or -1. */
static int64_t read_records(struct client *client, const struct fetcher_part *part,
                            const struct fetch_response_partition_data *answer)
{
    struct batch first;
    int64_t next = -1;
    struct bytes data = answer->records.whole;
    if (data.size <= 0)
        return -1;
    if (batch_view(data.data, (size_t)data.size, &first) == ERROR_NONE &&
        ((first.base_offset > part->offset && !part->partition->topic->rules->compacts) ||
         batch_last_offset(&first) < part->offset))
        world_violation(client->sim->world, "session: %s-%d at %lld begins with the batch at %lld",
                        part->partition->topic->name, part->partition->index,
                        (long long)part->offset, (long long)first.base_offset);
    model_read_batches(&client->sim->model, part->partition, data, &next, true);
    if (next > answer->high_watermark)
        world_violation(client->sim->world, "session: %s-%d gives up to %lld, watermark %lld",
                        part->partition->topic->name, part->partition->index, (long long)next,
                        (long long)answer->high_watermark);
    return next;
}

static void take_part(struct client *client, struct fetcher_part *part,
                      const struct fetch_response_partition_data *answer, int64_t asked_ns)
{
    struct fetcher *fetcher = client->state;
    const char *name = part->partition->topic->name;
    enum error error = (enum error)answer->error_code;
    bool is_news = error != ERROR_NONE || answer->records.whole.size > 0 || !part->told ||
                   part->failed || answer->high_watermark != part->watermark ||
                   answer->log_start_offset != part->log_start;
    if (part->in_answer || (fetcher->ask == ASK_INCREMENTAL && !is_news))
        world_violation(client->sim->world, "session: %s-%d is told again, and nothing is new",
                        name, part->partition->index);
    part->in_answer = true;
    if (!error_is_sound(client, part, error, asked_ns))
        world_violation(client->sim->world, "session: %s-%d at %lld: %s", name,
                        part->partition->index, (long long)part->offset, error_name(error));
    int64_t next = error ? -1 : read_records(client, part, answer);
    if (fetcher->ask == ASK_COMPARE) {
        if (!error && !part->failed && answer->high_watermark < part->watermark)
            world_violation(client->sim->world,
                            "session: of %s-%d was believed %lld, a full fetch says %lld", name,
                            part->partition->index, (long long)part->watermark,
                            (long long)answer->high_watermark);
        part->compared = error ? -1 : answer->high_watermark;
        return;
    }
    part->told = true;
    part->failed = error != ERROR_NONE;
    part->watermark = error ? -1 : answer->high_watermark;
    part->log_start = error ? -1 : answer->log_start_offset;
    if (part->log_start >= 0)
        model_start_told(&client->sim->model, part->partition, part->promised_start,
                         part->log_start, "session");
    if (error == ERROR_OFFSET_OUT_OF_RANGE) {
        part->offset = max_i64(answer->log_start_offset, part->partition->start_promised);
        part->changed = true;
    }
    if (next < 0 && !error && part->partition->rotten && answer->records.whole.size > 0)
        next = answer->high_watermark; /* beyond it; else it takes the room of those behind it */
    part->gave = next >= 0;
    if (next >= 0) {
        part->offset = next;
        part->changed = true;
    }
}

/* After an answer of the session: is what is believed now true, and has nobody waited too long? */
static void check_part(struct client *client, struct fetcher_part *part, int64_t asked_offset)
{
    const struct fetcher *fetcher = client->state;
    const char *name = part->partition->topic->name;
    int index = part->partition->index;
    struct world *world = client->sim->world;
    if (!part->told || (part->failed && !part->in_answer)) {
        world_violation(world, "session: %s-%d is not told", name, index);
        return;
    }
    if (part->failed)
        return;
    int64_t least = max_i64(part->promised_end, part->compared);
    if (part->watermark < least)
        world_violation(world,
                        "session: of %s-%d is believed %lld; promised was %lld, a full fetch said "
                        "%lld",
                        name, index, (long long)part->watermark, (long long)part->promised_end,
                        (long long)part->compared);
    bool waits = !part->gave && asked_offset < least && fetcher->ask == ASK_INCREMENTAL;
    part->hungry = waits && !part->partition->rotten ? part->hungry + 1 : 0;
    if (part->hungry > PARTS_MAX + 2)
        world_violation(world, "session: %s-%d at %lld of %lld had nothing for %d fetches", name,
                        index, (long long)asked_offset, (long long)part->watermark, part->hungry);
    part->compared = -1;
}

static bool all_read(const struct fetcher *fetcher)
{
    for (int i = 0; i < fetcher->part_count; i++)
        if (!fetcher->parts[i].failed && !fetcher->parts[i].partition->rotten &&
            (!fetcher->parts[i].told || fetcher->parts[i].offset < fetcher->parts[i].watermark))
            return false;
    return true;
}

/* The error of a whole answer; true: there is one. The session is over. */
static bool take_error(struct client *client, enum error error)
{
    struct fetcher *fetcher = client->state;
    bool is_lost = error == ERROR_FETCH_SESSION_ID_NOT_FOUND; /* another may need its room */
    bool is_sound = fetcher->ask == ASK_BAD_EPOCH
                        ? is_lost || error == ERROR_INVALID_FETCH_SESSION_EPOCH
                    : fetcher->ask == ASK_BAD_ID      ? is_lost
                    : fetcher->ask != ASK_INCREMENTAL ? error == ERROR_NONE
                    : fetcher->uncertain              ? is_lost || error == ERROR_NONE ||
                                               error == ERROR_INVALID_FETCH_SESSION_EPOCH ||
                                               error == ERROR_FETCH_SESSION_TOPIC_ID_ERROR
                                         : is_lost || error == ERROR_NONE;
    if (!is_sound)
        world_violation(client->sim->world, "session: %s to ask %d", error_name(error),
                        fetcher->ask);
    if (error && fetcher->ask == ASK_INCREMENTAL)
        drop_session(fetcher);
    return error != ERROR_NONE;
}

static void answer(struct client *client, const struct session_response *response, int64_t asked_ns)
{
    struct fetcher *fetcher = client->state;
    const struct fetch_response *fetched = response->message;
    int64_t offsets[PARTS_MAX];
    int told = 0;
    fetcher->asked = false;
    if (take_error(client, (enum error)fetched->error_code))
        return;
    for (int i = 0; i < fetcher->part_count; i++) {
        struct fetcher_part *part = &fetcher->parts[i];
        offsets[i] = part->offset;
        part->gave = part->in_answer = false;
        part->changed = fetcher->ask == ASK_COMPARE && part->changed;
    }
    for (int32_t i = 0; i < fetched->responses_count; i++)
        for (int32_t j = 0; j < fetched->responses[i].partitions_count; j++, told++) {
            const struct fetch_response_partition_data *data = &fetched->responses[i].partitions[j];
            struct fetcher_part *part =
                part_of(client, response, &fetched->responses[i], data->partition_index);
            if (part)
                take_part(client, part, data, asked_ns);
        }
    if (fetcher->ask != ASK_INCREMENTAL && told != fetcher->part_count)
        world_violation(client->sim->world, "session: %d of %d partitions in a full answer", told,
                        fetcher->part_count);
    if (fetcher->ask == ASK_COMPARE) {
        if (fetched->session_id != 0)
            world_violation(client->sim->world, "session: one was made, and not asked for");
        return;
    }
    if (fetcher->ask == ASK_INCREMENTAL && fetched->session_id != fetcher->session_id)
        world_violation(client->sim->world, "session: %d answers for %d", fetched->session_id,
                        fetcher->session_id);
    for (int i = 0; i < fetcher->part_count; i++)
        check_part(client, &fetcher->parts[i], offsets[i]);
    fetcher->forgotten_count = 0;
    fetcher->uncertain = false;
    fetcher->session_id = fetched->session_id;
    fetcher->epoch = fetcher->epoch == INT32_MAX ? 1 : fetcher->epoch + 1;
    fetcher->over = client->sim->calm && all_read(fetcher);
}

/* It may go on with its session, as far as it knows, or begin anew. */
static void lost(struct client *client)
{
    struct fetcher *fetcher = client->state;
    fetcher->asked = false;
    fetcher->uncertain = true;
    for (int i = 0; i < fetcher->part_count; i++)
        fetcher->parts[i].compared = -1;
    if (random_once_in(&client->random, 2))
        drop_session(fetcher);
}

static bool is_over(struct client *client)
{
    const struct fetcher *fetcher = client->state;
    return fetcher && fetcher->over;
}

const struct client_kind fetcher_kind = {"fetcher", init, work, answer, lost, is_over};
