#pragma once
/* The cores of a process at work before they run: parts of a start that each of them does on its
 * own thread, with its own port. Whoever runs the cores says how; in the simulator they take turns
 * on one thread, whenever one of them waits for its port. */

struct crew {
    /* Calls part(context, core) once for each core from 0 on, core 0's on the caller's thread, and
     * returns when all have returned. What was written before is seen by the parts, and what they
     * wrote by the caller. A part may block (port_call), on the port of its core only. */
    void (*work)(struct crew *crew, void (*part)(void *context, int core), void *context);
};
