#include "storage/seal.h"
#include "base/memory.h"
#include "storage/handles.h"
#include "storage/log_state.h"
#include "storage/sidecars.h"

static bool could_be_sealed(const struct segment *segment)
{
    return !segment->sealed && segment->exists && segment->users == 0 && !segment->trim &&
           segment->drained == segment->size && segment->allocated == segment->size &&
           segment->index_written == segment->index_count && list_is_empty(&segment->dirty) &&
           list_is_empty(&segment->flushed) && !segment->log->draining &&
           segment != log_active(segment->log);
}

bool seal_closed_segment(struct segment *segment, int32_t *ret_handle)
{
    if (!could_be_sealed(segment))
        return false;
    *ret_handle = handle_take(segment, &segment->handle);
    segment->sealed = true;
    memory_free(segment->partial);
    segment->partial = NULL;
    sidecar_is_due(segment);
    return true;
}
