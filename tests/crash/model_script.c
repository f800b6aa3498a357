/* Scripts of the model: drawn, written, read, and made short. */
#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "crash/model.h"
#include "crash/operations.h"
#include <stdio.h>
#include <stdlib.h>

enum { LINE_BYTES = 64 };

static const struct {
    const char *name;
    uint32_t weight;
    const char *numbers;
} kinds[MODEL_OPERATION_COUNT] = {
#define MODEL_OPERATION(name, weight, numbers) {#name, weight, numbers},
#include "crash/model_operations.def"
#undef MODEL_OPERATION
};

static uint32_t take(struct random *random, const char *numbers, char which)
{
    uint32_t number = (uint32_t)random_next(random);
    return strchr(numbers, which) ? number : 0;
}

struct model_script model_script_random(uint64_t seed, int count)
{
    struct model_script script = {.seed = seed, .count = count};
    script.operations = memory_zeroed((size_t)count * sizeof script.operations[0]);
    struct random random;
    random_seed(&random, seed ^ 0x30de1);
    uint32_t sum = 0;
    for (int i = 0; i < MODEL_OPERATION_COUNT; i++)
        sum += kinds[i].weight;
    for (int i = 0; i < count; i++) {
        uint32_t at = (uint32_t)random_below(&random, sum);
        int kind = 0;
        while (at >= kinds[kind].weight)
            at -= kinds[kind++].weight;
        const char *numbers = kinds[kind].numbers;
        script.operations[i] =
            (struct model_operation){.kind = (enum model_operation_kind)kind,
                                     .slot = take(&random, numbers, 's') % SCRIPT_SLOTS,
                                     .a = take(&random, numbers, 'a'),
                                     .b = take(&random, numbers, 'b')};
    }
    return script;
}

void model_script_done(struct model_script *script)
{
    memory_free(script->operations);
}

char *model_script_text(const struct model_script *script)
{
    size_t size = ((size_t)script->count + 1) * LINE_BYTES, at = 0;
    char *text = memory_zeroed(size);
    at += (size_t)snprintf(text, size, "seed %llu\n", (unsigned long long)script->seed);
    for (int i = 0; i < script->count; i++) {
        const struct model_operation *operation = &script->operations[i];
        const char *numbers = kinds[operation->kind].numbers;
        at += (size_t)snprintf(text + at, size - at, "%s", kinds[operation->kind].name);
        const uint32_t values[] = {operation->slot, operation->a, operation->b};
        for (int j = 0; j < 3; j++)
            if (strchr(numbers, "sab"[j]))
                at += (size_t)snprintf(text + at, size - at, " %u", values[j]);
        at += (size_t)snprintf(text + at, size - at, "\n");
    }
    return text;
}

static bool parse_line(const char *line, size_t size, struct model_operation *ret)
{
    size_t name = strcspn(line, " \n");
    for (int kind = 0; kind < MODEL_OPERATION_COUNT; kind++) {
        if (strlen(kinds[kind].name) != name || memcmp(kinds[kind].name, line, name) != 0)
            continue;
        *ret = (struct model_operation){.kind = (enum model_operation_kind)kind};
        uint32_t *values[] = {&ret->slot, &ret->a, &ret->b};
        const char *at = line + name;
        for (int j = 0; j < 3; j++) {
            char *end = NULL;
            if (!strchr(kinds[kind].numbers, "sab"[j]))
                continue;
            *values[j] = (uint32_t)strtoul(at, &end, 10);
            if (end == at || end > line + size)
                return false;
            at = end;
        }
        return ret->slot < SCRIPT_SLOTS;
    }
    return false;
}

int model_script_parse(const char *text, struct model_script *ret)
{
    unsigned long long seed;
    if (sscanf(text, "seed %llu", &seed) != 1)
        return -1;
    size_t lines = 1;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    struct model_script script = {.seed = seed};
    script.operations = memory_zeroed(lines * sizeof script.operations[0]);
    const char *line = text + strcspn(text, "\n");
    while (*line == '\n' && line[1]) {
        line++;
        size_t size = strcspn(line, "\n");
        if (!parse_line(line, size, &script.operations[script.count])) {
            model_script_done(&script);
            return -1;
        }
        script.count++;
        line += size;
    }
    *ret = script;
    return 0;
}

/* Does it still fail without `size` operations from `at` on? Then they are gone. */
static bool shorten(struct model_script *script, int at, int size,
                    bool (*fails)(const struct model_script *script, void *context), void *context)
{
    struct model_script shorter = {.seed = script->seed, .count = script->count - size};
    shorter.operations = memory_zeroed((size_t)script->count * sizeof shorter.operations[0]);
    memcpy(shorter.operations, script->operations, (size_t)at * sizeof shorter.operations[0]);
    memcpy(shorter.operations + at, script->operations + at + size,
           (size_t)(shorter.count - at) * sizeof shorter.operations[0]);
    bool still = fails(&shorter, context);
    if (still)
        memcpy(script->operations, shorter.operations,
               (size_t)shorter.count * sizeof shorter.operations[0]);
    script->count = still ? shorter.count : script->count;
    model_script_done(&shorter);
    return still;
}

void model_shrink(struct model_script *script, int runs,
                  bool (*fails)(const struct model_script *script, void *context), void *context)
{
    bool shorter = true; /* at the smallest size, until nothing goes any more */
    for (int size = script->count / 2; size > 0 && runs > 0; size = size > 1 ? size / 2 : shorter) {
        shorter = false;
        for (int at = script->count - size; at >= 0 && runs > 0; at -= size, runs--)
            if (shorten(script, at, size, fails, context))
                shorter = true;
    }
}
