/* File operations of the world: handles, alignment, injected faults and the rules of use whose
 * breach is a violation; what a disk keeps is in disk.h. */
#include "sim/disk_record.h"
#include "sim/world_parts.h"
#include "base/bytes.h"
#include "base/memory.h"

#define FILE_BYTES_MAX ((int64_t)1 << 36)

/* A fast hash of a write's bytes. */
static uint64_t vectors_checksum(const struct op *op)
{
    uint64_t hash = 0x2545f4914f6cdd1du;
    for (int32_t i = 0; i < op->vector_count; i++) {
        const uint8_t *at = op->vectors[i].iov_base;
        size_t size = op->vectors[i].iov_len;
        for (; size >= 8; size -= 8, at += 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            hash = (hash ^ word) * 0x9fb21c651e98df25u;
            hash ^= hash >> 29;
        }
        for (; size > 0; size--)
            hash = (hash ^ *at++) * 0x100000001b3u;
    }
    return hash;
}

static int64_t vectors_size(const struct op *op)
{
    int64_t size = 0;
    for (int32_t i = 0; i < op->vector_count; i++)
        size += (int64_t)op->vectors[i].iov_len;
    return size;
}

static void open_file_release(struct machine *machine, struct open_file *file)
{
    if (!file || --file->references > 0)
        return;
    if ((file->flags & OPEN_DIRECT) && (file->flags & OPEN_WRITE) &&
        --file->inode->direct_writers == 0)
        file->inode->written_direct = false;
    if (file->flags & OPEN_LOCK)
        file->inode->locked = false;
    list_remove(&file->link);
    inode_release(machine->disk, file->inode);
    memory_free(file);
}

/* ---- submission: who may do what ---- */

static bool is_aligned(const struct op *op, uint32_t alignment)
{
    uint64_t mask = alignment - 1, bits = (uint64_t)op->offset;
    if (op->kind == OP_READ)
        return ((bits | op->size | (uintptr_t)op->data) & mask) == 0;
    for (int32_t i = 0; i < op->vector_count; i++)
        bits |= op->vectors[i].iov_len | (uintptr_t)op->vectors[i].iov_base;
    return (bits & mask) == 0;
}

/* Two writes in flight must not touch the same sector; through the page cache, the same byte. */
static void look_for_overlap(struct world *world, const struct open_file *file, const struct op *op)
{
    struct inode *inode = file->inode;
    uint64_t sector = file->flags & OPEN_DIRECT ? world->settings.sector_bytes : 1;
    int64_t from = (int64_t)align_down((uint64_t)op->offset, sector);
    int64_t end = (int64_t)align_up((uint64_t)(op->offset + vectors_size(op)), sector);
    for (struct list *node = inode->in_flight.next; node != &inode->in_flight; node = node->next) {
        const struct op *other = CONTAINER_OF(node, struct op, link);
        int64_t other_from = (int64_t)align_down((uint64_t)other->offset, sector);
        int64_t other_end =
            (int64_t)align_up((uint64_t)(other->offset + vectors_size(other)), sector);
        if (from < other_end && other_from < end)
            world_violation(world, "second write in flight at %lld of inode %u",
                            (long long)op->offset, inode->id);
    }
}

static enum error submit_transfer(struct machine *machine, struct open_file *file, struct op *op)
{
    struct world *world = machine->world;
    bool writes = op->kind == OP_WRITE, direct = file->flags & OPEN_DIRECT;
    int64_t size = writes ? vectors_size(op) : (int64_t)op->size;
    if (!(file->flags & (writes ? OPEN_WRITE : OPEN_READ)) || file->inode->is_directory)
        return ERROR_BAD_ARGUMENT;
    if (op->offset < 0 || op->offset + size > FILE_BYTES_MAX)
        return ERROR_BAD_ARGUMENT;
    if (direct && !is_aligned(op, world->settings.direct_alignment))
        return ERROR_NOT_SUPPORTED;
    if (direct && !writes && op->flags & READ_CACHED_ONLY)
        return ERROR_BAD_ARGUMENT;
    if (!direct && file->inode->written_direct)
        world_violation(world, "inode %u is %s buffered after direct writes since its last flush",
                        file->inode->id, writes ? "written" : "read");
    if (!writes)
        return ERROR_NONE;
    look_for_overlap(world, file, op);
    op_state(op)->checksum = vectors_checksum(op);
    return ERROR_NONE;
}

static bool has_path(const struct op *op)
{
    return op->kind == OP_OPEN || op->kind == OP_RENAME || op->kind == OP_REMOVE ||
           op->kind == OP_MAKE_DIRECTORY || (op->kind == OP_STAT && op->path);
}

static bool changes_disk(const struct op *op)
{
    return op->kind != OP_READ && op->kind != OP_LIST && op->kind != OP_STAT &&
           op->kind != OP_SPACE && (op->kind != OP_OPEN || op->flags & OPEN_CREATE);
}

static struct disk_change change_of(const struct op *op)
{
    const struct op_state *state = (const struct op_state *)op->scratch;
    const struct open_file *file = state->object;
    return (struct disk_change){
        .kind = op->kind,
        .durable = op->kind == OP_WRITE && op->flags & WRITE_DURABLE,
        .flags = op->flags,
        .inode = file ? file->inode->id : 0,
        .offset = op->offset,
        .size = op->kind == OP_WRITE ? vectors_size(op) : (int64_t)op->size,
        .bound = state->bound,
        .vectors = op->vectors,
        .vector_count = op->vector_count,
        .path = op->path,
        .path_to = op->path_to,
    };
}

static void folder_of(const char *path, char folder[WORLD_FOLDER_BYTES])
{
    size_t size = strcspn(path + (*path == '/'), "/");
    size = size < WORLD_FOLDER_BYTES - 1 ? size : WORLD_FOLDER_BYTES - 1;
    memset(folder, 0, WORLD_FOLDER_BYTES);
    memcpy(folder, path + (*path == '/'), size);
}

/* Does it ask something of a disk that is broken? */
static bool is_broken(const struct machine *machine, const struct op *op)
{
    const struct open_file *file = ((const struct op_state *)op->scratch)->object;
    char folder[WORLD_FOLDER_BYTES];
    if (!machine->broken[0])
        return false;
    if (file)
        return strcmp(file->folder, machine->broken) == 0;
    folder_of(op->path, folder);
    return strcmp(folder, machine->broken) == 0;
}

void file_submit(struct op *op)
{
    struct op_state *state = op_state(op);
    struct machine *machine = state->port->machine;
    enum error error = ERROR_NONE;
    if (!has_path(op)) {
        struct open_file *file = handle_get(machine, op->handle, HANDLE_FILE);
        if (!file) {
            error = ERROR_BAD_ARGUMENT;
        } else {
            file->references++;
            state->object = file;
            if (op->kind == OP_READ || op->kind == OP_WRITE)
                error = submit_transfer(machine, file, op);
        }
    } else if (!op->path || (op->kind == OP_RENAME && !op->path_to)) {
        error = ERROR_BAD_ARGUMENT;
    }
    if (!error && is_broken(machine, op))
        state->error = ERROR_INPUT_OUTPUT;
    state->bound = machine->disk->sequence + 1;
    if (error) {
        state->error = error;
    } else if (changes_disk(op)) {
        struct open_file *file = state->object;
        list_push(op->kind == OP_WRITE ? &file->inode->in_flight : &machine->name_operations,
                  &op->link);
        struct disk_change change = change_of(op);
        if (machine->recording)
            state->record = disk_record_submit(machine->recording, &change);
    }
    op_schedule(op);
}

/* ---- execution ---- */

/* Asks the disk, for the recording too. */
static int64_t change_disk(struct machine *machine, struct op *op, const struct disk_change *change)
{
    int64_t result = disk_execute(machine->disk, change);
    if (machine->recording && op_state(op)->record >= 0) {
        disk_record_complete(machine->recording, op_state(op)->record, change, result);
        op_state(op)->record = -1;
    }
    return result;
}

/* Of a transfer of `size` bytes, how many are done: some, but not all. */
static int64_t shorten(struct world *world, const struct open_file *file, int64_t size)
{
    int64_t unit = file->flags & OPEN_DIRECT ? world->settings.direct_alignment : 1;
    if (size <= unit)
        return size;
    return (int64_t)random_below(&world->random, (uint64_t)((size - 1) / unit)) * unit + unit;
}

static int64_t execute_write(struct machine *machine, struct op *op)
{
    struct op_state *state = op_state(op);
    struct open_file *file = state->object;
    struct world *world = machine->world;
    if (vectors_checksum(op) != state->checksum)
        world_violation(world,
                        "the memory of a write in flight was changed (inode %u, offset %lld)",
                        file->inode->id, (long long)op->offset);
    struct disk_change change = change_of(op);
    if (change.size == 0)
        return 0;
    if (file->flags & OPEN_DIRECT)
        file->inode->written_direct = true;
    if (state->error) { /* some of it may have gone through, and is not durable */
        change.durable = false;
        change.size = (int64_t)random_below(&world->random, (uint64_t)change.size + 1);
        change.size -= change.size % (int64_t)world->settings.sector_bytes;
        if (change.size > 0)
            (void)change_disk(machine, op, &change); /* its result is the injected error */
        return -state->error;
    }
    if (state->shortened)
        change.size = shorten(world, file, change.size);
    int64_t result = change_disk(machine, op, &change);
    (file->flags & OPEN_DIRECT ? inode_uncache : inode_cache)(file->inode, op->offset, result);
    return result;
}

/* May a read be answered that asks the page cache only? */
static enum error ask_cache(struct world *world, struct inode *inode, int64_t offset, int64_t size)
{
    if (world->settings.cache_untold)
        return ERROR_NOT_SUPPORTED;
    if (offset + size > inode->size)
        return ERROR_WOULD_WAIT;
    if (random_once_in(&world->random, world->settings.forget_once_in)) {
        int64_t kept = (int64_t)random_below(&world->random, (uint64_t)size + 1);
        inode_uncache(inode, offset + kept, size - kept);
    }
    return inode_is_cached(inode, offset, size) ? ERROR_NONE : ERROR_WOULD_WAIT;
}

static int64_t execute_read(struct machine *machine, struct op *op)
{
    struct open_file *file = op_state(op)->object;
    int64_t size = (int64_t)op->size;
    if (op->flags & READ_CACHED_ONLY) {
        enum error error = ask_cache(machine->world, file->inode, op->offset, size);
        if (error)
            return -error;
    }
    if (op_state(op)->shortened)
        size = shorten(machine->world, file, size);
    int64_t result = disk_read(machine->disk, file->inode, op->offset, op->data, (size_t)size);
    if (!(file->flags & OPEN_DIRECT))
        inode_cache(file->inode, op->offset, result);
    return result;
}

static int64_t execute_open(struct machine *machine, struct op *op)
{
    struct disk *disk = machine->disk;
    struct disk_change change = change_of(op);
    int64_t id = change_disk(machine, op, &change);
    if (id < 0)
        return id;
    struct inode *inode = disk->inodes[id];
    if (inode->is_directory && op->flags & OPEN_WRITE)
        return -ERROR_BAD_ARGUMENT;
    if (!inode->is_directory && op->flags & OPEN_DIRECTORY)
        return -ERROR_NOT_FOUND; /* no such folder */
    if (op->flags & OPEN_LOCK && inode->locked)
        return -ERROR_NO_PERMISSION;
    struct open_file *file = memory_zeroed(sizeof *file);
    int32_t handle = handle_add(machine, HANDLE_FILE, file);
    if (handle < 0) {
        memory_free(file);
        return handle;
    }
    inode_reference(inode);
    *file = (struct open_file){.inode = inode,
                               .flags = op->flags,
                               .references = 1,
                               .losses_told = inode->losses - inode->unreported,
                               .all_losses_told = machine->disk->losses};
    folder_of(op->path, file->folder);
    list_push(&machine->files, &file->link);
    inode->locked |= (op->flags & OPEN_LOCK) != 0;
    inode->direct_writers += (op->flags & OPEN_DIRECT) && (op->flags & OPEN_WRITE);
    return handle;
}

static int64_t execute_stat(struct machine *machine, const struct op *op,
                            const struct open_file *file)
{
    const struct inode *inode = file ? file->inode : disk_find(machine->disk, op->path);
    if (!inode)
        return -ERROR_NOT_FOUND;
    *(struct file_stat *)op->data =
        (struct file_stat){.size_bytes = inode->size,
                           .allocated_bytes = (int64_t)inode->page_count * DISK_PAGE_BYTES,
                           .direct_alignment = machine->world->settings.direct_alignment,
                           .is_directory = inode->is_directory};
    return 0;
}

static int64_t execute_space(struct machine *machine, const struct op *op)
{
    const int64_t unlimited = (int64_t)1 << 50;
    const struct disk *disk = machine->disk;
    int64_t total = disk->limit_bytes ? disk->limit_bytes : unlimited;
    *(struct file_space *)op->data =
        (struct file_space){max_i64(total - disk->used_bytes, 0), total};
    return 0;
}

/* Linux keeps errors of writing back with the file and with the file system (errseq_t): whoever has
 * them open is told once, whosever flush it was that failed; one that nobody was told of also to
 * those who open the file later. */
static bool was_loss(struct machine *machine, uint8_t kind, struct open_file *file)
{
    struct inode *inode = file->inode;
    bool all = kind == OP_FLUSH_ALL;
    bool lost =
        all ? file->all_losses_told != machine->disk->losses : file->losses_told != inode->losses;
    if (all) {
        file->all_losses_told = machine->disk->losses;
    } else {
        file->losses_told = inode->losses;
        inode->unreported = false;
    }
    return lost;
}

/* What a broken disk has lost is told by no flush of another one: a folder of the root is a file
 * system of its own (world_break). */
static void keep_losses_apart(struct machine *machine, const struct op *op, uint32_t before)
{
    if (machine->disk->losses == before || !is_broken(machine, op))
        return;
    for (struct list *node = machine->files.next; node != &machine->files; node = node->next) {
        struct open_file *file = CONTAINER_OF(node, struct open_file, link);
        if (strcmp(file->folder, machine->broken) != 0)
            file->all_losses_told += machine->disk->losses - before;
    }
}

static int64_t execute(struct machine *machine, struct op *op)
{
    struct op_state *state = op_state(op);
    struct open_file *file = state->object;
    struct disk_change change = change_of(op);
    if (op->kind == OP_WRITE && file && list_is_empty(&op->link))
        return -state->error; /* refused at submission */
    switch ((enum op_kind)op->kind) {
    case OP_WRITE:
        return execute_write(machine, op);
    case OP_FLUSH:
    case OP_FLUSH_ALL: {
        if (!file)
            break;
        change.fails = state->error != 0;
        uint32_t losses = machine->disk->losses;
        (void)change_disk(machine, op, &change); /* fails only where it is told to */
        keep_losses_apart(machine, op, losses);
        bool lost = was_loss(machine, op->kind, file);
        return state->error ? -state->error : lost ? -ERROR_INPUT_OUTPUT : 0;
    }
    default:
        break;
    }
    if (state->error)
        return -state->error;
    switch ((enum op_kind)op->kind) {
    case OP_OPEN:
        return execute_open(machine, op);
    case OP_READ:
        return execute_read(machine, op);
    case OP_LIST:
        return file->inode->is_directory ? disk_list(file->inode, &file->cookie, op->data, op->size)
                                         : -ERROR_BAD_ARGUMENT;
    case OP_STAT:
        return execute_stat(machine, op, file);
    case OP_SPACE:
        return execute_space(machine, op);
    case OP_ALLOCATE:
    case OP_TRUNCATE:
        if (!(file->flags & OPEN_WRITE) || op->offset < 0 ||
            op->offset + (int64_t)op->size > FILE_BYTES_MAX)
            return -ERROR_BAD_ARGUMENT;
        return change_disk(machine, op, &change);
    default:
        return change_disk(machine, op, &change);
    }
}

int64_t file_execute(struct op *op)
{
    struct op_state *state = op_state(op);
    struct machine *machine = state->port->machine;
    bool gone = state->cancelled && random_below(&machine->world->random, 2);
    int64_t result = gone ? -ERROR_CANCELLED : execute(machine, op);
    if (machine->recording && state->record >= 0) /* it ended before the disk was asked */
        disk_record_complete(machine->recording, state->record, NULL, result);
    list_remove(&op->link);
    open_file_release(machine, state->object);
    return result;
}

int64_t file_close(struct machine *machine, struct open_file *file)
{
    if (file->references > 1)
        world_violation(machine->world, "inode %u: closed with operations in flight",
                        file->inode->id);
    open_file_release(machine, file);
    return 0;
}

/* ---- the end of a process ---- */

/* What was in flight when the process ended. */
static void end_in_flight(struct machine *machine, struct op *op, struct disk_choice *choice)
{
    struct disk_change change = change_of(op);
    list_remove(&op->link);
    if (choice)
        disk_crash_in_flight(machine->disk, &change, choice);
    else if (random_below(&machine->world->random, 2))
        (void)disk_execute(machine->disk, &change); /* nobody waits for the result */
}

void file_stop_machine(struct machine *machine, bool power_lost)
{
    struct disk_choice choice = disk_choice_of(CHOICE_RANDOM, random_next(&machine->world->random));
    struct disk_choice *crash = power_lost ? &choice : NULL;
    if (machine->recording)
        machine->recording->ended = true;
    for (struct list *node = machine->files.next; node != &machine->files; node = node->next) {
        struct list *writes = &CONTAINER_OF(node, struct open_file, link)->inode->in_flight;
        while (!list_is_empty(writes))
            end_in_flight(machine, CONTAINER_OF(writes->next, struct op, link), crash);
    }
    while (!list_is_empty(&machine->name_operations))
        end_in_flight(machine, CONTAINER_OF(machine->name_operations.next, struct op, link), crash);
    while (!list_is_empty(&machine->files)) {
        struct open_file *file = CONTAINER_OF(machine->files.next, struct open_file, link);
        file->references = 1;
        open_file_release(machine, file);
    }
    if (power_lost)
        disk_crash(machine->disk, &choice);
}

/* ---- recordings and images ---- */

void world_record_start(struct world *world, int machine)
{
    struct machine *m = world->machines[machine];
    check(!m->recording);
    for (struct list *node = m->files.next; node != &m->files; node = node->next)
        check(list_is_empty(&CONTAINER_OF(node, struct open_file, link)->inode->in_flight));
    check(list_is_empty(&m->name_operations)); /* else the recording would miss them */
    m->recording = disk_recording_create(m->disk);
}

struct disk_recording *world_record_stop(struct world *world, int machine)
{
    struct disk_recording *recording = world->machines[machine]->recording;
    world->machines[machine]->recording = NULL;
    return recording;
}

void world_record_mark(struct world *world, int machine, int64_t value)
{
    if (world->machines[machine]->recording)
        disk_record_mark(world->machines[machine]->recording, value);
}

void world_load_disk(struct world *world, int machine, struct disk *disk)
{
    struct machine *m = world->machines[machine];
    check(list_is_empty(&m->files) && list_is_empty(&m->name_operations) && !m->recording);
    disk_destroy(m->disk);
    m->disk = disk;
    disk->limit_bytes = world->settings.disk_limit_bytes;
    world->settings.sector_bytes = disk->sector_bytes;
}
