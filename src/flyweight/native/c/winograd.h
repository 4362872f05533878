/* 3x3 convolutions by Winograd's F(2x2, 3x3): four outputs take 16 products for each input and
   output channel instead of 36. Inputs of a few tiles of 2x2 outputs are transformed, multiplied by
   transformed weights, one matrix for each of 16 places, and transformed back. An output depends on
   the same inputs as in a plain convolution, but infinities meet in sums: a tile whose result isn't
   finite is computed once more, as a plain convolution. */

typedef struct {
    place out;
    int32_t height, width; /* of the output */
    int32_t at_once;       /* tiles */
    const part *parts;     /* of the input; from the pixel that the first output's window begins at */
    int32_t part_count;
    const convolution *products; /* a group for each place; it reads and writes a thread's own memory */
    int64_t inputs, sums;        /* from a place to the next, of transformed inputs and of products */
    int64_t bias;
    finish done;
} winograd;

/* Where tile `i` of those that are done together lies, of the first place. */
INLINE float *own_tile(const worker *w, const place *p, int64_t i) {
    return (float *)pixel_away(w, p, (int64_t)w->thread * OWN, 0, i);
}

/* The inputs of a tile, 4x4 pixels, transformed. A part's last vector reaches over its channels, into
   the next part or behind the last input, where nobody reads. */
static void
transform_inputs(const worker *w, const winograd *c, int64_t y, int64_t x, float *to) {
    for (int32_t i = 0; i < c->part_count; i++) {
        const part *p = c->parts + i;
        const float *from = pixel_at(w, &p->from, y, x);
        for (int64_t k = 0; k < p->count; k += LANES) {
            vec by_row[4][4];
            UNROLL for (int b = 0; b < 4; b++) {
                const float *at = from + k + b * p->from.pixel;
                int64_t row = p->from.row;
                vec d0 = load(at), d1 = load(at + row), d2 = load(at + 2 * row);
                vec d3 = load(at + 3 * row);
                by_row[0][b] = d0 - d2;
                by_row[1][b] = d1 + d2;
                by_row[2][b] = d2 - d1;
                by_row[3][b] = d1 - d3;
            }
            float *out = to + p->column + k;
            UNROLL for (int a = 0; a < 4; a++, out += 4 * c->inputs) {
                const vec *t = by_row[a];
                store(out, t[0] - t[2]);
                store(out + c->inputs, t[1] + t[2]);
                store(out + 2 * c->inputs, t[2] - t[1]);
                store(out + 3 * c->inputs, t[1] - t[3]);
            }
        }
    }
}

/* Outputs of one width of vectors and one pixel, finished. */
INLINE vec finished(const worker *w, const finish *f, vec v, int64_t y, int64_t x, int64_t channel) {
    v = limited(v, f->before);
    if (f->adds)
        v = limited(v + load(pixel_at(w, &f->residual, y, x) + channel), f->after);
    return v;
}

/* The products of a tile back to its outputs; whether all of them are finite. */
static int transform_back(
    const worker *w, const winograd *c, const float *from, int64_t y, int64_t x
) {
    int64_t channels = c->products->groups->channels;
    int high = y + 1 < c->height ? 2 : 1, wide = x + 1 < c->width ? 2 : 1;
    /* x - x, summed: 0 where all are finite. Lanes behind the last channel hold anything. */
    vec nothing = splat(0.0f), before_last = nothing;
    for (int64_t n = 0; n < channels; n += LANES) {
        if (n + LANES >= channels)
            before_last = nothing, nothing = splat(0.0f);
        const float *at = from + n;
        vec bias = load(w->weights + c->bias + n), by_row[2][4];
        UNROLL for (int b = 0; b < 4; b++, at += c->sums) {
            vec m1 = load(at + 4 * c->sums), m2 = load(at + 8 * c->sums);
            by_row[0][b] = load(at) + m1 + m2;
            by_row[1][b] = m1 - m2 - load(at + 12 * c->sums);
        }
        for (int i = 0; i < high; i++) {
            const vec *t = by_row[i];
            vec sums[2] = {t[0] + t[1] + t[2] + bias, t[1] - t[2] - t[3] + bias};
            for (int j = 0; j < wide; j++) {
                float *out = (float *)pixel_at(w, &c->out, y + i, x + j) + n;
                nothing += sums[j] - sums[j];
                store(out, finished(w, &c->done, sums[j], y + i, x + j, n));
            }
        }
    }
    int finite = 1;
    for (int64_t l = 0; l < LANES; l++)
        finite &= before_last[l] == 0.0f;
    for (int64_t l = 0; l < (channels - 1) % LANES + 1; l++)
        finite &= nothing[l] == 0.0f;
    return finite;
}

/* The weight of input k for output n of a group, from where tiles read it. */
static float weight_of(const worker *w, const convolution *c, const group *g, int64_t k, int64_t n) {
    division blocks = divided((g->channels + LANES - 1) / LANES, c->vectors);
    int64_t b = 0;
    while (part_start(&blocks, b + 1) * LANES <= n)
        b++;
    int64_t start = part_start(&blocks, b) * LANES, end = part_start(&blocks, b + 1) * LANES;
    int64_t half_last = b + 1 == blocks.parts && ends_in_half(g->channels);
    int64_t whole = end - start - half_last * LANES;
    const float *weights = w->weights + g->weights + start * g->inputs;
    return n - start < whole ? weights[k * whole + n - start]
                             : weights[g->inputs * whole + k * HALF + n - start - whole];
}

/* The 3x3 weights of an input and an output: transforming them is undone. */
static void plain_weights(const worker *w, const convolution *c, int64_t k, int64_t n, float to[9]) {
    float by_row[3][4];
    for (int b = 0; b < 4; b++) {
        float u[4];
        for (int a = 0; a < 4; a++)
            u[a] = weight_of(w, c, c->groups + 4 * a + b, k, n);
        by_row[0][b] = u[0], by_row[1][b] = u[1] - u[2], by_row[2][b] = u[3];
    }
    for (int a = 0; a < 3; a++) {
        const float *u = by_row[a];
        to[3 * a] = u[0], to[3 * a + 1] = u[1] - u[2], to[3 * a + 2] = u[3];
    }
}

/* A tile as a plain convolution, for what isn't finite. */
static void convolve_plainly(const worker *w, const winograd *c, int64_t y, int64_t x) {
    int64_t channels = c->products->groups->channels;
    int high = y + 1 < c->height ? 2 : 1, wide = x + 1 < c->width ? 2 : 1;
    for (int64_t first = 0; first < channels; first += LANES) {
        vec sums[4];
        UNROLL for (int o = 0; o < 4; o++) sums[o] = load(w->weights + c->bias + first);
        for (int64_t l = 0; l < LANES && first + l < channels; l++)
            for (int32_t i = 0; i < c->part_count; i++) {
                const part *p = c->parts + i;
                for (int64_t k = 0; k < p->count; k++) {
                    const float *at = pixel_at(w, &p->from, y, x) + k;
                    float weight[9];
                    plain_weights(w, c->products, p->column + k, first + l, weight);
                    for (int o = 0; o < 4; o++)
                        for (int t = 0; t < 9; t++) {
                            int64_t row = o / 2 + t / 3, column = o % 2 + t % 3;
                            sums[o][l] +=
                                weight[t] * at[row * p->from.row + column * p->from.pixel];
                        }
                }
            }
        for (int o = 0; o < 4; o++)
            if (o / 2 < high && o % 2 < wide)
                store(
                    (float *)pixel_at(w, &c->out, y + o / 2, x + o % 2) + first,
                    finished(w, &c->done, sums[o], y + o / 2, x + o % 2, first)
                );
    }
}

static void bend_tile(const worker *w, const winograd *c, int64_t y, int64_t x) {
    for (int64_t a = y; a < y + 2 && a < c->height; a++)
        for (int64_t b = x; b < x + 2 && b < c->width; b++)
            bend(w, &c->done, 0, (float *)pixel_at(w, &c->out, a, b), c->products->groups->channels);
}

/* The products of `count` tiles: a matrix for each place. */
static void multiply_places(const worker *w, const winograd *c, int64_t count) {
    const convolution *all = c->products;
    int64_t own = (int64_t)w->thread * OWN;
    pixels p = {0, divided(count, all->pixels)};
    for (int64_t i = 0; i < all->group_count; i++) {
        tile t = {.worker = w, .conv = all, .in = own + i * c->inputs, .out = own + i * c->sums};
        const group *g = all->groups + i;
        division blocks = divided((g->channels + LANES - 1) / LANES, all->vectors);
        for (int64_t b = 0; b < blocks.parts; b++)
            convolve_tiles(&t, g, &blocks, b, &p, 0, p.tiles.parts);
    }
}

static __attribute__((unused)) void convolve_winograd(const worker *w, const winograd *c) {
    int64_t across = (c->width + 1) / 2, tiles = across * ((c->height + 1) / 2);
    int64_t first, last = share(w, tiles, &first);
    const place *inputs = &c->products->segments->from, *sums = &c->products->out;
    for (int64_t count; first < last; first += count) {
        count = last - first < c->at_once ? last - first : c->at_once;
        for (int64_t i = 0; i < count; i++) {
            int64_t y = (first + i) / across * 2, x = (first + i) % across * 2;
            transform_inputs(w, c, y, x, own_tile(w, inputs, i));
        }
        multiply_places(w, c, count);
        for (int64_t i = 0; i < count; i++) {
            int64_t y = (first + i) / across * 2, x = (first + i) % across * 2;
            if (!transform_back(w, c, own_tile(w, sums, i), y, x))
                convolve_plainly(w, c, y, x);
            if (c->done.curve)
                bend_tile(w, c, y, x);
        }
    }
}
