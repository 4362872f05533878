/* Pixels from elsewhere: padding that nobody else does, slices, enlarging. And sums over
   neighbouring channels. */

typedef struct {
    place out;
    int32_t height, width;
    const part *parts;
    int32_t part_count;
    int64_t rows, columns; /* for each of the output, which one of the input; -1 for none */
    float fill;
    finish done;
} picking;

static __attribute__((unused)) void pick(const worker *w, const picking *k) {
    const int32_t *rows = w->index + k->rows, *columns = w->index + k->columns;
    int64_t from, to = share(w, (int64_t)k->height * k->width, &from);
    for (int64_t o = from; o < to; o++) {
        int64_t y = o / k->width, x = o % k->width;
        int inside = rows[y] >= 0 && columns[x] >= 0;
        for (int32_t i = 0; i < k->part_count; i++) {
            const part *p = k->parts + i;
            const float *in = pixel_at(w, &p->from, inside ? rows[y] : 0, inside ? columns[x] : 0);
            float *out = (float *)pixel_at(w, &k->out, y, x) + p->column;
            for (int64_t c = 0; c < p->count; c += LANES)
                store(out + c, limited(inside ? load(in + c) : splat(k->fill), k->done.before));
            if (k->done.curve)
                bend(w, &k->done, p->column, out, p->count);
        }
    }
}

typedef struct {
    place out, from;
    int32_t height, width, channels;
    int32_t before, after;
    float scale, shift;
    finish done;
} nearby;

/* The sum of channels c - before to c + after, of those that are there. */
INLINE float sum_near(const nearby *n, const float *in, int64_t c) {
    int64_t first = c < n->before ? 0 : c - n->before;
    int64_t last = c + n->after < n->channels ? c + n->after : n->channels - 1;
    float sum = 0;
    for (int64_t i = first; i <= last; i++)
        sum += in[i];
    return sum;
}

static __attribute__((unused)) void add_neighbours(const worker *w, const nearby *n) {
    int64_t from, to = share(w, (int64_t)n->height * n->width, &from);
    for (int64_t o = from; o < to; o++) {
        int64_t y = o / n->width, x = o % n->width;
        const float *in = pixel_at(w, &n->from, y, x);
        float *out = (float *)pixel_at(w, &n->out, y, x);
        for (int64_t c = 0; c < n->channels; c += LANES) {
            vec sum = {0};
            if (c >= n->before && c + LANES + n->after <= n->channels) {
                for (int64_t i = c - n->before; i <= c + n->after; i++)
                    sum += load(in + i);
            } else {
                for (int64_t i = 0; i < LANES && c + i < n->channels; i++)
                    sum[i] = sum_near(n, in, c + i);
            }
            store(out + c, limited(sum * n->scale + n->shift, n->done.before));
        }
        if (n->done.curve)
            bend(w, &n->done, 0, out, n->channels);
    }
}
