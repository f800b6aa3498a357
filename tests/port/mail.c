/* What one thread can't show: two cores on two threads, each with a port of the system. Built with
 * the thread sanitizer as well. */
#include "base/check.h"
#include "reactor/core.h"
#include "support/test.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { ROUND_TRIPS = 100000, PLAYERS_MAX = 16 };

typedef enum error (*port_opener)(const struct port_options *options, struct port **ret_port,
                                  char *why, size_t why_size);

/* A core with a thread of its own. The port is opened there: a ring belongs to its thread. */
struct side {
    port_opener open;
    struct port *port;
    struct core core;
    sem_t opened, may_close;
    pthread_t thread;
};

/* A flow on the first core that posts a flow to the second one, which releases it, again and again.
 */
struct player {
    struct flow here, there;
    struct mail mail;
    struct side *first, *second;
    int left, *players_left;
    int64_t seen_there; /* written by the second core only while the mail is there */
};

static enum step there_answer(struct flow *flow)
{
    struct player *player = CONTAINER_OF(flow, struct player, there);
    player->seen_there++;
    mail_release(&player->mail, flow->core, &player->first->core, &player->here);
    return STEP_NEXT;
}

static enum step there_stop(struct flow *flow)
{
    flow->core->stopping = true;
    return STEP_NEXT;
}

static const struct flow_kind there_kind = {"there", {{"answer", there_answer}}};
static const struct flow_kind stop_kind = {"stop", {{"stop", there_stop}}};

static enum step here_ask(struct flow *flow)
{
    struct player *player = CONTAINER_OF(flow, struct player, here);
    if (player->left == 0)
        return STEP_NEXT;
    player->left--;
    flow_hold(flow);
    mail_start(&player->mail, flow->core, &player->second->core, &player->there, &there_kind);
    return STEP_AGAIN;
}

/* The last player stops the other core. */
static enum step here_end(struct flow *flow)
{
    struct player *player = CONTAINER_OF(flow, struct player, here);
    if (--*player->players_left == 0) {
        mail_start(&player->mail, flow->core, &player->second->core, &player->there, &stop_kind);
        flow->core->stopping = true;
    }
    return STEP_NEXT;
}

static const struct flow_kind here_kind = {"here", {{"ask", here_ask}, {"end", here_end}}};

static void side_open(struct side *side, int id)
{
    struct port_options options = {
        .queue_depth = 32, .pool_buffer_size = 4096, .pool_buffer_count = 4};
    char why[256];
    check(side->open(&options, &side->port, why, sizeof why) == ERROR_NONE);
    core_init(&side->core, id, side->port);
}

static void side_close(struct side *side)
{
    core_done(&side->core);
    side->port->operations->close(side->port);
}

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
    }
}

static void *side_run(void *argument)
{
    struct side *side = argument;
    side_open(side, 1);
    sem_post(&side->opened);
    core_run(&side->core);
    await(&side->may_close); /* the other core may still be about to wake this one */
    side_close(side);
    return NULL;
}

static void play(port_opener open, int player_count, int round_trips)
{
    struct side first = {.open = open}, second = {.open = open};
    struct player players[PLAYERS_MAX];
    int players_left = player_count;
    side_open(&first, 0);
    sem_init(&second.opened, 0, 0);
    sem_init(&second.may_close, 0, 0);
    check(pthread_create(&second.thread, NULL, side_run, &second) == 0);
    await(&second.opened);
    for (int i = 0; i < player_count; i++) {
        players[i] = (struct player){.first = &first,
                                     .second = &second,
                                     .left = round_trips / player_count,
                                     .players_left = &players_left};
        flow_start(&players[i].here, &here_kind, &first.core);
    }
    core_run(&first.core);
    sem_post(&second.may_close);
    check(pthread_join(second.thread, NULL) == 0);
    for (int i = 0; i < player_count; i++)
        EQ(players[i].seen_there, round_trips / player_count);
    EQ(first.core.mailbox.taken, round_trips / player_count * player_count);
    EQ(second.core.mailbox.taken, first.core.mailbox.taken + 1);
    sem_destroy(&second.opened);
    sem_destroy(&second.may_close);
    side_close(&first);
}

TEST(mail, goes_between_two_rings)
{
    play(uring_open, 16, ROUND_TRIPS);
}

TEST(mail, goes_between_two_epolls)
{
    play(epoll_open, 16, ROUND_TRIPS);
}

/* With one player both cores sleep at every hop. */
TEST(mail, wakes_two_rings)
{
    play(uring_open, 1, 5000);
}

TEST(mail, wakes_two_epolls)
{
    play(epoll_open, 1, 5000);
}

/* A thread that is no core wakes a port, each time it is asked to. */
struct waker {
    struct port *port;
    atomic_int asked, answered;
};

enum { WAKES = 2000 };

static void *wake_run(void *argument)
{
    struct waker *waker = argument;
    for (int i = 1; i <= WAKES; i++) {
        while (atomic_load(&waker->asked) < i)
            sched_yield();
        atomic_store(&waker->answered, i);
        waker->port->operations->wake(waker->port);
    }
    return NULL;
}

static void be_woken(port_opener open)
{
    struct side side = {.open = open};
    struct waker waker = {0};
    pthread_t thread;
    side_open(&side, 0);
    waker.port = side.port;
    check(pthread_create(&thread, NULL, wake_run, &waker) == 0);
    for (int i = 1; i <= WAKES; i++) {
        atomic_store(&waker.asked, i);
        while (atomic_load(&waker.answered) < i)
            side.port->operations->wait(side.port, INT64_MAX);
    }
    check(pthread_join(thread, NULL) == 0);
    EQ(waker.answered, WAKES);
    side_close(&side);
}

TEST(wake, reaches_a_ring)
{
    be_woken(uring_open);
}

TEST(wake, reaches_an_epoll)
{
    be_woken(epoll_open);
}
