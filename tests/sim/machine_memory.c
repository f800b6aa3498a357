#include "sim/machine_memory.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/world_parts.h"

/* Before each block. Its size is a multiple of 16, so that blocks stay aligned. */
struct block {
    struct list link;
    _Alignas(16) void *start; /* what the heap gave */
    size_t size;
    int machine; /* index, or MEMORY_NOBODY */
    uint32_t magic;
};
_Static_assert(sizeof(struct block) % 16 == 0, "blocks stay aligned");

enum { BLOCK_MAGIC = 0x626c6b21, BLOCK_FREED = 0x66726565 };

struct account {
    struct list blocks;
    size_t bytes, count;
};

/* The program's: --wrap has no argument of ours, and one simulation runs at a time. */
static struct account accounts[WORLD_MACHINES_MAX];
static int current = MEMORY_NOBODY, calling = MEMORY_NOBODY;
jmp_buf machine_call_end;

void *__real_memory_zeroed(size_t size);
void *__real_memory_aligned(size_t alignment, size_t size);
void __real_memory_free(void *memory);
void __real_core_turn(struct core *core, bool may_wait);
void *__wrap_memory_zeroed(size_t size);
void *__wrap_memory_aligned(size_t alignment, size_t size);
void *__wrap_memory_resized(void *memory, size_t size);
void __wrap_memory_free(void *memory);
void __wrap_core_turn(struct core *core, bool may_wait);

static struct account *account_of(int machine)
{
    struct account *account = &accounts[machine];
    if (!account->blocks.next)
        list_init(&account->blocks);
    return account;
}

static void *keep(void *start, size_t ahead, size_t size)
{
    struct block *block = (struct block *)((uint8_t *)start + ahead) - 1;
    *block = (struct block){.start = start, .size = size, .machine = current, .magic = BLOCK_MAGIC};
    list_init(&block->link);
    if (current != MEMORY_NOBODY) {
        struct account *account = account_of(current);
        list_push(&account->blocks, &block->link);
        account->bytes += size;
        account->count++;
    }
    return block + 1;
}

static struct block *block_of(void *memory)
{
    struct block *block = (struct block *)memory - 1;
    check(block->magic == BLOCK_MAGIC);
    return block;
}

static void forget(struct block *block)
{
    if (block->machine != MEMORY_NOBODY) {
        accounts[block->machine].bytes -= block->size;
        accounts[block->machine].count--;
    }
    list_remove(&block->link);
    block->magic = BLOCK_FREED;
}

void *__wrap_memory_zeroed(size_t size)
{
    return keep(__real_memory_zeroed(sizeof(struct block) + size), sizeof(struct block), size);
}

/* Spoilt, so that a run that reads what it did not write differs from the next. */
void *__wrap_memory_aligned(size_t alignment, size_t size)
{
    size_t ahead = alignment < sizeof(struct block) ? sizeof(struct block) : alignment;
    ahead = (ahead + alignment - 1) & ~(alignment - 1);
    void *memory = keep(__real_memory_aligned(alignment, ahead + size), ahead, size);
    memset(memory, 0xa5, size < 4096 ? size : 4096);
    return memory;
}

void *__wrap_memory_resized(void *memory, size_t size)
{
    if (!memory)
        return __wrap_memory_zeroed(size);
    struct block *block = block_of(memory);
    int before = machine_memory_enter(block->machine); /* it stays whose it was */
    void *resized = __wrap_memory_zeroed(size);
    current = before;
    memcpy(resized, memory, size < block->size ? size : block->size);
    __wrap_memory_free(memory);
    return resized;
}

void __wrap_memory_free(void *memory)
{
    if (!memory)
        return;
    struct block *block = block_of(memory);
    forget(block);
    __real_memory_free(block->start);
}

int machine_memory_enter(int machine)
{
    int before = current;
    current = machine;
    return before;
}

size_t machine_memory_bytes(int machine)
{
    return accounts[machine].bytes;
}

size_t machine_memory_blocks(int machine)
{
    return accounts[machine].count;
}

void machine_memory_drop(int machine)
{
    struct account *account = account_of(machine);
    for (struct list *node; (node = account->blocks.next) != &account->blocks;)
        __wrap_memory_free(CONTAINER_OF(node, struct block, link) + 1);
    check(account->bytes == 0 && account->count == 0);
}

void machine_calls(int machine)
{
    check(calling == MEMORY_NOBODY);
    calling = machine;
    machine_memory_enter(machine);
}

void machine_end(void)
{
    calling = MEMORY_NOBODY;
    machine_memory_enter(MEMORY_NOBODY);
}

void __wrap_core_turn(struct core *core, bool may_wait)
{
    struct world_port *port = CONTAINER_OF(core->port, struct world_port, port);
    int before = machine_memory_enter(port->machine->index);
    __real_core_turn(core, may_wait);
    current = before;
}

/* ---- ports: what the world takes is nobody's ---- */

static void port_submit(struct port *port, struct op *op)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    world_port_operations.submit(port, op);
    current = before;
}

static void port_cancel(struct port *port, struct op *op)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    world_port_operations.cancel(port, op);
    current = before;
}

static void port_wait(struct port *port, int64_t until_ns)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    world_port_operations.wait(port, until_ns);
    current = before;
    const struct world_port *at = CONTAINER_OF(port, struct world_port, port);
    if (at->alive || at->machine->index != calling)
        return;
    if (world_crew_works(at->world))
        world_crew_leave(at->world);
    longjmp(machine_call_end, 1);
}

static void port_wake(struct port *port)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    world_port_operations.wake(port);
    current = before;
}

static void port_clock(struct port *port, struct now *now)
{
    world_port_operations.clock(port, now);
}

static void port_give_back(struct port *port, int32_t buffer)
{
    world_port_operations.give_back(port, buffer);
}

static void port_close(struct port *port)
{
    world_port_operations.close(port);
}

static const struct port_operations operations = {
    .name = "world",
    .submit = port_submit,
    .cancel = port_cancel,
    .wait = port_wait,
    .wake = port_wake,
    .clock = port_clock,
    .give_back = port_give_back,
    .close = port_close,
};

struct port *machine_port(struct world *world, int machine, int core)
{
    int before = machine_memory_enter(MEMORY_NOBODY);
    struct port *port = world_port(world, machine, core);
    port->operations = &operations;
    world->account = machine_memory_enter;
    current = before;
    return port;
}

static void crew_work(struct crew *at, void (*part)(void *context, int core), void *context)
{
    struct machine_crew *crew = CONTAINER_OF(at, struct machine_crew, crew);
    crew->within.crew.work(&crew->within.crew, part, context);
    if (crew->within.machine == calling && !crew->within.world->machines[calling]->running)
        longjmp(machine_call_end, 1); /* its parts were left */
}

struct crew *machine_crew_init(struct machine_crew *crew, struct world *world, int machine,
                               int count)
{
    *crew = (struct machine_crew){.crew = {.work = crew_work}};
    world_crew_init(&crew->within, world, machine, count);
    return &crew->crew;
}
