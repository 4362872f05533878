/* How long each step takes, as the first of an instance's threads sees it, waiting for the others
   included. Only in libraries that are made to be looked at: it is one table for all instances. */

#include <time.h>

static struct {
    int64_t last;    /* when the last note was taken */
    int64_t spent[NOTED];
    int32_t chain;   /* the first step of the chain that is being done */
} clock_seen;

static void clock_note(const worker *w, int32_t step) {
    if (w->thread)
        return;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    if (step >= 0)
        clock_seen.spent[step] += now - clock_seen.last;
    clock_seen.last = now;
}
