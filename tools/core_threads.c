#include "tools/core_threads.h"
#include "base/check.h"
#include <stdio.h>
#include <string.h>

/* ---- a thread ------------------------------------------------------------------------------ */

/* Does its share of each part of the crew's work until the phase is another. */
static enum core_phase work_until_run(struct core_threads *all, int core)
{
    uint64_t done = 0;
    pthread_mutex_lock(&all->mutex);
    for (;;) {
        while (all->phase == PHASE_WORK && all->parts == done)
            pthread_cond_wait(&all->changed, &all->mutex);
        if (all->parts == done)
            break;
        void (*part)(void *context, int core) = all->part;
        void *context = all->part_context;
        done = all->parts;
        pthread_mutex_unlock(&all->mutex);
        part(context, core);
        pthread_mutex_lock(&all->mutex);
        all->worked++;
        pthread_cond_broadcast(&all->changed);
    }
    enum core_phase phase = all->phase;
    pthread_mutex_unlock(&all->mutex);
    return phase;
}

static void await_close(struct core_threads *all)
{
    pthread_mutex_lock(&all->mutex);
    while (all->phase != PHASE_CLOSE)
        pthread_cond_wait(&all->changed, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
}

static void note_opened(struct core_threads *all, enum error error, const char *why)
{
    pthread_mutex_lock(&all->mutex);
    all->opened++;
    if (error && !all->port_error) {
        all->port_error = error;
        snprintf(all->why, sizeof all->why, "%s", why);
    }
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->mutex);
}

static void *core_main(void *argument)
{
    struct core_thread *self = argument;
    struct core_threads *all = self->all;
    char why[sizeof all->why] = "";
    struct port *port = NULL;
    enum error error = all->open_port(all->context, &port, why, sizeof why);
    all->ports[self->id] = port;
    note_opened(all, error, why);
    if (work_until_run(all, self->id) == PHASE_RUN) {
        core_run(all->cores[self->id]);
        pthread_mutex_lock(&all->mutex);
        all->stopped++;
        pthread_cond_broadcast(&all->changed);
        pthread_mutex_unlock(&all->mutex);
        await_close(all);
    }
    if (port)
        port->operations->close(port);
    return NULL;
}

/* ---- all of them --------------------------------------------------------------------------- */

/* Until `*count` says that every other thread has come so far. */
static void await(struct core_threads *all, const int *count)
{
    pthread_mutex_lock(&all->mutex);
    while (*count < all->count - 1)
        pthread_cond_wait(&all->changed, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
}

static void set_phase(struct core_threads *all, enum core_phase phase)
{
    pthread_mutex_lock(&all->mutex);
    all->phase = phase;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->mutex);
}

static void crew_work(struct crew *crew, void (*part)(void *context, int core), void *context)
{
    struct core_threads *all = CONTAINER_OF(crew, struct core_threads, crew);
    pthread_mutex_lock(&all->mutex);
    check(all->phase == PHASE_WORK);
    all->part = part;
    all->part_context = context;
    all->parts++;
    all->worked = 0;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->mutex);
    part(context, 0);
    await(all, &all->worked);
}

bool core_threads_start(struct core_threads *all, int count,
                        enum error (*open_port)(void *context, struct port **ret_port, char *why,
                                                size_t size),
                        void *context)
{
    check(count > 0 && count <= CORE_THREADS_MAX);
    *all = (struct core_threads){
        .crew = {.work = crew_work}, .count = count, .open_port = open_port, .context = context};
    pthread_mutex_init(&all->mutex, NULL);
    pthread_cond_init(&all->changed, NULL);
    for (int i = 1; i < count; i++) {
        struct core_thread *thread = &all->threads[i];
        *thread = (struct core_thread){.all = all, .id = i};
        thread->started = pthread_create(&thread->thread, NULL, core_main, thread) == 0;
        if (!thread->started) {
            snprintf(all->why, sizeof all->why, "can't start the thread of core %d", i);
            return false;
        }
        char name[16];
        snprintf(name, sizeof name, "bole-core-%d", i);
        pthread_setname_np(thread->thread, name);
    }
    char why[sizeof all->why] = "";
    enum error error = open_port(context, &all->ports[0], why, sizeof why);
    await(all, &all->opened);
    if (error && !all->port_error)
        snprintf(all->why, sizeof all->why, "%s", why);
    return !error && !all->port_error;
}

void core_threads_run(struct core_threads *all)
{
    set_phase(all, PHASE_RUN);
}

void core_threads_await(struct core_threads *all)
{
    await(all, &all->stopped);
}

void core_threads_end(struct core_threads *all)
{
    set_phase(all, PHASE_CLOSE);
    for (int i = 1; i < all->count; i++)
        if (all->threads[i].started)
            pthread_join(all->threads[i].thread, NULL);
    if (all->ports[0])
        all->ports[0]->operations->close(all->ports[0]);
}
