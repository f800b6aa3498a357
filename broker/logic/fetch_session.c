#include "logic/fetch_session.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/reached.h"
#include <string.h>

/* One partition of a session. Its key: the topic's id or name, and the index. */
struct session_partition {
    struct list link; /* in session->partitions */
    struct fetch_request_fetch_partition wanted;
    int64_t high_watermark, log_start_offset; /* as the client was told; -1: not yet */
    int32_t topic_size;
    uint32_t key_size;
    uint8_t key[];
};

struct fetch_session {
    struct list link; /* in by_use */
    int32_t id, epoch;
    bool by_id, privileged;
    bool evictable;            /* for anybody; it was old enough when it was used last */
    bool evictable_privileged; /* for a follower's session */
    int64_t created_ms, used_ms;
    struct map by_key;
    struct list partitions; /* in the order in which they are read */
    int32_t count;
};

/* A topic as a request names it. */
struct topic_key {
    const void *data;
    int32_t size;
};

void fetch_sessions_init(struct fetch_sessions *sessions, int32_t slots, uint64_t seed)
{
    check(slots >= 0);
    *sessions = (struct fetch_sessions){.slots = slots,
                                        .partitions_max = (int64_t)slots * FETCH_SESSION_PARTITIONS,
                                        .eviction_ms = FETCH_SESSION_EVICTION_MS,
                                        .seed = seed};
    map_init(&sessions->by_id, seed);
    list_init(&sessions->by_use);
}

int32_t fetch_epoch_after(int32_t epoch)
{
    if (epoch < 0)
        return FETCH_EPOCH_NONE;
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

/* -- partitions of a session --------------------------------------------------------------- */

static uint32_t write_key(uint8_t *to, struct topic_key topic, int32_t index)
{
    if (topic.size > 0)
        memcpy(to, topic.data, (size_t)topic.size);
    store_be32(to + topic.size, (uint32_t)index);
    return (uint32_t)topic.size + 4;
}

/* Of a name longer than any topic's only the beginning counts. */
enum { NAME_BYTES_MAX = 1020, KEY_BYTES_MAX = NAME_BYTES_MAX + 4 };

static struct session_partition *find(const struct fetch_session *session, struct topic_key topic,
                                      int32_t index)
{
    uint8_t key[KEY_BYTES_MAX];
    uint32_t size = write_key(key, topic, index);
    return map_get(&session->by_key, key, size);
}

/* What is kept of what a request wants owns nothing of the request. */
static void want(struct session_partition *partition,
                 const struct fetch_request_fetch_partition *wanted)
{
    partition->wanted = *wanted;
    partition->wanted.unknown_tags = (struct unknown_tags){0};
}

static struct session_partition *add(struct fetch_sessions *sessions, struct fetch_session *session,
                                     struct topic_key topic,
                                     const struct fetch_request_fetch_partition *wanted)
{
    struct session_partition *partition = memory_zeroed(sizeof *partition + (size_t)topic.size + 4);
    partition->topic_size = topic.size;
    partition->key_size = write_key(partition->key, topic, wanted->partition);
    want(partition, wanted);
    partition->high_watermark = partition->log_start_offset = -1;
    map_put(&session->by_key, partition->key, partition->key_size, partition);
    list_push(&session->partitions, &partition->link);
    session->count++;
    sessions->partition_count++;
    return partition;
}

static void drop(struct fetch_sessions *sessions, struct fetch_session *session,
                 struct session_partition *partition)
{
    map_remove(&session->by_key, partition->key, partition->key_size);
    list_remove(&partition->link);
    memory_free(partition);
    session->count--;
    sessions->partition_count--;
}

/* -- sessions ------------------------------------------------------------------------------ */

static void close_session(struct fetch_sessions *sessions, struct fetch_session *session)
{
    while (!list_is_empty(&session->partitions))
        drop(sessions, session,
             CONTAINER_OF(session->partitions.next, struct session_partition, link));
    map_done(&session->by_key);
    map_remove(&sessions->by_id, &session->id, sizeof session->id);
    list_remove(&session->link);
    memory_free(session);
    sessions->count--;
}

void fetch_sessions_done(struct fetch_sessions *sessions)
{
    while (!list_is_empty(&sessions->by_use))
        close_session(sessions, CONTAINER_OF(sessions->by_use.next, struct fetch_session, link));
    check(sessions->count == 0 && sessions->partition_count == 0);
    map_done(&sessions->by_id);
}

static struct fetch_session *find_session(const struct fetch_sessions *sessions, int32_t id)
{
    return map_get(&sessions->by_id, &id, sizeof id);
}

static void touch(struct fetch_sessions *sessions, struct fetch_session *session, int64_t now_ms)
{
    bool is_old = now_ms - session->created_ms > sessions->eviction_ms;
    session->used_ms = now_ms;
    session->evictable = is_old;
    session->evictable_privileged = is_old || !session->privileged;
    list_remove(&session->link);
    list_push(&sessions->by_use, &session->link);
}

/* Is `a` worth less than a session with these? Ties go to the smaller id. */
static bool is_below(const struct fetch_session *a, bool privileged, int32_t count, int32_t id)
{
    if (a->privileged != privileged)
        return privileged;
    return a->count != count ? a->count < count : a->id < id;
}

/* The least valuable one that may be evicted for a new one; or null. */
static struct fetch_session *least_valuable(struct fetch_sessions *sessions, bool privileged)
{
    struct fetch_session *least = NULL;
    struct list *node;
    for (node = sessions->by_use.next; node != &sessions->by_use; node = node->next) {
        struct fetch_session *session = CONTAINER_OF(node, struct fetch_session, link);
        if (!(privileged ? session->evictable_privileged : session->evictable))
            continue;
        if (!least || is_below(session, least->privileged, least->count, least->id))
            least = session;
    }
    return least;
}

/* Makes room for a session of `count` partitions. False: all others are worth as much. */
static bool make_room(struct fetch_sessions *sessions, bool privileged, int32_t count,
                      int64_t now_ms)
{
    if (sessions->count < sessions->slots)
        return true;
    if (list_is_empty(&sessions->by_use))
        return false;
    struct fetch_session *oldest = CONTAINER_OF(sessions->by_use.next, struct fetch_session, link);
    struct fetch_session *victim = oldest;
    if (now_ms - oldest->used_ms <= sessions->eviction_ms) {
        victim = least_valuable(sessions, privileged);
        if (!victim || !is_below(victim, privileged, count, 0))
            return false;
    }
    REACHED("session evicted");
    sessions->evicted++;
    close_session(sessions, victim);
    return true;
}

static int32_t new_id(const struct fetch_sessions *sessions, struct random *random)
{
    int32_t id;
    do {
        id = (int32_t)(random_next(random) & INT32_MAX);
    } while (id == 0 || find_session(sessions, id));
    return id;
}

static struct fetch_session *open_session(struct fetch_sessions *sessions,
                                          const struct fetch_context *context, int64_t now_ms,
                                          struct random *random)
{
    struct fetch_session *session = memory_zeroed(sizeof *session);
    session->id = new_id(sessions, random);
    session->epoch = fetch_epoch_after(FETCH_EPOCH_FIRST);
    session->by_id = context->by_id;
    session->privileged = context->privileged;
    session->created_ms = now_ms;
    map_init(&session->by_key, sessions->seed);
    list_init(&session->partitions);
    list_init(&session->link);
    map_put(&sessions->by_id, &session->id, sizeof session->id, session);
    sessions->count++;
    touch(sessions, session, now_ms);
    return session;
}

/* -- a request ----------------------------------------------------------------------------- */

static struct topic_key topic_key(bool by_id, const struct uuid *id, struct string name)
{
    if (by_id)
        return (struct topic_key){id->bytes, sizeof id->bytes};
    int32_t size = name.size < 0 ? 0 : name.size < NAME_BYTES_MAX ? name.size : NAME_BYTES_MAX;
    return (struct topic_key){name.data, size};
}

/* False: more partitions than may be remembered. */
static bool update(struct fetch_sessions *sessions, struct fetch_session *session,
                   const struct fetch_request *request)
{
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &request->topics[i];
        struct topic_key key = topic_key(session->by_id, &topic->topic_id, topic->topic);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct session_partition *known = find(session, key, topic->partitions[j].partition);
            if (known)
                want(known, &topic->partitions[j]);
            else if (sessions->partition_count == sessions->partitions_max)
                return false;
            else
                add(sessions, session, key, &topic->partitions[j]);
        }
    }
    for (int32_t i = 0; i < request->forgotten_topics_data_count; i++) {
        const struct fetch_request_forgotten_topic *topic = &request->forgotten_topics_data[i];
        struct topic_key key = topic_key(session->by_id, &topic->topic_id, topic->topic);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct session_partition *known = find(session, key, topic->partitions[j]);
            if (known) {
                REACHED("session partition forgotten");
                drop(sessions, session, known);
            }
        }
    }
    return true;
}

static bool same_topic(const struct session_partition *a, const struct session_partition *b)
{
    return a->topic_size == b->topic_size && memcmp(a->key, b->key, (size_t)a->topic_size) == 0;
}

static struct session_partition *at(const struct fetch_session *session, struct list *node)
{
    return node == &session->partitions ? NULL : CONTAINER_OF(node, struct session_partition, link);
}

/* The session's partitions as a request would name them: neighbours of one topic together. */
static bool list_partitions(const struct fetch_session *session, struct arena *arena,
                            struct fetch_context *context)
{
    size_t count = (size_t)session->count;
    struct fetch_request_fetch_topic *topics = arena_take(arena, count * sizeof *topics);
    struct fetch_request_fetch_partition *all = arena_take(arena, count * sizeof *all);
    if (!topics || !all)
        return false;
    int32_t topic_count = 0;
    const struct session_partition *before = NULL, *now;
    for (struct list *node = session->partitions.next; (now = at(session, node));
         node = node->next) {
        if (!before || !same_topic(before, now)) {
            const uint8_t *key = arena_copy(arena, now->key, (size_t)now->topic_size);
            struct fetch_request_fetch_topic *topic = &topics[topic_count++];
            if (!key)
                return false;
            message_set_defaults(&fetch_request_fetch_topic_message, topic);
            if (session->by_id)
                memcpy(topic->topic_id.bytes, key, sizeof topic->topic_id.bytes);
            else
                topic->topic = (struct string){(const char *)key, now->topic_size};
            topic->partitions = all;
        }
        topics[topic_count - 1].partitions_count++;
        *all++ = now->wanted;
        before = now;
    }
    context->topics = topics;
    context->topics_count = topic_count;
    return true;
}

static void fail(struct fetch_context *context, enum error error)
{
    context->kind = FETCH_ERROR;
    context->error = error;
    context->topics_count = 0;
}

static void go_on(struct fetch_sessions *sessions, const struct fetch_request *request,
                  int64_t now_ms, struct arena *arena, struct fetch_context *context)
{
    struct fetch_session *session = find_session(sessions, request->session_id);
    if (!session) {
        fail(context, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    } else if (session->epoch != request->session_epoch && !MUTANT(session_epoch_not_checked)) {
        fail(context, ERROR_INVALID_FETCH_SESSION_EPOCH);
    } else if (session->by_id != context->by_id) {
        fail(context, ERROR_FETCH_SESSION_TOPIC_ID_ERROR);
    } else if (!update(sessions, session, request)) {
        close_session(sessions, session);
        fail(context, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    } else if (session->count == 0) {
        close_session(sessions, session); /* nothing is left to be remembered */
    } else {
        session->epoch = fetch_epoch_after(session->epoch);
        touch(sessions, session, now_ms);
        context->kind = FETCH_INCREMENTAL;
        context->session_id = session->id;
        context->epoch = session->epoch;
        if (!list_partitions(session, arena, context))
            fail(context, ERROR_NO_MEMORY);
    }
}

void fetch_session_begin(struct fetch_sessions *sessions, const struct fetch_request *request,
                         int16_t version, int64_t now_ms, struct arena *arena,
                         struct fetch_context *ret_context)
{
    int32_t replica_id = version >= 15 ? request->replica_state.replica_id : request->replica_id;
    *ret_context = (struct fetch_context){.kind = FETCH_NONE,
                                          .by_id = version >= 13,
                                          .privileged = replica_id >= 0,
                                          .topics = request->topics,
                                          .topics_count = request->topics_count};
    if (request->session_epoch != FETCH_EPOCH_NONE && request->session_epoch != FETCH_EPOCH_FIRST) {
        go_on(sessions, request, now_ms, arena, ret_context);
        return;
    }
    struct fetch_session *named = find_session(sessions, request->session_id);
    if (named)
        close_session(sessions, named);
    if (request->session_epoch == FETCH_EPOCH_FIRST)
        ret_context->kind = FETCH_FULL;
}

/* -- a response ---------------------------------------------------------------------------- */

/* What the client knows of a partition from now on. True: it did not know it before. */
static bool remember(struct session_partition *partition,
                     const struct fetch_response_partition_data *told)
{
    bool is_news = told->records.whole.size > 0 || told->error_code != ERROR_NONE ||
                   told->preferred_read_replica >= 0 || told->diverging_epoch.end_offset >= 0 ||
                   partition->high_watermark != told->high_watermark ||
                   partition->log_start_offset != told->log_start_offset;
    if (MUTANT(session_forgets_a_change) && told->records.whole.size > 0)
        is_news = partition->high_watermark == told->high_watermark;
    partition->log_start_offset = told->log_start_offset;
    /* After an error it is told again, whatever its ends. */
    partition->high_watermark = told->error_code == ERROR_NONE ? told->high_watermark : -1;
    return is_news;
}

static int32_t create(struct fetch_sessions *sessions, const struct fetch_context *context,
                      int64_t now_ms, struct random *random, const struct fetch_response *response)
{
    int64_t count = 0;
    for (int32_t i = 0; i < context->topics_count; i++)
        count += context->topics[i].partitions_count;
    if (sessions->slots == 0 || sessions->partition_count + count > sessions->partitions_max ||
        !make_room(sessions, context->privileged, (int32_t)count, now_ms))
        return 0;
    struct fetch_session *session = open_session(sessions, context, now_ms, random);
    for (int32_t i = 0; i < context->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &context->topics[i];
        struct topic_key key = topic_key(context->by_id, &topic->topic_id, topic->topic);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct session_partition *partition =
                find(session, key, topic->partitions[j].partition);
            if (!partition)
                partition = add(sessions, session, key, &topic->partitions[j]);
            want(partition, &topic->partitions[j]);
            remember(partition, &response->responses[i].partitions[j]);
        }
    }
    return session->id;
}

/* Leaves out what is no news. A partition that gave records goes to the end of the session, so that
 * each comes first in turn when max_bytes is short. */
static void leave_out(struct fetch_session *session, const struct fetch_context *context,
                      struct fetch_response *response)
{
    int32_t topics = 0;
    for (int32_t i = 0; i < context->topics_count; i++) {
        struct fetch_response_fetchable_topic_response *from = &response->responses[i];
        struct topic_key key = topic_key(context->by_id, &from->topic_id, from->topic);
        int32_t count = 0;
        for (int32_t j = 0; j < from->partitions_count; j++) {
            struct session_partition *known =
                find(session, key, from->partitions[j].partition_index);
            check(known); /* the epoch is still ours, so no other request has changed it */
            if (!remember(known, &from->partitions[j])) {
                REACHED("session answered with what changed only");
                continue;
            }
            if (from->partitions[j].records.whole.size > 0 && !MUTANT(session_order_not_rotated)) {
                list_remove(&known->link);
                list_push(&session->partitions, &known->link);
            }
            from->partitions[count++] = from->partitions[j];
        }
        from->partitions_count = count;
        if (count > 0)
            response->responses[topics++] = *from;
    }
    response->responses_count = topics;
}

void fetch_session_end(struct fetch_sessions *sessions, const struct fetch_context *context,
                       int64_t now_ms, struct random *random, struct fetch_response *response)
{
    struct fetch_session *session;
    switch (context->kind) {
    case FETCH_NONE:
        return;
    case FETCH_ERROR:
        response->error_code = (int16_t)error_for_wire(context->error);
        return;
    case FETCH_FULL:
        check(response->responses_count == context->topics_count);
        response->session_id = create(sessions, context, now_ms, random, response);
        return;
    case FETCH_INCREMENTAL:
        check(response->responses_count == context->topics_count);
        session = find_session(sessions, context->session_id);
        if (session && session->epoch == context->epoch) {
            response->session_id = session->id;
            leave_out(session, context, response);
            return;
        }
        /* Another request came between, or took its place. */
        response->session_id = session ? session->id : 0;
        response->error_code =
            session ? ERROR_INVALID_FETCH_SESSION_EPOCH : ERROR_FETCH_SESSION_ID_NOT_FOUND;
        response->responses_count = 0;
        return;
    }
}
