/* Depthwise convolutions: a few outputs of a row at once, so that what they share is loaded once;
   channels inside, so that memory is read in order. */

typedef struct {
    place out;
    int32_t height, width; /* of the output */
    const part *parts;
    int32_t part_count;
    int32_t kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x;
    finish done;
} depthwise;

#define MOST_OUTPUTS 8
#define MOST_COLUMNS 7

/* T outputs of a row, for all channels of a part. KY, KX and S are constants, or 0 for what the
   convolution says; with constants every input is loaded once and stays in its register for all
   outputs that it is part of. The weights of a vector of channels lie together. */
INLINE void depthwise_tile(
    const worker *w, const depthwise *d, const part *p, const span *rows, int64_t y, int64_t x,
    const int T, const int KY, const int KX, const int S
) {
    int64_t pixel = p->from.pixel, row = (int64_t)p->from.row * d->dilation_y;
    int64_t taps = (int64_t)d->kernel_y * d->kernel_x;
    const float *in = pixel_away(w, &p->from, rows->in, y * d->stride_y, x * d->stride_x);
    const float *weights = w->weights + p->weights, *bias = w->weights + p->bias;
    float *out = (float *)pixel_away(w, &d->out, rows->out, y, x) + p->column;
    const finish *done = &d->done;
    vec low = splat(done->before.low), high = splat(done->before.high);
    for (int64_t c = 0; c < p->count; c += LANES, weights += taps * LANES) {
        vec sum[MOST_OUTPUTS];
        vec start = load(bias + c);
        UNROLL for (int t = 0; t < T; t++) sum[t] = start;
        if (KY) {
            const float *line = in + c;
            UNROLL for (int i = 0; i < KY; i++, line += row) {
                const float *at = line;
                vec weight[MOST_COLUMNS];
                UNROLL for (int j = 0; j < KX; j++) {
                    weight[j] = load(weights + (i * KX + j) * LANES);
                    HOLD(weight[j]);
                }
                UNROLL for (int q = 0; q < (T - 1) * S + KX; q++, at += pixel) {
                    vec input = load(at);
                    UNROLL for (int j = 0; j < KX; j++)
                        if (q >= j && (q - j) % S == 0 && (q - j) / S < T)
                            sum[(q - j) / S] += input * weight[j];
                }
            }
        } else {
            int64_t step = d->stride_x * pixel, tap = pixel * d->dilation_x;
            for (int64_t i = 0; i < d->kernel_y; i++)
                for (int64_t j = 0; j < d->kernel_x; j++) {
                    vec weight = load(weights + (i * d->kernel_x + j) * LANES);
                    UNROLL for (int t = 0; t < T; t++)
                        sum[t] += weight * load(in + i * row + t * step + j * tap + c);
                }
        }
        float *to = out + c;
        UNROLL for (int t = 0; t < T; t++, to += d->out.pixel) {
            vec v = at_most(at_least(sum[t], low), high);
            if (done->adds) {
                const float *with = pixel_at(w, &done->residual, y, x + t) + p->column + c;
                v = limited(v + load(with), done->after);
            }
            store(to, v);
        }
    }
    if (done->curve)
        for (int t = 0; t < T; t++)
            bend(w, done, p->column, out + t * (int64_t)d->out.pixel, p->count);
}

/* A row, in equal tiles. */
#define DEPTHWISE(NAME, KY, KX, S)                                                               \
    static __attribute__((noinline, unused)) void NAME(                                          \
        const worker *w, const depthwise *d, const part *p, const span *rows, int64_t y          \
    ) {                                                                                          \
        division tiles_of_row = divided(d->width, MOST_OUTPUTS);                                 \
        for (int64_t i = 0; i < tiles_of_row.parts; i++) {                                       \
            int64_t x = part_start(&tiles_of_row, i);                                            \
            switch (part_start(&tiles_of_row, i + 1) - x) {                                      \
            case 1: depthwise_tile(w, d, p, rows, y, x, 1, KY, KX, S); break;                    \
            case 2: depthwise_tile(w, d, p, rows, y, x, 2, KY, KX, S); break;                    \
            case 3: depthwise_tile(w, d, p, rows, y, x, 3, KY, KX, S); break;                    \
            case 4: depthwise_tile(w, d, p, rows, y, x, 4, KY, KX, S); break;                    \
            case 5: depthwise_tile(w, d, p, rows, y, x, 5, KY, KX, S); break;                    \
            case 6: depthwise_tile(w, d, p, rows, y, x, 6, KY, KX, S); break;                    \
            case 7: depthwise_tile(w, d, p, rows, y, x, 7, KY, KX, S); break;                    \
            default: depthwise_tile(w, d, p, rows, y, x, 8, KY, KX, S);                          \
            }                                                                                    \
        }                                                                                        \
    }

typedef void depthwise_function(
    const worker *, const depthwise *, const part *, const span *, int64_t
);

/* The function for a kernel of this size. */
static depthwise_function *depthwise_row(const depthwise *);

static __attribute__((unused)) void
convolve_depthwise_rows(const worker *w, const depthwise *d, const span *s) {
    depthwise_function *row = depthwise_row(d);
    for (int64_t y = s->first; y < s->last; y++)
        for (int32_t i = 0; i < d->part_count; i++)
            row(w, d, d->parts + i, s, y);
}

static __attribute__((unused)) void convolve_depthwise(const worker *w, const depthwise *d) {
    span mine = share_of_rows(w, d->height);
    convolve_depthwise_rows(w, d, &mine);
}
