/* Steps that are done together, a few rows at a time: only those rows of what lies between them are
   there, in memory of the thread's own, and stay in the cache. */

enum { DENSE, DEPTHWISE_ONE, POOLED };

typedef struct {
    int32_t kind;
    const void *step;
    int32_t height;                  /* of its output */
    int32_t stride, extent, padding; /* which rows of its input it needs for one of its output */
    /* What it puts out, if another link reads it: where, floats of a row, rows that are there at a
       time, floats of zeros at the start and the end of a row. */
    int64_t at;
    int32_t row, kept, left, right;
} link;

typedef struct {
    const link *links;
    int32_t count;
    int32_t rows; /* of the last link's output that are done at once */
} chain;

/* How far a link is: rows before `done` are; the first one that is there is `base`. */
typedef struct {
    int64_t base, done, end;
} progress;

static void do_link(const worker *w, const link *l, const span *s) {
    if (l->kind == DENSE)
        convolve_rows(w, l->step, s);
    else if (l->kind == DEPTHWISE_ONE)
        convolve_depthwise_rows(w, l->step, s);
    else
        pool_rows(w, l->step, s);
}

INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Zeros at both ends of all rows. */
static void clear_ends(const link *l, float *rows) {
    for (int32_t i = 0; i < l->kept; i++, rows += l->row) {
        memset(rows, 0, sizeof(float) * (size_t)l->left);
        memset(rows + l->row - l->right, 0, sizeof(float) * (size_t)l->right);
    }
}

/* Rows from `first` to before `needed` are read next: others make room, those above or below the
   map are zeros. */
static void make_room(const link *l, progress *p, float *rows, int64_t first, int64_t needed) {
    size_t row = sizeof(float) * (size_t)l->row;
    int64_t keep = most(first, 0);
    if (first > p->base && p->done > keep)
        memmove(
            rows + (keep - first) * l->row, rows + (keep - p->base) * l->row,
            row * (size_t)(p->done - keep)
        );
    p->base = first;
    p->done = most(p->done, keep);
    for (int64_t y = first; y < needed && y < 0; y++)
        memset(rows + (y - first) * l->row, 0, row);
    for (int64_t y = most(l->height, p->done); y < needed; y++)
        memset(rows + (y - first) * l->row, 0, row);
}

/* The rows that the next link reads: from the result to before *end, beyond the map, too. */
INLINE int64_t rows_read(const link *next, const progress *p, int64_t *end) {
    *end = (p->end - 1) * next->stride + next->extent - next->padding;
    return p->done * next->stride - next->padding;
}

static __attribute__((unused)) void run_chain(const worker *w, const chain *c) {
    const link *links = c->links;
    int32_t last = c->count - 1;
    int64_t from, to = share(w, links[last].height, &from), end;
    int64_t own = (int64_t)w->thread * OWN;
    progress now[MOST_LINKS];
    now[last] = (progress){.done = from};
    for (int32_t i = last; i-- > 0;) {
        now[i].base = rows_read(&links[i + 1], &now[i + 1], &end);
        now[i].done = most(now[i].base, 0);
        clear_ends(&links[i], w->memory + links[i].at + own);
    }
    while (now[last].done < to) {
        now[last].end = now[last].done + c->rows < to ? now[last].done + c->rows : to;
        for (int32_t i = last; i-- > 0;) {
            int64_t first = rows_read(&links[i + 1], &now[i + 1], &end);
            make_room(&links[i], &now[i], w->memory + links[i].at + own, first, end);
            end = end < links[i].height ? end : links[i].height;
            now[i].end = most(end, now[i].done);
        }
        for (int32_t i = 0; i <= last; i++) {
            span s = {now[i].done, now[i].end, 0, 0};
            if (i)
                s.in = own - now[i - 1].base * links[i - 1].row;
            if (i < last)
                s.out = own - now[i].base * links[i].row;
            if (s.first < s.last)
                do_link(w, &links[i], &s);
            now[i].done = s.last;
        }
    }
}
