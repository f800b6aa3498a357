#pragma once
/* Scripts that are cut at every moment, with each of the images that a missing flush of a folder
 * could leave (CHOICE_NAME_LOST and its like, sim/disk.h): everything else is there, only changes
 * of names of one folder are lost. So a flush that is left out is found out by the first such image
 * that needs it, whatever the seed. */
#include "crash/image_set.h"
#include "crash/operations.h"
#include "sim/disk_record.h"

struct names_run {
    /* arguments */
    const char *name;
    int variant;           /* of script_settings */
    int64_t journal_bytes; /* 0: as there; more: no checkpoint comes by itself */
    void (*prepare)(struct script *script, struct rig *rig);
    void (*body)(struct script *script, struct rig *rig); /* recorded; from script_last
                                                           * on, if it calls that, it is cut */
    /* results */
    uint64_t cuts, images;
    char failure[900];
};

void names_run(struct names_run *run);

/* Of one cut each image in which a change of names is lost, or alone is there, that `seen` does not
 * have: `look` takes the disk; false: it is enough. */
void names_at_cut(struct disk_recording *recording, uint32_t cut, struct image_set *seen,
                  bool (*look)(void *context, struct disk *disk, const char *what), void *context);
