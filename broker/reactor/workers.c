#include "reactor/workers.h"
#include "base/check.h"
#include "reactor/files.h"
#include <signal.h>
#include <unistd.h>

void workers_init(struct workers *workers, int thread_limit, int event)
{
    check(thread_limit > 0 && thread_limit <= WORKERS_MAX);
    *workers = (struct workers){.thread_limit = thread_limit, .event = event};
    list_init(&workers->queue);
    list_init(&workers->done);
    check(pthread_mutex_init(&workers->mutex, NULL) == 0);
    check(pthread_cond_init(&workers->wanted, NULL) == 0);
}

void workers_done(struct workers *workers)
{
    pthread_mutex_lock(&workers->mutex);
    check(list_is_empty(&workers->queue));
    workers->stopping = true;
    pthread_cond_broadcast(&workers->wanted);
    pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < workers->thread_count; i++)
        check(pthread_join(workers->threads[i], NULL) == 0);
    pthread_cond_destroy(&workers->wanted);
    pthread_mutex_destroy(&workers->mutex);
}

/* With the mutex held. */
static void push_done(struct workers *workers, struct op *op)
{
    bool first = list_is_empty(&workers->done);
    list_push(&workers->done, &op->link);
    uint64_t one = 1;
    if (first)
        check(write(workers->event, &one, sizeof one) == sizeof one);
}

static void *work(void *argument)
{
    struct workers *workers = argument;
    pthread_mutex_lock(&workers->mutex);
    for (;;) {
        workers->idle_count++;
        while (list_is_empty(&workers->queue) && !workers->stopping)
            pthread_cond_wait(&workers->wanted, &workers->mutex);
        workers->idle_count--;
        struct list *node = list_pop(&workers->queue);
        if (!node)
            break;
        struct op *op = CONTAINER_OF(node, struct op, link);
        pthread_mutex_unlock(&workers->mutex);
        op->result = file_call(op);
        pthread_mutex_lock(&workers->mutex);
        push_done(workers, op);
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

/* Signals are for the process's own threads: a worker blocks them all. */
static bool start_thread(struct workers *workers)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&workers->threads[workers->thread_count], NULL, work, workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        workers->thread_count++;
    return !failed;
}

static int queue_length(const struct workers *workers)
{
    int length = 0;
    for (struct list *node = workers->queue.next; node != &workers->queue; node = node->next)
        if (++length > WORKERS_MAX)
            break;
    return length;
}

void workers_submit(struct workers *workers, struct op *op)
{
    pthread_mutex_lock(&workers->mutex);
    list_push(&workers->queue, &op->link);
    bool short_of_threads = queue_length(workers) > workers->idle_count &&
                            workers->thread_count < workers->thread_limit;
    if (short_of_threads && !start_thread(workers) && workers->thread_count == 0) {
        list_remove(&op->link);
        op->result = -(int64_t)ERROR_NO_MEMORY;
        push_done(workers, op);
    }
    pthread_cond_signal(&workers->wanted);
    pthread_mutex_unlock(&workers->mutex);
}

bool workers_cancel(struct workers *workers, struct op *op)
{
    bool found = false;
    pthread_mutex_lock(&workers->mutex);
    for (struct list *node = workers->queue.next; node != &workers->queue; node = node->next)
        if (node == &op->link) {
            found = true;
            list_remove(node);
            break;
        }
    pthread_mutex_unlock(&workers->mutex);
    return found;
}

void workers_take(struct workers *workers, struct list *to)
{
    pthread_mutex_lock(&workers->mutex);
    list_splice(to, &workers->done);
    pthread_mutex_unlock(&workers->mutex);
}
