#pragma once
/* A broker of one's own, as a process: started on a folder and a port, killed, started again.
 * $BOLE_PORT says which port of the reactor it uses: uring, epoll, or auto where it is not set. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_SETTINGS_MAX = 4 };

struct process {
    char bole[4096];       /* the binary: $BOLE, else ../bole beside the folder of this program */
    char folder[64];       /* its data, made by process_init, removed by process_done */
    char address[32];      /* 127.0.0.1:port, a port below 32768 that was free */
    char port_setting[32]; /* reactor.port=$BOLE_PORT */
    const char *settings[PROCESS_SETTINGS_MAX]; /* "key=value", for the next start; null: no more */
    pid_t id;                                   /* 0: not running */
    int output; /* the end of the pipe its standard output goes to; -1: none */
};

/* The monotonic clock. */
int64_t process_now_ms(void);

/* Chooses binary, folder and port; starts nothing. False, having said why, if it can't. */
bool process_init(struct process *process);

/* Kills the broker if it runs and removes the folder. */
void process_done(struct process *process);

/* Starts the broker and returns once it has printed its `ready` line. False if it ends before that
 * or takes longer than a minute. */
bool process_start(struct process *process);

/* The memory that the broker has in RAM. 0 if it can't be told. */
int64_t process_resident_bytes(const struct process *process);

/* Sends the signal and waits for the end, a minute at most. The status of waitpid, -1 if it had to
 * be killed. */
int process_stop(struct process *process, int signal);
