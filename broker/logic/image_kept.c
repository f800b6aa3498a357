#include "logic/image_kept.h"
#include "base/check.h"
#include "base/memory.h"
#include "protocol/messages.h"

enum {
    RECORD_OVERHEAD = 128, /* of memory, roughly: the struct and its place in the map */
    ENTITY_PARTS_MOST = 8, /* of a quota; Kafka knows user, client-id and ip */
};

/* ---- what a record is about ---------------------------------------------------------------- */

static void write_text(struct writer *writer, struct string text)
{
    write_i32(writer, text.size);
    if (text.size > 0)
        write_raw(writer, text.data, (size_t)text.size);
}

static void config_key(struct writer *writer, const void *value)
{
    const struct config_record *record = value;
    write_i8(writer, record->resource_type);
    write_text(writer, record->resource_name);
    write_text(writer, record->name);
}

static void token_key(struct writer *writer, const void *value)
{
    write_text(writer, ((const struct delegation_token_record *)value)->token_id);
}

static void removed_token_key(struct writer *writer, const void *value)
{
    write_text(writer, ((const struct remove_delegation_token_record *)value)->token_id);
}

static void credential_key(struct writer *writer, const void *value)
{
    const struct user_scram_credential_record *record = value;
    write_i8(writer, record->mechanism);
    write_text(writer, record->name);
}

static void removed_credential_key(struct writer *writer, const void *value)
{
    const struct remove_user_scram_credential_record *record = value;
    write_i8(writer, record->mechanism);
    write_text(writer, record->name);
}

static int compare(struct string a, struct string b)
{
    int64_t size = min_i64(a.size, b.size);
    int order = size > 0 ? memcmp(a.data, b.data, (size_t)size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* The entity is a set: its parts may come in any order. One of a type at most. */
static void quota_key(struct writer *writer, const void *value)
{
    const struct client_quota_record *record = value;
    write_text(writer, record->key);
    struct string last = STRING_NULL;
    for (int32_t n = 0; n < record->entity_count; n++) {
        const struct client_quota_record_entity_data *least = NULL;
        for (int32_t i = 0; i < record->entity_count; i++) {
            const struct client_quota_record_entity_data *part = &record->entity[i];
            if ((n == 0 || compare(part->entity_type, last) > 0) &&
                (!least || compare(part->entity_type, least->entity_type) < 0))
                least = part;
        }
        if (!least)
            return; /* a type came twice */
        last = least->entity_type;
        write_text(writer, least->entity_type);
        write_text(writer, least->entity_name);
    }
}

static void acl_key(struct writer *writer, const void *value)
{
    write_raw(writer, ((const struct access_control_entry_record *)value)->id.bytes, 16);
}

static void removed_acl_key(struct writer *writer, const void *value)
{
    write_raw(writer, ((const struct remove_access_control_entry_record *)value)->id.bytes, 16);
}

static void controller_key(struct writer *writer, const void *value)
{
    write_i32(writer, ((const struct register_controller_record *)value)->controller_id);
}

static void removed_controller_key(struct writer *writer, const void *value)
{
    write_i32(writer, ((const struct unregister_controller_record *)value)->controller_id);
}

static void only_one_key(struct writer *writer, const void *value)
{
    (void)writer;
    (void)value;
}

static bool config_removes(const void *value)
{
    return ((const struct config_record *)value)->value.size < 0;
}

static bool quota_removes(const void *value)
{
    return ((const struct client_quota_record *)value)->remove;
}

static bool always_removes(const void *value)
{
    (void)value;
    return true;
}

/* A type that is kept, or that takes back one that is. */
struct kind {
    const struct message *message;
    const struct message *of; /* what it is about is the same as with this type */
    void (*key)(struct writer *writer, const void *value);
    bool (*removes)(const void *value); /* null: never */
};

static const struct kind kinds[] = {
    {&config_record_message, &config_record_message, config_key, config_removes},
    {&delegation_token_record_message, &delegation_token_record_message, token_key, NULL},
    {&remove_delegation_token_record_message, &delegation_token_record_message, removed_token_key,
     always_removes},
    {&user_scram_credential_record_message, &user_scram_credential_record_message, credential_key,
     NULL},
    {&remove_user_scram_credential_record_message, &user_scram_credential_record_message,
     removed_credential_key, always_removes},
    {&client_quota_record_message, &client_quota_record_message, quota_key, quota_removes},
    {&access_control_entry_record_message, &access_control_entry_record_message, acl_key, NULL},
    {&remove_access_control_entry_record_message, &access_control_entry_record_message,
     removed_acl_key, always_removes},
    {&register_controller_record_message, &register_controller_record_message, controller_key,
     NULL},
    {&unregister_controller_record_message, &register_controller_record_message,
     removed_controller_key, always_removes},
    {&zk_migration_state_record_message, &zk_migration_state_record_message, only_one_key, NULL},
};

static const struct kind *kind_of(int16_t type)
{
    for (int i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i].message->key == type)
            return &kinds[i];
    return NULL;
}

/* ---- keeping ------------------------------------------------------------------------------- */

void image_kept_init(struct image_kept *kept, uint64_t seed)
{
    *kept = (struct image_kept){0};
    map_init(&kept->by_key, seed);
    list_init(&kept->order);
}

static void free_record(struct image_kept_record *record)
{
    memory_free(record->key);
    memory_free(record->body);
    memory_free(record);
}

void image_kept_done(struct image_kept *kept)
{
    for (struct list *node; (node = list_pop(&kept->order));)
        free_record(CONTAINER_OF(node, struct image_kept_record, order));
    map_done(&kept->by_key);
}

static size_t cost_of(const struct image_kept_record *record)
{
    return RECORD_OVERHEAD + record->key_size + record->body_size;
}

static uint8_t *make_key(const struct kind *kind, const void *value, size_t *ret_size)
{
    struct writer writer;
    writer_init(&writer, NULL, SIZE_MAX);
    write_i16(&writer, kind->of->key);
    kind->key(&writer, value);
    size_t size = writer.size;
    uint8_t *key = memory_aligned(16, size);
    writer_init(&writer, key, size);
    write_i16(&writer, kind->of->key);
    kind->key(&writer, value);
    check(writer.error == ERROR_NONE && writer.size == size);
    *ret_size = size;
    return key;
}

/* Null: it can't be encoded. */
static uint8_t *make_body(const struct message *message, const void *value, size_t *ret_size)
{
    check(message->oldest == message->newest);
    *ret_size = message_size(message, message->newest, value);
    uint8_t *body = memory_aligned(16, *ret_size + 1);
    struct writer writer;
    writer_init(&writer, body, *ret_size);
    if (*ret_size > 0 && message_encode(message, message->newest, &writer, value) == ERROR_NONE)
        return body;
    memory_free(body);
    return NULL;
}

static void remove_record(struct image_kept *kept, struct image_kept_record *record)
{
    (void)map_remove(&kept->by_key, record->key, record->key_size);
    list_remove(&record->order);
    kept->bytes -= cost_of(record);
    free_record(record);
}

/* In the place of `there`, if it is not null. The key is the record's from here on. */
static bool put_record(struct image_kept *kept, struct image_kept_record *there,
                       const struct image_kept_record *made)
{
    size_t others = kept->bytes - (there ? cost_of(there) : 0);
    if (!made->body || others + cost_of(made) > IMAGE_KEPT_BYTES_MAX)
        return false;
    if (there) {
        memory_free(there->body);
        there->body = made->body;
        there->body_size = made->body_size;
    } else {
        there = memory_zeroed(sizeof *there);
        *there = *made;
        list_init(&there->order);
        list_push(&kept->order, &there->order);
        (void)map_put(&kept->by_key, there->key, there->key_size, there);
    }
    kept->bytes = others + cost_of(there);
    return true;
}

/* Something that Kafka does not write: what it would mean is not known. */
static bool is_odd(int16_t type, const void *record)
{
    return type == client_quota_record_message.key &&
           ((const struct client_quota_record *)record)->entity_count > ENTITY_PARTS_MOST;
}

bool image_keep(struct image_kept *kept, int16_t type, const void *record)
{
    const struct kind *kind = kind_of(type);
    if (!kind || is_odd(type, record))
        return false;
    struct image_kept_record made = {.message = kind->message};
    made.key = make_key(kind, record, &made.key_size);
    struct image_kept_record *there = map_get(&kept->by_key, made.key, made.key_size);
    if (kind->removes && kind->removes(record)) {
        if (there)
            remove_record(kept, there);
        memory_free(made.key);
        return true;
    }
    made.body = make_body(kind->message, record, &made.body_size);
    bool put = put_record(kept, there, &made);
    if (!put)
        memory_free(made.body);
    if (!put || there)
        memory_free(made.key);
    return put;
}

/* ---- looking ------------------------------------------------------------------------------- */

const struct image_kept_record *image_kept_next(const struct image_kept *kept,
                                                const struct image_kept_record *record)
{
    const struct list *next = record ? record->order.next : kept->order.next;
    return next == &kept->order ? NULL : CONTAINER_OF(next, struct image_kept_record, order);
}

bool image_kept_same(const struct image_kept *a, const struct image_kept *b)
{
    const struct image_kept_record *x = NULL, *y = NULL;
    do {
        x = image_kept_next(a, x);
        y = image_kept_next(b, y);
        if (x && y &&
            (x->message != y->message || x->body_size != y->body_size ||
             memcmp(x->body, y->body, x->body_size) != 0))
            return false;
    } while (x && y);
    return x == y;
}
