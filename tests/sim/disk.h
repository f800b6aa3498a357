#pragma once
/* A simulated disk with one file system on it: pure data, no clock, no randomness. What a process
 * sees (current) and what stable storage holds (durable) are kept apart; between them lie versions.
 *
 * Invariants
 *  1. A sector is the unit of a crash: it is old or new, never mixed. A page (4096 bytes) holds 1
 * or 8.
 *  2. Pages are counted and never changed while shared; so a clone of a disk costs pointers only.
 *  3. Every change takes the next `sequence`. A flush covers the changes whose sequence is below
 * the one at which it was started, that is, those that had completed by then.
 *  4. After a failed flush what it covered is `lost`: still readable, and no later flush makes it
 *     durable (the page cache marks it clean). At a crash it may be there or not.
 *  5. Inode ids are given in order of creation and never reused: a clone and a replay agree on
 * them. */
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "reactor/port.h"

enum { DISK_PAGE_BYTES = 4096, DISK_NAME_BYTES_MAX = 255, DISK_ROOT = 0 };

struct page {
    union {
        struct page *next; /* in the free list */
        int64_t references;
    };
    uint8_t data[DISK_PAGE_BYTES];
};

/* What was written to a page and is not durable: the page as it was after that write. */
struct version {
    struct version *next; /* newer */
    uint64_t sequence;
    struct page *page; /* null: zeros */
    uint8_t sectors;   /* a bit for each sector that this write touched */
    bool lost;         /* a flush of it has failed */
};

/* One page of a file. Null pages are zeros. */
struct slot {
    struct page *current, *durable;
    struct version *oldest, *newest;
};

struct size_version {
    uint64_t sequence;
    int64_t size;
    bool lost;
};

struct inode {
    uint32_t id;
    int32_t references; /* entries, pending names, open files, operations in flight */
    bool is_directory;
    bool locked;            /* OPEN_LOCK */
    bool written_direct;    /* directly, since the last flush */
    bool unreported;        /* nobody was told of its last loss */
    uint32_t losses;        /* flushes that lost something of it: each open file is told once */
    int32_t direct_writers; /* open files with OPEN_DIRECT and OPEN_WRITE */
    int64_t size, durable_size;
    struct slot *slots;
    int32_t slot_count, slot_capacity;
    int32_t page_count; /* not null in `current` */
    int32_t *dirty;     /* indexes of slots that have versions */
    int32_t dirty_count, dirty_capacity;
    struct size_version *sizes;
    int32_t sizes_count, sizes_capacity;
    uint64_t *cached; /* a bit for each page that lies in the page cache (disk_cache.c) */
    int32_t cached_words;
    struct map names, durable_names; /* of struct entry, for a directory */
    struct list entries;             /* of `names`, in order of cookie */
    uint64_t last_cookie;
    struct list in_flight; /* writes: of struct op; the world's */
};

struct entry {
    struct list link;
    struct inode *inode;
    uint64_t cookie;
    char name[]; /* at most DISK_NAME_BYTES_MAX */
};

enum name_change_kind { NAME_LINK, NAME_UNLINK, NAME_RENAME };

struct name_change {
    struct list link;
    uint64_t sequence;
    uint8_t kind;
    bool lost, survives;
    struct inode *directory, *directory_to; /* `directory_to` of a rename */
    struct inode *inode;
    char name[DISK_NAME_BYTES_MAX + 1], name_to[DISK_NAME_BYTES_MAX + 1];
};

struct disk {
    uint32_t sector_bytes; /* 512 or 4096 */
    bool
        names_as_prefix; /* at a crash: of each directory's pending names a prefix, else a subset */
    int64_t limit_bytes; /* of pages in use; 0: none */
    int64_t used_bytes;
    uint64_t sequence;
    uint32_t losses;       /* of any file, for those who flush all */
    struct inode **inodes; /* by id; null: gone */
    uint32_t inode_count, inode_capacity;
    struct list pending_names; /* of struct name_change, oldest first */
    struct page *free_pages;   /* of this disk; of those that are gone, see disk.c */
    struct version *free_versions;
    struct page *zeros;
};

/* A change, or a read of nothing: what an operation asks of the disk, free of handles and sockets.
 */
struct disk_change {
    uint8_t kind;   /* enum op_kind: OPEN (with OPEN_CREATE), WRITE, FLUSH, FLUSH_ALL, ALLOCATE,
                       TRUNCATE, RENAME, REMOVE, MAKE_DIRECTORY */
    bool durable;   /* WRITE_DURABLE */
    bool fails;     /* a flush that fails */
    uint32_t flags; /* enum open_flags */
    uint32_t inode; /* id */
    int64_t offset, size; /* of a write: at most so many bytes of the vectors */
    uint64_t bound;       /* of a flush: the sequence when it was started */
    const struct iovec *vectors;
    int32_t vector_count;
    const char *path, *path_to;
};

/* An empty disk with a root folder. */
struct disk *disk_create(uint32_t sector_bytes);
void disk_destroy(struct disk *disk); /* null is accepted */

/* A copy, pending changes and all, that shares every page. Open files are not copied. */
struct disk *disk_clone(const struct disk *disk);

/* Does `change`; the result as in port.h. OP_OPEN gives the inode's id. NOT_FOUND for the id of an
 * inode that is gone. */
int64_t disk_execute(struct disk *disk, const struct disk_change *change);

/* The inode at `path` (one leading slash is ignored), or null. */
struct inode *disk_find(struct disk *disk, const char *path);

/* Copies out what a process sees. Bytes read, 0 at the end. */
int64_t disk_read(struct disk *disk, struct inode *inode, int64_t offset, void *data, size_t size);

/* The page cache: which of a file's pages lie in memory. Bytes of [offset, offset + size) count by
 * whole pages. A clone begins with nothing in it, and so does a disk after a crash. */
void inode_cache(struct inode *inode, int64_t offset, int64_t size);
void inode_uncache(struct inode *inode, int64_t offset, int64_t size);

/* Do all of these bytes lie in memory? */
bool inode_is_cached(const struct inode *inode, int64_t offset, int64_t size);

void inode_reference(struct inode *inode);
void inode_release(struct disk *disk, struct inode *inode); /* null is accepted */

/* The next entries after *cookie, as OP_LIST gives them. */
int64_t disk_list(struct inode *directory, uint64_t *cookie, void *data, size_t size);

/* ---- crashes ---- */

/* What a crash leaves, unit by unit: operations in flight, names (each change, or with
 * names_as_prefix each folder), sectors, sizes. Of each unit choice 0 is the durable state and the
 * highest the newest; a unit may have more between. Units come in the same order every time. */
enum disk_choice_kind {
    CHOICE_OLD,     /* everything unflushed is lost */
    CHOICE_NEW,     /* nothing is */
    CHOICE_ONE_OLD, /* everything is kept but unit `number` */
    CHOICE_ONE_NEW, /* everything is lost but unit `number` */
    CHOICE_BITS,    /* unit i (below 64) is newest where bit i of `number` is set, else old */
    CHOICE_RANDOM,  /* drawn from the seed `number`, with a lean drawn too */
    /* What a missing flush of a folder leaves open: all that was completed is kept, what is in
     * flight has not begun, but of the unflushed changes of names, counted from the oldest, */
    CHOICE_CHANGE_LOST, /* the one of that number is lost */
    CHOICE_NAME_LOST,   /* with it all others of the same name are */
    CHOICE_CHANGE_KEPT, /* of its folder no other is kept */
    CHOICE_FOLDER_LOST, /* all of its folder are lost */
    CHOICE_LINKS_LOST,  /* all of its folder that make a file are */
};

struct disk_choice {
    enum disk_choice_kind kind;
    uint64_t number;
    uint32_t units; /* counted: 0 before; how many units there were after */
    uint32_t names; /* of them, changes of names */
    struct random random;
    uint32_t lean; /* of CHOICE_RANDOM: 0 even, 1 to the old, 2 to the new */
};

struct disk_choice disk_choice_of(enum disk_choice_kind kind, uint64_t number);

/* Is it one of names alone? */
static inline bool disk_choice_is_of_names(const struct disk_choice *choice)
{
    return choice->kind >= CHOICE_CHANGE_LOST;
}

/* The next unit's choice, below `count`. */
uint32_t disk_choose(struct disk_choice *choice, uint32_t count);

/* Leaves what a crash leaves; afterwards everything is durable. No file may be open. */
void disk_crash(struct disk *disk, struct disk_choice *choice);

/* An operation that was in flight at a crash: a write leaves versions of its sectors, anything else
 * happened or not. Before disk_crash. */
void disk_crash_in_flight(struct disk *disk, const struct disk_change *change,
                          struct disk_choice *choice);

/* ---- between the files of the disk ---- */

int64_t disk_write(struct disk *disk, struct inode *inode, const struct disk_change *change);
int64_t disk_truncate(struct disk *disk, struct inode *inode, int64_t size);
int64_t disk_allocate(struct disk *disk, struct inode *inode, int64_t offset, int64_t size);
/* Something of it was lost by a flush that failed. */
void inode_note_loss(struct disk *disk, struct inode *inode);
void disk_flush_file(struct disk *disk, struct inode *inode, uint64_t bound, bool fails);
void disk_flush_names(struct disk *disk, struct inode *directory, uint64_t bound, bool fails);
int64_t disk_change_names(struct disk *disk, const struct disk_change *change);
struct inode *inode_create(struct disk *disk, bool is_directory);
void inode_put_entry(struct inode *directory, bool durable, const char *name, struct inode *inode,
                     struct disk *disk);
void inode_drop_entries(struct inode *directory, bool durable, struct disk *disk);
void name_change_apply(struct disk *disk, const struct name_change *change);
void name_change_free(struct disk *disk, struct name_change *change);
void inode_drop_versions(struct disk *disk, struct inode *inode);
void inode_reserve_slots(struct inode *inode, int32_t count);
struct page *page_take(struct disk *disk);
/* Of a disk that goes: the next one may have it. */
void page_spare(struct page *page);
void page_release(struct disk *disk, struct page *page);
void page_copy_sectors(const struct disk *disk, struct page *to, const struct page *from,
                       uint8_t sectors);
struct version *version_take(struct disk *disk);
