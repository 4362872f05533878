/* Images from the caller's memory into an instance's, with a border for readers that pad. */

enum { FLOATS_PLANAR, FLOATS_INTERLEAVED, BYTES_INTERLEAVED };

typedef struct {
    place to;
    int64_t channel; /* from a channel to the next */
    int32_t channels, height, width;
    int32_t top, left, bottom, right;
    int32_t format;
    int64_t scale, shift, around; /* for each channel: what is done to it, what the border holds */
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

static __attribute__((unused)) void read_image(const worker *w, const images *m, const void *from) {
    const float *floats = from;
    const uint8_t *bytes = from;
    const float *scale = w->weights + m->scale, *shift = w->weights + m->shift;
    int64_t first, last = share(w, m->height, &first);
    if (w->thread == 0)
        for (int32_t c = 0; c < m->channels; c++)
            fill_border(w, m, c);
    for (int64_t y = first; y < last; y++) {
        float *row = w->memory + m->to.at + y * m->to.row;
        if (m->format == FLOATS_PLANAR)
            for (int32_t c = 0; c < m->channels; c++)
                memcpy(
                    row + c * m->channel, floats + ((int64_t)c * m->height + y) * m->width,
                    sizeof(float) * (size_t)m->width
                );
        else if (m->format == FLOATS_INTERLEAVED)
            memcpy(
                row, floats + y * m->width * m->channels,
                sizeof(float) * (size_t)(m->width * m->channels)
            );
        else
            for (int64_t x = 0; x < m->width; x++)
                for (int32_t c = 0; c < m->channels; c++) {
                    uint8_t byte = bytes[(y * m->width + x) * m->channels + c];
                    row[x * m->channels + c] = (float)byte * scale[c] + shift[c];
                }
    }
}
