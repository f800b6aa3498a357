/* Random operations against a model of a log. BOLE_MODEL_SEED and BOLE_MODEL_SEEDS: from which seed
 * on, and how many; BOLE_MODEL=file: the script in it and nothing else. */
#include "base/check.h"
#include "base/memory.h"
#include "crash/model.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { OPERATIONS = 2000, SEEDS = 300, RUNS_TO_SHRINK = 1000 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static bool fails(const struct model_script *script, void *context)
{
    char failure[800];
    (void)context;
    model_run_apart(script, failure, sizeof failure);
    return failure[0] != 0;
}

/* Makes a script that fails short and prints it. */
static void print_short(struct model_script *script)
{
    model_shrink(script, RUNS_TO_SHRINK, fails, NULL);
    char failure[800];
    model_run_apart(script, failure, sizeof failure);
    char *text = model_script_text(script);
    printf("%s\n  %d operations fail; repeat them with BOLE_MODEL=file and in it:\n%s", failure,
           script->count, text);
    memory_free(text);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!test_expect(file != NULL, __FILE__, __LINE__, "%s can't be opened", path))
        return;
    size_t capacity = 1 << 20;
    char *text = memory_zeroed(capacity);
    size_t size = fread(text, 1, capacity - 1, file);
    fclose(file);
    struct model_script script;
    bool parsed = size > 0 && model_script_parse(text, &script) == 0;
    if (test_expect(parsed, __FILE__, __LINE__, "%s is no script", path)) {
        char failure[800];
        model_run(&script, failure, sizeof failure);
        EQ_TEXT(failure, "");
        model_script_done(&script);
    }
    memory_free(text);
}

TEST(model, random_operations)
{
    if (getenv("BOLE_MODEL")) {
        run_file(getenv("BOLE_MODEL"));
        return;
    }
    uint64_t first = number_of("BOLE_MODEL_SEED", 1);
    uint64_t end = first + number_of("BOLE_MODEL_SEEDS", SEEDS);
    bool passed = true;
    for (uint64_t seed = first; seed < end && passed; seed++) {
        struct model_script script = model_script_random(seed, OPERATIONS);
        char failure[800];
        model_run_apart(&script, failure, sizeof failure);
        passed = test_expect(failure[0] == 0, __FILE__, __LINE__, "seed %llu: %s",
                             (unsigned long long)seed, failure);
        if (!passed)
            print_short(&script);
        model_script_done(&script);
    }
}

/* Scripts that failed once. */
TEST(model, goes_well_where_it_once_did_not)
{
    static const uint64_t seeds[] = {
        185, /* the snapshot of producers that a log rests on goes while segments go */
        479, /* the same goes by a cut that the journal holds and is carried out once more */
    };
    for (int i = 0; i < ARRAY_COUNT(seeds); i++) {
        struct model_script script = model_script_random(seeds[i], OPERATIONS);
        char failure[800];
        model_run_apart(&script, failure, sizeof failure);
        EQ_TEXT(failure, "");
        model_script_done(&script);
    }
}

TEST(model, scripts_are_text)
{
    struct model_script script = model_script_random(7, 300), back;
    char *text = model_script_text(&script);
    EQ(model_script_parse(text, &back), 0);
    EQ(back.seed, 7);
    EQ(back.count, script.count);
    char *again = model_script_text(&back);
    EQ_TEXT(again, text);
    EQ(model_script_parse("seed 1\nfly 3\n", &back), -1);
    EQ(model_script_parse("append 0 1 1\n", &back), -1);
    memory_free(text);
    memory_free(again);
    model_script_done(&script);
    model_script_done(&back);
}

/* A failure that takes a stop and, somewhere behind it, a removal. */
static bool has_both(const struct model_script *script, void *context)
{
    bool stopped = false;
    ++*(int *)context;
    for (int i = 0; i < script->count; i++) {
        stopped = stopped || script->operations[i].kind == MODEL_stop;
        if (stopped && script->operations[i].kind == MODEL_remove)
            return true;
    }
    return false;
}

TEST(model, a_script_shrinks_to_what_matters)
{
    int runs = 0;
    struct model_script script = model_script_random(3, 2000);
    TRUE_(has_both(&script, &runs));
    model_shrink(&script, RUNS_TO_SHRINK, has_both, &runs);
    EQ(script.count, 2);
    EQ(script.operations[0].kind, MODEL_stop);
    EQ(script.operations[1].kind, MODEL_remove);
    TRUE_(runs <= RUNS_TO_SHRINK + 1);
    model_script_done(&script);
}
