#pragma once
/* A rig of its own disk with a script on it, as tests of single operations need it. */
#include "crash/operations.h"

struct scripted {
    struct rig rig;
    struct script script;
    struct oracle oracle;
};

/* An empty disk with such settings; nothing has been started, script_begin does. */
struct scripted *scripted_create(const struct rig_settings *settings);

/* What rig.failure says must have been looked at. */
void scripted_destroy(struct scripted *scripted);
