/* Images from the caller's memory into an instance's, with a border for readers that pad. */

enum { FLOATS_PLANAR, FLOATS_INTERLEAVED, BYTES_INTERLEAVED };

typedef struct {
    place to;
    int64_t channel; /* from a channel to the next */
    int32_t channels, height, width;
    int32_t top, left, bottom, right;
    int32_t format;
    int32_t middle;               /* what is subtracted from bytes */
    int32_t scales;               /* whether pixels become v * scale + shift on the way */
    int64_t scale, shift, around; /* for each channel; around: what the border holds */
} images;

static void fill_border(const worker *w, const images *m, int32_t c) {
    float around = (w->weights + m->around)[c];
    float *plane = w->memory + m->to.at + c * m->channel;
    for (int64_t y = -m->top; y < m->height + m->bottom; y++) {
        int inside = y >= 0 && y < m->height;
        float *row = plane + y * m->to.row;
        for (int64_t x = -m->left; x < (inside ? 0 : m->width); x++)
            row[x * m->to.pixel] = around;
        for (int64_t x = m->width; x < m->width + m->right; x++)
            row[x * m->to.pixel] = around;
    }
}

static void scale_row(const worker *w, const images *m, float *row) {
    for (int32_t c = 0; c < m->channels; c++) {
        float scale = (w->weights + m->scale)[c], shift = (w->weights + m->shift)[c];
        float *at = row + c * m->channel;
        for (int64_t x = 0; x < m->width; x++)
            at[x * m->to.pixel] = at[x * m->to.pixel] * scale + shift;
    }
}

static __attribute__((unused)) void read_image(const worker *w, const images *m, const void *from) {
    const unsigned char *bytes = from;
    int64_t first, last = share(w, m->height, &first);
    size_t width = (size_t)m->width, line = width * (size_t)m->channels;
    if (w->thread == 0)
        for (int32_t c = 0; c < m->channels; c++)
            fill_border(w, m, c);
    for (int64_t y = first; y < last; y++) {
        float *row = w->memory + m->to.at + y * m->to.row;
        if (m->format == FLOATS_PLANAR)
            for (int32_t c = 0; c < m->channels; c++) {
                size_t start = ((size_t)c * (size_t)m->height + (size_t)y) * width;
                memcpy(row + c * m->channel, bytes + start * sizeof *row, width * sizeof *row);
            }
        else if (m->format == FLOATS_INTERLEAVED)
            memcpy(row, bytes + (size_t)y * line * sizeof *row, line * sizeof *row);
        else
            for (size_t i = 0; i < line; i++)
                row[i] = (float)(bytes[(size_t)y * line + i] - m->middle);
        if (m->scales)
            scale_row(w, m, row);
    }
}
