#pragma once
/* Inside codec/: what each codec has to offer, and how it gets room. */
#include "codec/codec.h"

/* Room for `more` bytes behind output->size, at least; false beyond the limit or the budget. */
bool output_reserve(struct codec_output *output, size_t more);

/* Doubles the capacity, up to the limit. False if it is there already, or on budget. */
bool output_double(struct codec_output *output);

enum error gzip_decompress(const uint8_t *data, size_t size, struct codec_output *output);
enum error gzip_compress(int level, const uint8_t *data, size_t size, struct codec_output *output);
enum error snappy_decompress(const uint8_t *data, size_t size, struct codec_output *output);
enum error snappy_compress_framed(int level, const uint8_t *data, size_t size,
                                  struct codec_output *output);
enum error lz4_decompress(const uint8_t *data, size_t size, struct codec_output *output);
enum error lz4_compress(int level, const uint8_t *data, size_t size, struct codec_output *output);
enum error zstd_decompress(const uint8_t *data, size_t size, struct codec_output *output);
enum error zstd_compress(int level, const uint8_t *data, size_t size, struct codec_output *output);
