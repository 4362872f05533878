/* Every convolution but the depthwise ones, and linear layers: outputs of a few pixels and a few
   vectors of channels stay in registers while their inputs are read through a table of offsets.
   So kernels of any size, channels from anywhere, strides and groups cost nothing extra. */

typedef struct {
    place out;
    int32_t height, width; /* of the output */
    const segment *segments;
    const group *groups;
    int32_t group_count;
    int32_t pixels, vectors; /* of a tile, at most */
    int32_t tiles_outside;   /* whether all channels of a tile are done before the next tile */
    finish done;
} convolution;

/* Some pixels and channels of an output. */
typedef struct {
    const worker *worker;
    const convolution *conv;
    const group *group;
    const float *weights, *bias;
    int64_t column, y, x;
    int32_t wraps; /* whether its pixels go on in the next row */
} tile;

typedef void tile_function(const tile *);

/* Where P pixels from the tile's first one on lie. */
#define PIXELS(AT, PLACE, P)                                                                     \
    const float *AT[P];                                                                          \
    {                                                                                            \
        const float *at = pixel_at(t->worker, &(PLACE), t->y, t->x);                             \
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

/* A tile of P pixels and V vectors of channels. Sums are in the order of the table, whatever the
   tile: the result doesn't depend on it. */
#define TILE(P, V)                                                                               \
    static __attribute__((noinline)) void tile_##P##x##V(const tile *t) {                        \
        const segment *s = t->conv->segments + t->group->first_segment;                          \
        const segment *end = s + t->group->segments;                                             \
        const float *w = t->weights;                                                             \
        vec sum[P][V];                                                                           \
        UNROLL for (int v = 0; v < V; v++) {                                                     \
            vec bias = load(t->bias + v * LANES);                                                \
            UNROLL for (int p = 0; p < P; p++) sum[p][v] = bias;                                 \
        }                                                                                        \
        for (; s < end; s++) {                                                                   \
            const int32_t *index = t->worker->index + s->index;                                  \
            PIXELS(in, s->from, P)                                                               \
            for (int64_t k = 0, count = s->count; k < count; k++, w += V * LANES) {              \
                int64_t offset = index[k];                                                       \
                vec weight[V];                                                                   \
                UNROLL for (int v = 0; v < V; v++) {                                             \
                    weight[v] = load(w + v * LANES);                                             \
                    HOLD(weight[v]);                                                             \
                }                                                                                \
                UNROLL for (int p = 0; p < P; p++) {                                             \
                    vec input = splat(in[p][offset]);                                            \
                    UNROLL for (int v = 0; v < V; v++) sum[p][v] += input * weight[v];           \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        const finish *done = &t->conv->done;                                                     \
        vec low = splat(done->before.low), high = splat(done->before.high);                      \
        UNROLL for (int p = 0; p < P; p++)                                                       \
            UNROLL for (int v = 0; v < V; v++)                                                   \
                sum[p][v] = at_most(at_least(sum[p][v], low), high);                             \
        if (done->adds) {                                                                        \
            low = splat(done->after.low), high = splat(done->after.high);                        \
            PIXELS(with, done->residual, P)                                                      \
            UNROLL for (int p = 0; p < P; p++)                                                   \
                UNROLL for (int v = 0; v < V; v++)                                               \
                    sum[p][v] = at_most(                                                         \
                        at_least(sum[p][v] + load(with[p] + t->column + v * LANES), low), high   \
                    );                                                                           \
        }                                                                                        \
        PIXELS(out, t->conv->out, P)                                                             \
        UNROLL for (int p = 0; p < P; p++) {                                                     \
            float *to = (float *)out[p] + t->column;                                             \
            UNROLL for (int v = 0; v < V; v++) store(to + v * LANES, sum[p][v]);                 \
            if (done->curve)                                                                     \
                bend(t->worker, done, t->column, to, V * LANES);                                 \
        }                                                                                        \
    }

static tile_function *const tiles[MOST_PIXELS + 1][MOST_VECTORS + 1];

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

static void place_tile(tile *t, int64_t first, int64_t pixels) {
    int64_t width = t->conv->width;
    t->y = first / width, t->x = first % width;
    t->wraps = t->x + pixels > width;
}

static void channels_of_group(tile *t, const group *g, const division *blocks, int64_t block) {
    int64_t vectors = part_start(blocks, block) * LANES;
    t->group = g;
    t->weights = t->worker->weights + g->weights + vectors * g->inputs;
    t->bias = t->worker->weights + g->bias + vectors;
    t->column = g->column + vectors;
}

static void convolve_tiles(
    tile *t, const group *g, const division *blocks, int64_t block, const division *pixels,
    int64_t first, int64_t last
) {
    int64_t vectors = part_start(blocks, block + 1) - part_start(blocks, block);
    channels_of_group(t, g, blocks, block);
    for (int64_t i = first; i < last; i++) {
        int64_t start = part_start(pixels, i), count = part_start(pixels, i + 1) - start;
        place_tile(t, start, count);
        tiles[count][vectors](t);
    }
}

static __attribute__((unused)) void convolve(const worker *w, const convolution *c) {
    tile t = {.worker = w, .conv = c};
    division pixels = divided((int64_t)c->height * c->width, c->pixels);
    int64_t first, last = share(w, pixels.parts, &first);
    /* Groups may overwrite each other's ends, in order; so threads share their pixels. Of a
       convolution of few pixels, as a linear layer, they share the channels. */
    int by_channels = c->group_count == 1 && pixels.parts < 2 * w->threads;
    if (c->tiles_outside && !by_channels) {
        for (int64_t i = first; i < last; i++)
            for (int32_t g = 0; g < c->group_count; g++) {
                const group *one = c->groups + g;
                division blocks = divided((one->channels + LANES - 1) / LANES, c->vectors);
                for (int64_t b = 0; b < blocks.parts; b++)
                    convolve_tiles(&t, one, &blocks, b, &pixels, i, i + 1);
            }
        return;
    }
    for (int32_t g = 0; g < c->group_count; g++) {
        const group *one = c->groups + g;
        division blocks = divided((one->channels + LANES - 1) / LANES, c->vectors);
        int64_t from = 0, to = blocks.parts;
        if (by_channels) {
            to = share(w, blocks.parts, &from);
            first = 0, last = pixels.parts;
        }
        for (int64_t b = from; b < to; b++)
            convolve_tiles(&t, one, &blocks, b, &pixels, first, last);
    }
}
