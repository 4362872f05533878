/* Every convolution but the depthwise ones, and linear layers: outputs of a few pixels and a few
   vectors of channels stay in registers while their inputs are read through a table of offsets.
   So kernels of any size, channels from anywhere, strides and groups cost nothing extra. */

typedef struct tile tile;
typedef void tile_function(const tile *);

typedef struct {
    place out;
    int32_t height, width; /* of the output */
    const segment *segments;
    const group *groups;
    int32_t group_count;
    int32_t pixels, vectors; /* of a tile, at most */
    int32_t inputs;          /* that all tiles have read before any reads more, at most */
    int32_t tiles_outside;   /* whether all channels of a tile are done before the next tile */
    int64_t next;            /* weights of the next convolution */
    tile_function *const (*tiles)[MOST_VECTORS + 1][2]; /* by pixels, vectors, half of the last */
    finish done;
} convolution;

/* Some pixels and channels of an output. */
struct tile {
    const worker *worker;
    const convolution *conv;
    const group *group;
    const float *weights, *bias;
    int64_t column, y, x;
    int64_t in, out;  /* how far its inputs and its output lie from where the tables say */
    int64_t from, to; /* the inputs to read */
    int32_t wraps;    /* whether its pixels go on in the next row */
};

/* Where P pixels from the tile's first one on lie. */
#define PIXELS(AT, PLACE, AWAY, P)                                                               \
    const float *AT[P];                                                                          \
    {                                                                                            \
        const float *at = pixel_away(t->worker, &(PLACE), AWAY, t->y, t->x);                     \
        int64_t pixel = (PLACE).pixel, width = t->conv->width;                                   \
        int64_t jump = (PLACE).row - width * pixel;                                              \
        if (!t->wraps || !jump) {                                                                \
            UNROLL for (int p = 0; p < P; p++) AT[p] = at + p * pixel;                           \
        } else {                                                                                 \
            int64_t left = width - t->x;                                                         \
            UNROLL for (int p = 0; p < P; p++) {                                                 \
                AT[p] = at;                                                                      \
                at += pixel;                                                                     \
                if (!--left)                                                                     \
                    at += jump, left = width;                                                    \
            }                                                                                    \
        }                                                                                        \
    }

/* What an input is multiplied as: one number for all lanes, where STEP is 0, or a number for each,
   where lanes belong to several groups; for each of their inputs that are in a vector, the one with
   lanes of the same group exchanged. */
INLINE vec input_of(const float *at, int64_t exchange, const int STEP) {
    return STEP ? exchanged(load(at), (int)exchange * STEP) : splat(*at);
}

/* A tile's sums, of whole vectors and halves, each less than LOW or more than HIGH cut off. */
#define LIMIT(P, V, H, LOW, HIGH)                                                                \
    UNROLL for (int p = 0; p < P; p++) {                                                         \
        UNROLL for (int v = 0; v < V; v++) sum[p][v] = at_least(sum[p][v], splat(LOW));          \
        if (H)                                                                                   \
            rest[p] = half_at_least(rest[p], splat_half(LOW));                                   \
    }                                                                                            \
    if (HIGH < INFINITY)                                                                         \
        UNROLL for (int p = 0; p < P; p++) {                                                     \
            UNROLL for (int v = 0; v < V; v++) sum[p][v] = at_most(sum[p][v], splat(HIGH));      \
            if (H)                                                                               \
                rest[p] = half_at_most(rest[p], splat_half(HIGH));                               \
        }

/* A tile of P pixels and V vectors of channels, H halves of one after them, EACH inputs at an
   offset. Sums are in the order of the table, whatever the tile: the result doesn't depend on it.
   What isn't complete yet is kept where the output goes. */
#define TILE(NAME, P, V, H, EACH, STEP)                                                          \
    static __attribute__((noinline)) void NAME(const tile *t) {                                  \
        const segment *s = t->conv->segments + t->group->first_segment;                          \
        const float *w = t->weights + t->from * (V * LANES);                                     \
        const float *h = t->weights + t->group->inputs * (V * LANES) + t->from * (H * HALF);     \
        vec sum[P][V ? V : 1];                                                                   \
        half rest[P];                                                                            \
        PIXELS(out, t->conv->out, t->out, P)                                                     \
        if (t->from) {                                                                           \
            UNROLL for (int p = 0; p < P; p++) {                                                 \
                UNROLL for (int v = 0; v < V; v++)                                               \
                    sum[p][v] = load(out[p] + t->column + v * LANES);                            \
                if (H)                                                                           \
                    rest[p] = load_half(out[p] + t->column + V * LANES);                         \
            }                                                                                    \
        } else {                                                                                 \
            UNROLL for (int v = 0; v < V; v++) {                                                 \
                vec bias = load(t->bias + v * LANES);                                            \
                UNROLL for (int p = 0; p < P; p++) sum[p][v] = bias;                             \
            }                                                                                    \
            if (H)                                                                               \
                UNROLL for (int p = 0; p < P; p++) rest[p] = load_half(t->bias + V * LANES);     \
        }                                                                                        \
        int64_t from = t->from / EACH, left = t->to / EACH - from;                               \
        for (; from >= s->count && left; s++)                                                    \
            from -= s->count;                                                                    \
        for (; left > 0; s++, from = 0) {                                                        \
            const int32_t *index = t->worker->index + s->index + from;                           \
            int64_t count = s->count - from < left ? s->count - from : left;                     \
            PIXELS(in, s->from, t->in, P)                                                        \
            left -= count;                                                                       \
            UNROLL_TWICE for (int64_t k = 0; k < count; k++) {                                   \
                int64_t offset = index[k];                                                       \
                UNROLL for (int64_t e = 0; e < EACH; e++, w += V * LANES, h += H * HALF) {       \
                    vec weight[V ? V : 1];                                                       \
                    half last;                                                                   \
                    UNROLL for (int v = 0; v < V; v++) {                                         \
                        weight[v] = load(w + v * LANES);                                         \
                        HOLD(weight[v]);                                                         \
                    }                                                                            \
                    if (H) {                                                                     \
                        last = load_half(h);                                                     \
                        HOLD(last);                                                              \
                    }                                                                            \
                    UNROLL for (int p = 0; p < P; p++) {                                         \
                        if (V) {                                                                 \
                            vec input = input_of(in[p] + offset, e, STEP);                       \
                            UNROLL for (int v = 0; v < V; v++) sum[p][v] += input * weight[v];   \
                        }                                                                        \
                        if (H)                                                                   \
                            rest[p] += in[p][offset] * last;                                     \
                    }                                                                            \
                    if (P * (V + H) == 1) { /* or GCC rounds products: FMA chains are slow */    \
                        if (V)                                                                   \
                            HOLD(sum[0][0]);                                                     \
                        if (H)                                                                   \
                            HOLD(rest[0]);                                                       \
                    }                                                                            \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        const finish *done = &t->conv->done;                                                     \
        int is_last = t->to == t->group->inputs;                                                 \
        if (is_last) {                                                                           \
            LIMIT(P, V, H, done->before.low, done->before.high)                                  \
        }                                                                                        \
        if (is_last && done->adds) {                                                             \
            PIXELS(with, done->residual, 0, P)                                                   \
            UNROLL for (int p = 0; p < P; p++) {                                                 \
                UNROLL for (int v = 0; v < V; v++)                                               \
                    sum[p][v] += load(with[p] + t->column + v * LANES);                          \
                if (H)                                                                           \
                    rest[p] += load_half(with[p] + t->column + V * LANES);                       \
            }                                                                                    \
            LIMIT(P, V, H, done->after.low, done->after.high)                                    \
        }                                                                                        \
        UNROLL for (int p = 0; p < P; p++) {                                                     \
            UNROLL for (int v = 0; v < V; v++)                                                   \
                store((float *)out[p] + t->column + v * LANES, sum[p][v]);                       \
            if (H)                                                                               \
                store_half((float *)out[p] + t->column + V * LANES, rest[p]);                    \
        }                                                                                        \
        if (is_last && done->curve)                                                              \
            for (int p = 0; p < P; p++)                                                          \
                bend(                                                                            \
                    t->worker, done, t->column, (float *)out[p] + t->column, (V + H) * LANES     \
                );                                                                               \
    }

/* `count` in equal parts of at most `most`: the size of part i is small, or one more for the
   first `larger`. */
typedef struct {
    int64_t parts, small, larger;
} division;

INLINE division divided(int64_t count, int64_t most) {
    int64_t parts = (count + most - 1) / most;
    return (division){parts, count / parts, count % parts};
}
INLINE int64_t part_start(const division *d, int64_t i) {
    return i * d->small + (i < d->larger ? i : d->larger);
}

/* Whether the last vector of so many channels is half a vector. */
INLINE int ends_in_half(int64_t channels) {
    int64_t last = channels % LANES;
    return HALVES && last && last <= HALF;
}

static void first_tile(tile *t, int64_t pixel) {
    t->y = pixel / t->conv->width, t->x = pixel % t->conv->width;
}

static void next_tile(tile *t, int64_t pixels) {
    t->x += pixels;
    while (t->x >= t->conv->width)
        t->x -= t->conv->width, t->y++;
}

static void channels_of_group(tile *t, const group *g, const division *blocks, int64_t block) {
    int64_t vectors = part_start(blocks, block) * LANES;
    t->group = g;
    t->weights = t->worker->weights + g->weights + vectors * g->inputs;
    t->bias = t->worker->weights + g->bias + vectors;
    t->column = g->column + vectors;
}

/* Weights that are needed next, fetched a few lines with every tile. */
typedef struct {
    const float *weights;
    int64_t next, end, each; /* in floats */
} ahead;

static ahead look_ahead(const tile *t, int64_t floats, int is_last, int64_t tiles) {
    int64_t now = t->weights - t->worker->weights;
    const group *last_group = t->conv->groups + t->conv->group_count - 1;
    int64_t after = t->group < last_group ? t->group[1].weights : t->conv->next;
    int64_t next = is_last ? after : now + floats;
    int64_t end = next + floats < (int64_t)FLOATS ? next + floats : (int64_t)FLOATS;
    /* A few tiles would have to fetch everything at once: the memory is busy anyway. */
    if (tiles < 4)
        end = next;
    return (ahead){t->worker->weights, next, end, tiles ? floats / tiles + 16 : 0};
}

INLINE void fetch_some(ahead *a) {
    int64_t end = a->next + a->each < a->end ? a->next + a->each : a->end;
    for (; a->next < end; a->next += 16)
        __builtin_prefetch(a->weights + a->next, 0, 2);
}

/* Pixels in tiles, from `base` on. */
typedef struct {
    int64_t base;
    division tiles;
} pixels;

/* Some tiles of one block of channels. */
static void convolve_tiles(
    tile *t, const group *g, const division *blocks, int64_t block, const pixels *p,
    int64_t first, int64_t last
) {
    int64_t vectors = part_start(blocks, block + 1) - part_start(blocks, block);
    int half_last = block + 1 == blocks->parts && ends_in_half(g->channels);
    channels_of_group(t, g, blocks, block);
    int64_t chunk = t->conv->inputs ? t->conv->inputs : g->inputs;
    int64_t tiles_in_all = (last - first) * ((g->inputs + chunk - 1) / chunk);
    ahead next =
        look_ahead(t, vectors * LANES * g->inputs, block + 1 == blocks->parts, tiles_in_all);
    for (t->from = 0; t->from < g->inputs; t->from = t->to) {
        t->to = t->from + chunk < g->inputs ? t->from + chunk : g->inputs;
        first_tile(t, p->base + part_start(&p->tiles, first));
        for (int64_t i = first; i < last; i++) {
            int64_t count = p->tiles.small + (i < p->tiles.larger);
            fetch_some(&next);
            t->wraps = t->x + count > t->conv->width;
            t->conv->tiles[count][vectors][half_last](t);
            next_tile(t, count);
        }
    }
}

/* Some tiles, and some blocks of channels where there is one group only: all if `to` is 0. */
static void convolve_blocks(
    tile *t, const pixels *p, int64_t first, int64_t last, int64_t from, int64_t to
) {
    const convolution *c = t->conv;
    int64_t at_once = c->tiles_outside ? 1 : last - first;
    for (int64_t i = first; i < last; i += at_once)
        for (int32_t g = 0; g < c->group_count; g++) {
            const group *one = c->groups + g;
            division blocks = divided((one->channels + LANES - 1) / LANES, c->vectors);
            for (int64_t b = from; b < (to ? to : blocks.parts); b++)
                convolve_tiles(t, one, &blocks, b, p, i, i + at_once);
        }
}

static __attribute__((unused)) void convolve(const worker *w, const convolution *c) {
    tile t = {.worker = w, .conv = c};
    pixels p = {0, divided((int64_t)c->height * c->width, c->pixels)};
    int64_t first, last = share(w, p.tiles.parts, &first);
    /* Groups may overwrite each other's ends, in order; so threads share their pixels. Of a
       convolution of few pixels, as a linear layer, they share the channels. */
    if (c->group_count > 1 || p.tiles.parts >= 2 * w->threads) {
        convolve_blocks(&t, &p, first, last, 0, 0);
        return;
    }
    int64_t vectors = (c->groups->channels + LANES - 1) / LANES;
    int64_t from, to = share(w, divided(vectors, c->vectors).parts, &from);
    if (from < to)
        convolve_blocks(&t, &p, 0, p.tiles.parts, from, to);
}

/* Some rows, by one thread. */
static __attribute__((unused)) void
convolve_rows(const worker *w, const convolution *c, const span *s) {
    tile t = {.worker = w, .conv = c, .in = s->in, .out = s->out};
    pixels p = {s->first * c->width, divided((s->last - s->first) * c->width, c->pixels)};
    convolve_blocks(&t, &p, 0, p.tiles.parts, 0, 0);
}
