/* What the steps of a network are described by. Counts and distances are in floats. */

/* Where the pixels of a feature map lie in an instance's memory; channels lie side by side. */
typedef struct {
    int64_t at;         /* of pixel (0, 0) */
    int32_t pixel, row; /* from a pixel to its neighbour, to the one below */
} place;

/* Inputs of a convolution that lie alike: input k of a pixel is at from + index[k]. */
typedef struct {
    place from;
    int32_t count;
    int64_t index;
} segment;

/* Output channels that read the same inputs; a convolution of one group has one. */
typedef struct {
    int32_t first_segment, segments;
    int32_t inputs, channels, column; /* column: of its first output channel */
    int64_t weights, bias;
} group;

/* Channels that lie side by side where they come from and where they go. */
typedef struct {
    place from, other; /* other: the second operand of a sum or product */
    int32_t count, column;
    int64_t weights, bias;
} part;

typedef struct {
    float low, high;
} limits;

/* What is done to a step's results before they are stored. */
typedef struct {
    limits before; /* the sum */
    int32_t adds;  /* whether the residual is added */
    place residual;
    limits after;
    int32_t curve; /* an activation that is no limit, or none */
    float slope;
    int64_t slopes; /* of each channel, for a learned one */
} finish;

/* What a thread works on. */
typedef struct {
    float *memory;
    const float *weights;
    const int32_t *index;
    int32_t thread, threads;
} worker;

/* The share of `count` things that a thread has: from *first to before the result. */
INLINE int64_t share(const worker *w, int64_t count, int64_t *first) {
    *first = count * w->thread / w->threads;
    return count * (w->thread + 1) / w->threads;
}

/* Where a pixel lies; `away` is how far the map lies from where its place says. */
INLINE const float *
pixel_away(const worker *w, const place *p, int64_t away, int64_t y, int64_t x) {
    return w->memory + (p->at + away + y * p->row + x * p->pixel);
}
INLINE const float *pixel_at(const worker *w, const place *p, int64_t y, int64_t x) {
    return pixel_away(w, p, 0, y, x);
}

/* Rows of a step's output that are to be done, and how far its inputs and its output lie from where
   the tables say: inside a chain only a few rows of a map are there. */
typedef struct {
    int64_t first, last;
    int64_t in, out;
} span;

/* The share of a step's rows that a thread has. */
INLINE span share_of_rows(const worker *w, int64_t height) {
    span s = {0};
    s.last = share(w, height, &s.first);
    return s;
}

/* Zeros around a feature map whose readers pad. */
typedef struct {
    int64_t at; /* of its first float */
    int32_t pixel, row, height, width; /* without the border */
    int32_t top, left, bottom, right;
} border;

static __attribute__((unused)) void draw_border(const worker *w, const border *b) {
    if (w->thread)
        return;
    float *start = w->memory + b->at;
    size_t line = sizeof(float) * (size_t)b->row;
    for (int32_t y = 0; y < b->top; y++)
        memset(start + (int64_t)y * b->row, 0, line);
    for (int32_t y = 0; y < b->bottom; y++)
        memset(start + (int64_t)(b->top + b->height + y) * b->row, 0, line);
    size_t left = sizeof(float) * (size_t)b->left * (size_t)b->pixel;
    size_t right = sizeof(float) * (size_t)b->right * (size_t)b->pixel;
    for (int32_t y = b->top; y < b->top + b->height; y++) {
        float *row = start + (int64_t)y * b->row;
        memset(row, 0, left);
        memset(row + (int64_t)(b->left + b->width) * b->pixel, 0, right);
    }
}
