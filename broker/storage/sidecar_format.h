#pragma once
/* `<base offset>.sidecar`: a closed segment's sidecar in a file. Pure: no I/O. Integers of the
 * frame are little-endian, CRCs are CRC32C.
 *
 *    0  u64 magic "BOLESDC\1"     8  u32 version (1)     12  u32 bytes of the map
 *   16  u32 CRC of bytes 0-15 and of the map             20  the map, to the end of the file
 *
 * The map is msgpack, names to values, in this order:
 *   "base"   the segment's base offset                 "first"  base offset of its first batch
 *   "end"    offset after its last record              "size"   bytes of the .log
 *   "runs"   bin, of each run (sidecar.h) 12 bytes: u32 position, u32 heads, u32 names
 *   "index", "timeindex", "txnindex"   bytes of the file,  "index_crc", "timeindex_crc",
 *   "txnindex_crc"   their CRC; both nil: there was no such file
 *
 * A sidecar is a cache: missing, damaged or stale it is as good as none and is made anew. One of a
 * newer version is left as it is; an older one is read and replaced by one of this version. */
#include "storage/sidecar.h"

enum {
    SIDECAR_VERSION = 1,
    SIDECAR_FRAME = 20,
    SIDECAR_FILE_MAX = 20 + 512 + 12 * SIDECAR_RUNS_MAX
};

#define SIDECAR_SUFFIX ".sidecar"

/* The file's bytes, in memory of its own (memory_free). */
struct bytes sidecar_encode(const struct sidecar *sidecar);

/* NONE: *ret_sidecar is the caller's. MALFORMED: it is damaged. NEWER_VERSION: by a newer Bole. */
enum error sidecar_decode(struct bytes file, struct sidecar **ret_sidecar);
