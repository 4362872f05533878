/* Pools over windows that are cut at the border, and over the windows of adaptive pooling. */

enum { LARGEST, SMALLEST, AVERAGE, TOTAL };
enum { INSIDE, WITH_PADDING, FIXED }; /* by what an average divides */

typedef struct {
    place out;
    int32_t height, width, in_height, in_width;
    const part *parts;
    int32_t part_count;
    int32_t kernel_y, kernel_x, stride_y, stride_x, top, left, dilation_y, dilation_x;
    int32_t adaptive;
    int32_t kind, counting;
    float divisor;
    finish done;
} pooling;

/* A window along one axis: from first to before last, and how many of it count. */
typedef struct {
    int64_t first, last, counted;
} window;

INLINE window window_of(
    const pooling *p, int64_t i, int64_t size, int64_t outputs, int64_t kernel, int64_t stride,
    int64_t padding, int64_t dilation
) {
    if (p->adaptive) {
        int64_t first = i * size / outputs, last = ((i + 1) * size + outputs - 1) / outputs;
        return (window){first, last, last - first};
    }
    int64_t first = i * stride - padding, last = first + (kernel - 1) * dilation + 1;
    int64_t counted = (last < size + padding ? last : size + padding) - first;
    while (first < 0)
        first += dilation;
    last = last < size ? last : size;
    return (window){first, last, p->counting == WITH_PADDING ? counted : last - first};
}

/* One more number of a window. */
INLINE vec taken(int32_t kind, vec v, vec x) {
    return kind == LARGEST ? larger(v, x) : kind == SMALLEST ? smaller(v, x) : v + x;
}

/* A row of a window; one of three, the usual size, without a loop. */
INLINE vec along(int32_t kind, vec v, const float *at, int64_t count, int64_t right) {
    if (count == 3)
        return taken(kind, taken(kind, taken(kind, v, load(at)), load(at + right)),
                     load(at + 2 * right));
    for (int64_t b = 0; b < count; b++, at += right)
        v = taken(kind, v, load(at));
    return v;
}

INLINE vec over(
    int32_t kind, const float *row, int64_t rows, int64_t columns, int64_t down, int64_t right
) {
    vec v = splat(kind == LARGEST ? -INFINITY : kind == SMALLEST ? INFINITY : 0.0f);
    for (int64_t a = 0; a < rows; a++, row += down)
        v = along(kind, v, row, columns, right);
    return v;
}

/* How many steps of a window are in it. */
INLINE int64_t steps(window all, int64_t dilation) {
    return all.last > all.first ? (all.last - all.first + dilation - 1) / dilation : 0;
}

static void pool_pixel(
    const worker *w, const pooling *p, int64_t y, int64_t x, window rows, window columns,
    int64_t in_away, int64_t out_away
) {
    int64_t high = steps(rows, p->dilation_y), wide = steps(columns, p->dilation_x);
    float divisor = p->counting == FIXED ? p->divisor : (float)(rows.counted * columns.counted);
    for (int32_t i = 0; i < p->part_count; i++) {
        const part *q = p->parts + i;
        int64_t down = (int64_t)q->from.row * p->dilation_y;
        int64_t right = (int64_t)q->from.pixel * p->dilation_x;
        const float *first = pixel_away(w, &q->from, in_away, rows.first, columns.first);
        float *out = (float *)pixel_away(w, &p->out, out_away, y, x) + q->column;
        for (int64_t c = 0; c < q->count; c += LANES) {
            vec v;
            if (p->kind == LARGEST)
                v = over(LARGEST, first + c, high, wide, down, right);
            else if (p->kind == SMALLEST)
                v = over(SMALLEST, first + c, high, wide, down, right);
            else
                v = over(TOTAL, first + c, high, wide, down, right);
            if (p->kind == AVERAGE)
                v = v / divisor;
            store(out + c, limited(v, p->done.before));
        }
        if (p->done.curve)
            bend(w, &p->done, q->column, out, q->count);
    }
}

/* Outputs of a row, and what their windows have in common. */
typedef struct {
    int64_t y, from, to; /* the row, its first output, and the one behind the last */
    window rows;
    int64_t in, out; /* how far inputs and outputs lie from where the tables say */
} outputs;

INLINE vec down_column(int32_t kind, const float *at, int64_t rows, int64_t down) {
    vec v = load(at);
    for (int64_t a = 1; a < rows; a++)
        v = taken(kind, v, load(at + a * down));
    return v;
}

/* Outputs whose windows have all of their K columns, S apart: a column is taken once for all
   windows that have it. */
INLINE void pool_inside(
    const worker *w, const pooling *p, const outputs *o, int32_t kind, const int K, const int S
) {
    int64_t high = o->rows.last - o->rows.first;
    float divisor = p->counting == FIXED ? p->divisor : (float)(o->rows.counted * K);
    for (int32_t i = 0; i < p->part_count; i++) {
        const part *q = p->parts + i;
        int64_t down = q->from.row, right = q->from.pixel;
        const float *in = pixel_away(w, &q->from, o->in, o->rows.first, o->from * S - p->left);
        float *out = (float *)pixel_away(w, &p->out, o->out, o->y, o->from) + q->column;
        for (int64_t c = 0; c < q->count; c += LANES) {
            const float *at = in + c;
            float *to = out + c;
            vec column[4];
            UNROLL for (int j = 0; j < K - S; j++)
                column[j] = down_column(kind, at + j * right, high, down);
            for (int64_t x = o->from; x < o->to; x++, at += S * right, to += p->out.pixel) {
                UNROLL for (int j = K - S; j < K; j++)
                    column[j] = down_column(kind, at + j * right, high, down);
                vec v = column[0];
                UNROLL for (int j = 1; j < K; j++) v = taken(kind, v, column[j]);
                UNROLL for (int j = 0; j < K - S; j++) column[j] = column[j + S];
                if (p->kind == AVERAGE)
                    v = v / divisor;
                store(to, limited(v, p->done.before));
            }
        }
        if (p->done.curve)
            for (int64_t x = o->from; x < o->to; x++)
                bend(w, &p->done, q->column, out + (x - o->from) * p->out.pixel, q->count);
    }
}

#define POOL(K, S)                                                                               \
    static void pool_##K##_##S(const worker *w, const pooling *p, const outputs *o) {            \
        if (p->kind == LARGEST)                                                                  \
            pool_inside(w, p, o, LARGEST, K, S);                                                 \
        else if (p->kind == SMALLEST)                                                            \
            pool_inside(w, p, o, SMALLEST, K, S);                                                \
        else                                                                                     \
            pool_inside(w, p, o, TOTAL, K, S);                                                   \
    }
POOL(2, 2)
POOL(3, 1)
POOL(3, 2)

/* What does outputs whose windows have all of their columns, for the usual windows. */
static void (*inside_pool(const pooling *p))(const worker *, const pooling *, const outputs *) {
    if (p->adaptive || p->dilation_x != 1 || p->dilation_y != 1)
        return NULL;
    if (p->kernel_x == 2 && p->stride_x == 2)
        return pool_2_2;
    if (p->kernel_x == 3 && p->stride_x == 1)
        return pool_3_1;
    return p->kernel_x == 3 && p->stride_x == 2 ? pool_3_2 : NULL;
}

/* Outputs one by one, each with a window of its own. */
static void
pool_apart(const worker *w, const pooling *p, const outputs *o, int64_t from, int64_t to) {
    for (int64_t x = from; x < to; x++) {
        window columns = window_of(
            p, x, p->in_width, p->width, p->kernel_x, p->stride_x, p->left, p->dilation_x
        );
        pool_pixel(w, p, o->y, x, o->rows, columns, o->in, o->out);
    }
}

static void pool_row(const worker *w, const pooling *p, const outputs *o) {
    void (*inside)(const worker *, const pooling *, const outputs *) = inside_pool(p);
    /* From the first output with all columns to before the one that hasn't them any more. */
    int64_t whole = (p->left + p->stride_x - 1) / p->stride_x;
    int64_t cut = p->in_width + p->left < p->kernel_x
                      ? 0
                      : (p->in_width + p->left - p->kernel_x) / p->stride_x + 1;
    outputs all = *o;
    all.from = whole > o->from ? whole : o->from;
    all.to = cut < o->to ? cut : o->to;
    if (!inside || all.from >= all.to || all.rows.last <= all.rows.first) {
        pool_apart(w, p, o, o->from, o->to);
        return;
    }
    pool_apart(w, p, o, o->from, all.from);
    inside(w, p, &all);
    pool_apart(w, p, o, all.to, o->to);
}

static void pool_pixels(
    const worker *w, const pooling *p, int64_t from, int64_t to, int64_t in_away, int64_t out_away
) {
    while (from < to) {
        int64_t y = from / p->width, start = y * p->width;
        int64_t end = start + p->width < to ? start + p->width : to;
        window rows = window_of(
            p, y, p->in_height, p->height, p->kernel_y, p->stride_y, p->top, p->dilation_y
        );
        outputs o = {y, from - start, end - start, rows, in_away, out_away};
        pool_row(w, p, &o);
        from = end;
    }
}

static __attribute__((unused)) void pool(const worker *w, const pooling *p) {
    int64_t from, to = share(w, (int64_t)p->height * p->width, &from);
    pool_pixels(w, p, from, to, 0, 0);
}

static __attribute__((unused)) void pool_rows(const worker *w, const pooling *p, const span *s) {
    pool_pixels(w, p, s->first * p->width, s->last * p->width, s->in, s->out);
}
