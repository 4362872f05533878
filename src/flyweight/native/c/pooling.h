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

static void pool_pixels(
    const worker *w, const pooling *p, int64_t from, int64_t to, int64_t in_away, int64_t out_away
) {
    for (int64_t o = from; o < to;) {
        int64_t y = o / p->width, x = o % p->width, end = o + p->width - x;
        window rows = window_of(
            p, y, p->in_height, p->height, p->kernel_y, p->stride_y, p->top, p->dilation_y
        );
        for (end = end < to ? end : to; o < end; o++, x++) {
            window columns = window_of(
                p, x, p->in_width, p->width, p->kernel_x, p->stride_x, p->left, p->dilation_x
            );
            pool_pixel(w, p, y, x, rows, columns, in_away, out_away);
        }
    }
}

static __attribute__((unused)) void pool(const worker *w, const pooling *p) {
    int64_t from, to = share(w, (int64_t)p->height * p->width, &from);
    pool_pixels(w, p, from, to, 0, 0);
}

static __attribute__((unused)) void pool_rows(const worker *w, const pooling *p, const span *s) {
    pool_pixels(w, p, s->first * p->width, s->last * p->width, s->in, s->out);
}
