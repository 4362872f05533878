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

static __attribute__((unused)) void work_elementwise(const worker *w, const elementwise *e) {
    int64_t from, to = share(w, (int64_t)e->height * e->width, &from);
    int64_t y = e->width ? from / e->width : 0, x = e->width ? from % e->width : 0;
    for (int64_t o = from; o < to; o++) {
        for (int32_t i = 0; i < e->part_count; i++) {
            const part *p = e->parts + i;
            const float *a = pixel_at(w, &p->from, y, x), *b = pixel_at(w, &p->other, y, x);
            const float *scale = w->weights + p->weights, *shift = w->weights + p->bias;
            float *out = (float *)pixel_at(w, &e->out, y, x) + p->column;
#define EACH(EXPRESSION)                                                                         \
    for (int64_t c = 0; c < p->count; c += LANES) {                                              \
        vec v = load(a + c);                                                                     \
        store(out + c, limited(EXPRESSION, e->done.before));                                     \
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
                bend(w, &e->done, p->column, out, p->count);
        }
        if (++x == e->width)
            x = 0, y++;
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
