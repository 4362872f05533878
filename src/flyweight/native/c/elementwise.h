/* What works on every channel of a pixel alone, for those few steps that nothing else could take
   along. */

enum { COPY, SCALE, ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM };

typedef struct {
    place out;
    int32_t height, width;
    const part *parts;
    int32_t part_count;
    int32_t operation;
    finish done;
} elementwise;

/* Some pixels of a row, for all channels of a part. */
static void work_on_row(
    const worker *w, const elementwise *e, const part *p, int64_t y, int64_t x, int64_t pixels
) {
    const float *a = pixel_at(w, &p->from, y, x), *b = pixel_at(w, &p->other, y, x);
    const float *scale = w->weights + p->weights, *shift = w->weights + p->bias;
    float *out = (float *)pixel_at(w, &e->out, y, x) + p->column;
    float *first = out;
#define EACH(EXPRESSION)                                                                         \
    for (int64_t i = 0; i < pixels; i++) {                                                       \
        for (int64_t c = 0; c < p->count; c += LANES) {                                          \
            vec v = load(a + c);                                                                 \
            store(out + c, limited(EXPRESSION, e->done.before));                                 \
        }                                                                                        \
        a += p->from.pixel, b += p->other.pixel, out += e->out.pixel;                            \
    }                                                                                            \
    break
    switch (e->operation) {
    case COPY: EACH(v);
    case SCALE: EACH(v * load(scale + c) + load(shift + c));
    case ADD: EACH(v + load(b + c));
    case SUBTRACT: EACH(v - load(b + c));
    case MULTIPLY: EACH(v * load(b + c));
    case DIVIDE: EACH(v / load(b + c));
    case MAXIMUM: EACH(larger(v, load(b + c)));
    case MINIMUM: EACH(smaller(v, load(b + c)));
    }
#undef EACH
    if (e->done.curve)
        for (int64_t i = 0; i < pixels; i++)
            bend(w, &e->done, p->column, first + i * e->out.pixel, p->count);
}

static __attribute__((unused)) void work_elementwise(const worker *w, const elementwise *e) {
    int64_t from, to = share(w, (int64_t)e->height * e->width, &from);
    while (from < to) {
        int64_t y = from / e->width, x = from % e->width;
        int64_t pixels = e->width - x < to - from ? e->width - x : to - from;
        for (int32_t i = 0; i < e->part_count; i++)
            work_on_row(w, e, e->parts + i, y, x, pixels);
        from += pixels;
    }
}

/* Channels one by one from where a table says. */
typedef struct {
    place out;
    int32_t height, width;
    const segment *segments;
    int32_t segment_count;
    int64_t channel; /* from a channel of the output to the next */
} gathering;

static __attribute__((unused)) void gather(const worker *w, const gathering *g, float *to) {
    int64_t from, last = share(w, (int64_t)g->height * g->width, &from);
    for (int64_t o = from; o < last; o++) {
        int64_t y = o / g->width, x = o % g->width;
        float *out = to + g->out.at + y * g->out.row + x * g->out.pixel;
        for (int32_t i = 0; i < g->segment_count; i++) {
            const segment *s = g->segments + i;
            const float *in = pixel_at(w, &s->from, y, x);
            const int32_t *index = w->index + s->index;
            for (int32_t k = 0; k < s->count; k++, out += g->channel)
                *out = in[index[k]];
        }
    }
}

/* Softmax over the channels of each pixel. */
typedef struct {
    place out, from;
    int32_t height, width, channels;
    int32_t logarithm;
} softmaxing;

static __attribute__((unused)) void softmax(const worker *w, const softmaxing *s) {
    int64_t from, to = share(w, (int64_t)s->height * s->width, &from);
    for (int64_t o = from; o < to; o++) {
        int64_t y = o / s->width, x = o % s->width;
        const float *in = pixel_at(w, &s->from, y, x);
        float *out = (float *)pixel_at(w, &s->out, y, x);
        float most = in[0], sum = 0;
        for (int32_t c = 1; c < s->channels; c++)
            most = in[c] > most || in[c] != in[c] ? in[c] : most;
        for (int32_t c = 0; c < s->channels; c++)
            sum += out[c] = expf(in[c] - most);
        for (int32_t c = 0; c < s->channels; c++)
            out[c] = s->logarithm ? in[c] - most - logf(sum) : out[c] / sum;
    }
}
