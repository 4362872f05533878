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

INLINE void depthwise_tile(
    const worker *w, const depthwise *d, const part *p, int64_t y, int64_t x, const int T,
    const int64_t KY, const int64_t KX, const int64_t S
) {
    int64_t pixel = p->from.pixel, row = (int64_t)p->from.row * d->dilation_y;
    int64_t step = S * pixel, tap = pixel * d->dilation_x;
    int64_t pitch = (p->count + LANES - 1) / LANES * LANES;
    const float *in = w->memory + p->from.at + y * d->stride_y * p->from.row + x * step;
    const float *weights = w->weights + p->weights, *bias = w->weights + p->bias;
    float *out = (float *)pixel_at(w, &d->out, y, x) + p->column;
    const finish *done = &d->done;
    vec low = splat(done->before.low), high = splat(done->before.high);
    if (S == 1 && d->dilation_x == 1)
        step = tap = pixel; /* so that the compiler sees what outputs share */
    for (int64_t c = 0; c < p->count; c += LANES) {
        vec sum[8];
        vec start = load(bias + c);
        UNROLL for (int t = 0; t < T; t++) sum[t] = start;
        for (int64_t i = 0; i < KY; i++)
            for (int64_t j = 0; j < KX; j++) {
                vec weight = load(weights + (i * KX + j) * pitch + c);
                UNROLL for (int t = 0; t < T; t++)
                    sum[t] += weight * load(in + i * row + t * step + j * tap + c);
            }
        UNROLL for (int t = 0; t < T; t++) {
            vec v = at_most(at_least(sum[t], low), high);
            if (done->adds) {
                const float *with = pixel_at(w, &done->residual, y, x + t) + p->column + c;
                v = limited(v + load(with), done->after);
            }
            store(out + t * (int64_t)d->out.pixel + c, v);
        }
    }
    if (done->curve)
        for (int t = 0; t < T; t++)
            bend(w, done, p->column, out + t * (int64_t)d->out.pixel, p->count);
}

#define DEPTHWISE(NAME, KY, KX, S)                                                               \
    static __attribute__((noinline, unused)) void NAME(                                          \
        const worker *w, const depthwise *d, const part *p, int64_t y                            \
    ) {                                                                                          \
        int64_t x = 0;                                                                           \
        for (; x + 4 <= d->width; x += 4)                                                        \
            depthwise_tile(w, d, p, y, x, 4, KY, KX, S);                                         \
        if (d->width - x == 3)                                                                   \
            depthwise_tile(w, d, p, y, x, 3, KY, KX, S);                                         \
        else if (d->width - x == 2)                                                              \
            depthwise_tile(w, d, p, y, x, 2, KY, KX, S);                                         \
        else if (d->width - x == 1)                                                              \
            depthwise_tile(w, d, p, y, x, 1, KY, KX, S);                                         \
    }
DEPTHWISE(depthwise_3x3_1, 3, 3, 1)
DEPTHWISE(depthwise_3x3_2, 3, 3, 2)
DEPTHWISE(depthwise_5x5_1, 5, 5, 1)
DEPTHWISE(depthwise_5x5_2, 5, 5, 2)
DEPTHWISE(depthwise_any, d->kernel_y, d->kernel_x, d->stride_x)

static __attribute__((unused)) void convolve_depthwise(const worker *w, const depthwise *d) {
    int64_t first, last = share(w, d->height, &first);
    int square = d->kernel_y == d->kernel_x && d->dilation_x == 1 && d->stride_x < 3;
    int known = square ? 10 * d->kernel_y + d->stride_x : 0;
    for (int64_t y = first; y < last; y++)
        for (int32_t i = 0; i < d->part_count; i++) {
            const part *p = d->parts + i;
            switch (known) {
            case 31: depthwise_3x3_1(w, d, p, y); break;
            case 32: depthwise_3x3_2(w, d, p, y); break;
            case 51: depthwise_5x5_1(w, d, p, y); break;
            case 52: depthwise_5x5_2(w, d, p, y); break;
            default: depthwise_any(w, d, p, y);
            }
        }
}
