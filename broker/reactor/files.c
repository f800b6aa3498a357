#include "reactor/files.h"
#include "base/check.h"
#include "reactor/files_cached.h"
#include "reactor/system.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DIRECT_ALIGNMENT_UNKNOWN = 4096, FILE_MODE = 0644, FOLDER_MODE = 0755 };

int file_open_flags(uint32_t flags)
{
    bool writes = flags & OPEN_WRITE, reads = flags & OPEN_READ || !writes;
    int result = O_CLOEXEC | (writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY);
    if (flags & OPEN_CREATE)
        result |= O_CREAT;
    if (flags & OPEN_EXCLUSIVE)
        result |= O_EXCL;
    if (flags & OPEN_DIRECT)
        result |= O_DIRECT;
    if (flags & OPEN_DIRECTORY)
        result |= O_DIRECTORY;
    return result;
}

/* Takes the lock, and closes the file if it can't be had. Java's locks are of the other kind that
 * Linux has, of ranges of bytes; where the file is not open for writing, or can't have one, the
 * first is all. */
static int64_t take_lock(int32_t handle)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool taken = flock(handle, LOCK_EX | LOCK_NB) == 0;
    if (taken && (fcntl(handle, F_OFD_SETLK, &range) == 0 || (errno != EAGAIN && errno != EACCES)))
        return handle;
    int64_t result =
        taken || errno == EWOULDBLOCK ? -(int64_t)ERROR_NO_PERMISSION : result_of_errno();
    close(handle);
    return result;
}

int64_t file_opened(int32_t handle, uint32_t flags)
{
    if (flags & OPEN_NOTHING_AHEAD)
        (void)posix_fadvise(handle, 0, 0, POSIX_FADV_RANDOM); /* advice: without it, only slower */
    return flags & OPEN_LOCK ? take_lock(handle) : handle;
}

bool file_is_folder(int32_t handle)
{
    struct stat status;
    return fstat(handle, &status) == 0 && S_ISDIR(status.st_mode);
}

static int64_t result_of(int64_t returned)
{
    return returned < 0 ? result_of_errno() : returned;
}

static int64_t call_open(const struct op *op)
{
    int handle = open(op->path, file_open_flags(op->flags), FILE_MODE);
    if (handle < 0)
        return result_of_errno();
    return file_opened(handle, op->flags);
}

static int64_t call_close(const struct op *op)
{
    return result_of(close(op->handle));
}

static int64_t read_cached(const struct op *op, size_t size)
{
    struct iovec vector = {op->data, size};
    int64_t failed = file_ask_cache(op->handle, op->offset, op->size);
    return failed ? failed : result_of(preadv2(op->handle, &vector, 1, op->offset, RWF_NOWAIT));
}

static int64_t call_read(const struct op *op)
{
    size_t size = op->size < TRANSFER_MAX ? op->size : TRANSFER_MAX;
    if (op->flags & READ_CACHED_ONLY)
        return read_cached(op, size);
    return result_of(pread(op->handle, op->data, size, op->offset));
}

static int64_t call_write(const struct op *op)
{
    int count = op->vector_count < VECTORS_MAX ? op->vector_count : VECTORS_MAX;
    int flags = op->flags & WRITE_DURABLE ? RWF_DSYNC : 0;
    return result_of(pwritev2(op->handle, op->vectors, count, op->offset, flags));
}

static int64_t call_flush(const struct op *op)
{
    return result_of(file_is_folder(op->handle) ? fsync(op->handle) : fdatasync(op->handle));
}

static int64_t call_flush_all(const struct op *op)
{
    return result_of(syncfs(op->handle));
}

static int64_t call_allocate(const struct op *op)
{
    return result_of(fallocate(op->handle, 0, op->offset, (off_t)op->size));
}

static int64_t call_truncate(const struct op *op)
{
    return result_of(ftruncate(op->handle, (off_t)op->size));
}

/* As the kernel lays entries out (getdents64(2)); glibc's struct dirent64 is the same. */
static char kind_of(int folder, const struct dirent64 *entry)
{
    struct stat status;
    if (entry->d_type == DT_DIR)
        return 'd';
    if (entry->d_type == DT_REG)
        return 'f';
    bool is_folder = fstatat(folder, entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
    return is_folder ? 'd' : 'f';
}

/* Entries that no longer fit are left for the next call: the folder's position is set back. */
static int64_t call_list(const struct op *op)
{
    _Alignas(struct dirent64) char entries[8192];
    char *out = op->data;
    size_t used = 0;
    for (;;) {
        off_t position = lseek(op->handle, 0, SEEK_CUR);
        int64_t got = syscall(SYS_getdents64, op->handle, entries, sizeof entries);
        if (got < 0 || position < 0)
            return result_of_errno();
        if (got == 0)
            return (int64_t)used;
        for (int64_t at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            at += entry->d_reclen;
            size_t size = strlen(entry->d_name) + 2;
            bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
            if (!dots && used + size > op->size) {
                if (lseek(op->handle, position, SEEK_SET) < 0)
                    return result_of_errno();
                return used > 0 ? (int64_t)used : -(int64_t)ERROR_BAD_ARGUMENT;
            }
            position = entry->d_off;
            if (dots)
                continue;
            out[used] = kind_of(op->handle, entry);
            memcpy(out + used + 1, entry->d_name, size - 1);
            used += size;
        }
    }
}

static int64_t call_stat(const struct op *op)
{
    struct statx status;
    unsigned wanted = STATX_TYPE | STATX_SIZE | STATX_BLOCKS | STATX_DIOALIGN;
    int folder = op->path ? AT_FDCWD : op->handle;
    if (statx(folder, op->path ? op->path : "", AT_EMPTY_PATH, wanted, &status) < 0)
        return result_of_errno();
    uint32_t alignment = 0;
    if (status.stx_mask & STATX_DIOALIGN)
        alignment = status.stx_dio_offset_align > status.stx_dio_mem_align
                        ? status.stx_dio_offset_align
                        : status.stx_dio_mem_align;
    *(struct file_stat *)op->data = (struct file_stat){
        .size_bytes = (int64_t)status.stx_size,
        .allocated_bytes = (int64_t)status.stx_blocks * 512,
        .direct_alignment = alignment ? alignment : DIRECT_ALIGNMENT_UNKNOWN,
        .is_directory = S_ISDIR(status.stx_mode),
    };
    return 0;
}

static int64_t call_rename(const struct op *op)
{
    return result_of(rename(op->path, op->path_to));
}

static int64_t call_remove(const struct op *op)
{
    if (unlink(op->path) == 0)
        return 0;
    return errno == EISDIR ? result_of(rmdir(op->path)) : result_of_errno();
}

static int64_t call_make_directory(const struct op *op)
{
    return result_of(mkdir(op->path, FOLDER_MODE));
}

/* Blocks kept for root are not ours. */
static int64_t call_space(const struct op *op)
{
    struct statvfs status;
    if (fstatvfs(op->handle, &status) < 0)
        return result_of_errno();
    *(struct file_space *)op->data =
        (struct file_space){.free_bytes = (int64_t)(status.f_bavail * status.f_frsize),
                            .total_bytes = (int64_t)(status.f_blocks * status.f_frsize)};
    return 0;
}

static int64_t (*const calls[OP_KIND_COUNT])(const struct op *op) = {
    [OP_OPEN] = call_open,
    [OP_CLOSE] = call_close,
    [OP_READ] = call_read,
    [OP_WRITE] = call_write,
    [OP_FLUSH] = call_flush,
    [OP_FLUSH_ALL] = call_flush_all,
    [OP_ALLOCATE] = call_allocate,
    [OP_TRUNCATE] = call_truncate,
    [OP_LIST] = call_list,
    [OP_STAT] = call_stat,
    [OP_RENAME] = call_rename,
    [OP_REMOVE] = call_remove,
    [OP_MAKE_DIRECTORY] = call_make_directory,
    [OP_SPACE] = call_space,
};

int64_t file_call(const struct op *op)
{
    if (op->kind == OP_WORK)
        return op->work(op->data);
    check(op->kind < OP_KIND_COUNT && calls[op->kind]);
    int64_t result;
    do {
        result = calls[op->kind](op);
    } while (result == -(int64_t)ERROR_CANCELLED && op->kind != OP_CLOSE); /* EINTR, of a signal */
    return result;
}
