#include "interop/process.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 60000, LOWEST_PORT = 20000, PORT_COUNT = 12000 };

int64_t process_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* A port below the range from which the kernel picks, so that no outgoing connection takes it. */
static int free_port(void)
{
    int first = (int)(getpid() * 7 % PORT_COUNT);
    for (int i = 0; i < PORT_COUNT; i++) {
        int port = LOWEST_PORT + (first + i) % PORT_COUNT, yes = 1;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        bool is_free = bind(handle, (struct sockaddr *)&address, sizeof address) == 0;
        close(handle);
        if (is_free)
            return port;
    }
    return -1;
}

static bool find_binary(char *path, size_t size)
{
    const char *named = getenv("BOLE");
    if (named) {
        snprintf(path, size, "%s", named);
    } else {
        ssize_t length = readlink("/proc/self/exe", path, size - sizeof "/../bole");
        if (length < 0)
            return false;
        path[length] = 0;
        char *folder_end = strrchr(path, '/');
        snprintf(folder_end, size - (size_t)(folder_end - path), "/../bole");
    }
    if (access(path, X_OK) == 0)
        return true;
    printf("%s can't be run: build it, or name another in BOLE\n", path);
    return false;
}

bool process_init(struct process *process)
{
    *process = (struct process){.output = -1};
    if (!find_binary(process->bole, sizeof process->bole))
        return false;
    snprintf(process->folder, sizeof process->folder, "/tmp/bole-interop-XXXXXX");
    const char *reactor_port = getenv("BOLE_PORT");
    snprintf(process->port_setting, sizeof process->port_setting, "reactor.port=%s",
             reactor_port ? reactor_port : "auto");
    int port = free_port();
    snprintf(process->address, sizeof process->address, "127.0.0.1:%d", port);
    if (port > 0 && mkdtemp(process->folder))
        return true;
    process->folder[0] = 0;
    perror("a free port, or a folder in /tmp");
    return false;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    return remove(path);
}

void process_done(struct process *process)
{
    if (process->id)
        process_stop(process, SIGKILL);
    if (process->folder[0])
        nftw(process->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool spawn(struct process *process)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return false;
    pid_t id = fork();
    if (id == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* no broker outlives a test that crashed */
        dup2(pipe_ends[1], STDOUT_FILENO);
        const char *arguments[8 + 2 * PROCESS_SETTINGS_MAX + 1] = {
            "bole",     "broker",         "--data", process->folder,
            "--listen", process->address, "-X",     process->port_setting};
        for (int i = 0; i < PROCESS_SETTINGS_MAX && process->settings[i]; i++) {
            arguments[8 + 2 * i] = "-X";
            arguments[9 + 2 * i] = process->settings[i];
        }
        execv(process->bole, (char *const *)arguments);
        perror(process->bole);
        _exit(127);
    }
    close(pipe_ends[1]);
    process->output = pipe_ends[0];
    process->id = id > 0 ? id : 0;
    return id > 0;
}

/* Reads what the broker prints until `line` is found. False at its end or past the limit. */
static bool read_until(struct process *process, const char *line)
{
    char text[4096] = "";
    size_t length = 0;
    int64_t deadline_ms = process_now_ms() + LIMIT_MS;
    while (!line || !strstr(text, line)) {
        struct pollfd wanted = {.fd = process->output, .events = POLLIN};
        int64_t left_ms = deadline_ms - process_now_ms();
        if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0)
            return false;
        if (length == sizeof text - 1) { /* keep the end, where the line may begin */
            memmove(text, text + length / 2, length - length / 2);
            length -= length / 2;
        }
        ssize_t got = read(process->output, text + length, sizeof text - 1 - length);
        if (got <= 0)
            return !line;
        length += (size_t)got;
        text[length] = 0;
    }
    return true;
}

bool process_start(struct process *process)
{
    char ready[64];
    snprintf(ready, sizeof ready, "ready %s ", process->address);
    if (spawn(process) && read_until(process, ready))
        return true;
    printf("%s did not get ready on %s\n", process->bole, process->address);
    process_stop(process, SIGKILL);
    return false;
}

int64_t process_resident_bytes(const struct process *process)
{
    char path[64];
    long long pages = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)process->id);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lld %lld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

int process_stop(struct process *process, int signal)
{
    int status = -1;
    if (process->id <= 0) /* never signal a group, or everybody */
        return -1;
    kill(process->id, signal);
    bool ended = read_until(process, NULL);
    if (!ended)
        kill(process->id, SIGKILL);
    waitpid(process->id, &status, 0);
    close(process->output);
    process->id = 0;
    process->output = -1;
    return ended ? status : -1;
}
