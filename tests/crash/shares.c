#include "crash/shares.h"
#include "base/check.h"
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void *shares_take(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void shares_release(void *memory, size_t size)
{
    munmap(memory, size);
}

void shares_run(void *elements, size_t size, int count, void (*run)(void *element),
                int status[SHARES])
{
    check(count <= SHARES);
    pid_t children[SHARES];
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        run((uint8_t *)elements + (size_t)i * size);
        fflush(stdout);
        _exit(0);
    }
    for (int i = 0; i < count; i++) {
        status[i] = -1;
        if (children[i] > 0 && waitpid(children[i], &status[i], 0) != children[i])
            status[i] = -1;
    }
}
