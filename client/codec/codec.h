#pragma once
/* The compressions of record batches. Nothing outside codec/ calls zlib, snappy, lz4 or zstd.
 *
 * Invariants
 *  1. The output never exceeds limit_bytes, nor the arena's budget: what would is refused as soon
 * as it is seen, before it is written.
 *  2. A length declared in the input is not believed beyond what its codec can expand to.
 *  3. Nothing may follow the compressed data; where the format allows it (gzip members, zstd
 * frames, snappy streams of Java) several pieces may follow one another, as Kafka reads them. */
#include "base/arena.h"
#include "base/error.h"

/* As in bits 0-2 of a batch's attributes. */
enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODECS_END };

/* Where output goes: memory of `arena`, grown as needed. Set arena and limit_bytes, the rest zero.
 */
struct codec_output {
    struct arena *arena;
    size_t limit_bytes;
    uint8_t *data; /* the output */
    size_t size, capacity;
};

/* "gzip", as in compression.type; "none" for CODEC_NONE. Static memory. */
const char *codec_name(enum codec codec);

/* The codec of that name. False: there is none. */
bool codec_find(const char *name, enum codec *ret_codec);

/* Decompresses all of `data` into `output`. MALFORMED if the data is bad, cut or followed by more;
 * NO_MEMORY beyond the limit or the budget; UNSUPPORTED_COMPRESSION_TYPE if there is no such codec.
 * Work is bounded by limit_bytes. CODEC_NONE copies. */
enum error codec_decompress(enum codec codec, const void *data, size_t size,
                            struct codec_output *output);

/* The level that is used where none is set: Kafka's default of compression.*.level. */
int codec_usual_level(enum codec codec);

/* Compresses `data` into `output`, in the framing that Kafka's clients write: snappy in Java's
 * framing, lz4 with independent blocks. `level` as in compression.gzip.level, .lz4.level and
 * .zstd.level, in its range; the others have none. NO_MEMORY as above. */
enum error codec_compress(enum codec codec, int level, const void *data, size_t size,
                          struct codec_output *output);
