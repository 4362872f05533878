/* Vectors of LANES floats, by the vector extensions of GCC and Clang: every target has them.
   Not a number and infinity behave as in scalar code; nothing here needs -ffast-math. */

#pragma GCC diagnostic ignored "-Wpsabi" /* no vector is passed between files */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_TWICE _Pragma("GCC unroll 2")
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#endif
#define INLINE static inline __attribute__((always_inline, unused))

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float vec_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * LANES)));

/* Half a vector, which some convolutions end with. */
#define HALF (LANES / 2)
typedef float half __attribute__((vector_size(2 * LANES)));
typedef float half_anywhere __attribute__((vector_size(2 * LANES), aligned(4), may_alias));
typedef int32_t half_mask __attribute__((vector_size(2 * LANES)));

INLINE vec load(const float *from) { return *(const vec_anywhere *)from; }
INLINE void store(float *to, vec v) { *(vec_anywhere *)to = v; }
INLINE vec splat(float x) { return x - (vec){0}; }
INLINE half load_half(const float *from) { return *(const half_anywhere *)from; }
INLINE void store_half(float *to, half v) { *(half_anywhere *)to = v; }
INLINE half splat_half(float x) { return x - (half){0}; }
INLINE vec choose(mask m, vec yes, vec no) {
    return (vec)(((mask)yes & m) | ((mask)no & ~m));
}

/* Lanes l and l ^ BY change places. */
#if LANES == 4
#define PARTNERS(BY) 0 ^ BY, 1 ^ BY, 2 ^ BY, 3 ^ BY
#elif LANES == 8
#define PARTNERS(BY) 0 ^ BY, 1 ^ BY, 2 ^ BY, 3 ^ BY, 4 ^ BY, 5 ^ BY, 6 ^ BY, 7 ^ BY
#else
#define PARTNERS(BY)                                                                              \
    0 ^ BY, 1 ^ BY, 2 ^ BY, 3 ^ BY, 4 ^ BY, 5 ^ BY, 6 ^ BY, 7 ^ BY, 8 ^ BY, 9 ^ BY, 10 ^ BY,     \
        11 ^ BY, 12 ^ BY, 13 ^ BY, 14 ^ BY, 15 ^ BY
#endif
#if defined(__clang__)
#define EXCHANGED(V, BY) __builtin_shufflevector(V, V, PARTNERS(BY))
#else
#define EXCHANGED(V, BY) __builtin_shuffle(V, (mask){PARTNERS(BY)})
#endif
INLINE vec exchanged(vec v, int by) {
    v = by & 1 ? EXCHANGED(v, 1) : v;
    v = by & 2 ? EXCHANGED(v, 2) : v;
#if LANES > 4
    v = by & 4 ? EXCHANGED(v, 4) : v;
#endif
#if LANES > 8
    v = by & 8 ? EXCHANGED(v, 8) : v;
#endif
    return v;
}

/* Keeps the compiler from reading a vector from memory again at each use. */
#if defined(__AVX512F__) && defined(__AVX512VL__) && LANES == 16
#define HOLD(v) __asm__("" : "+v"(v))
#elif defined(__AVX__) && LANES == 8
#define HOLD(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__) && LANES == 4
#define HOLD(v) __asm__("" : "+w"(v))
#else
#define HOLD(v) ((void)0)
#endif

/* v, or the limit where v is beyond it; not a number stays what it is. */
#if defined(__AVX512F__) && LANES == 16 && defined(__clang__)
INLINE vec at_least(vec v, vec low) { return __builtin_ia32_maxps512(low, v, 4); }
INLINE vec at_most(vec v, vec high) { return __builtin_ia32_minps512(high, v, 4); }
#elif defined(__AVX512F__) && LANES == 16
INLINE vec at_least(vec v, vec low) {
    return __builtin_ia32_maxps512_mask(low, v, v, (unsigned short)-1, 4);
}
INLINE vec at_most(vec v, vec high) {
    return __builtin_ia32_minps512_mask(high, v, v, (unsigned short)-1, 4);
}
#elif defined(__AVX__) && LANES == 8
INLINE vec at_least(vec v, vec low) { return __builtin_ia32_maxps256(low, v); }
INLINE vec at_most(vec v, vec high) { return __builtin_ia32_minps256(high, v); }
#else
INLINE vec at_least(vec v, vec low) { return choose(v < low, low, v); }
INLINE vec at_most(vec v, vec high) { return choose(v > high, high, v); }
#endif
#if defined(__AVX__) && LANES == 16
INLINE half half_at_least(half v, half low) { return __builtin_ia32_maxps256(low, v); }
INLINE half half_at_most(half v, half high) { return __builtin_ia32_minps256(high, v); }
#else
INLINE half choose_half(half_mask m, half yes, half no) {
    return (half)(((half_mask)yes & m) | ((half_mask)no & ~m));
}
INLINE half half_at_least(half v, half low) { return choose_half(v < low, low, v); }
INLINE half half_at_most(half v, half high) { return choose_half(v > high, high, v); }
#endif

/* The larger one; not a number where either is. */
#if defined(__AVX512F__) && LANES == 16 && !defined(__clang__)
#define NUMBERS_OF(v) (unsigned short)__builtin_ia32_cmpps512_mask(v, v, 7, (unsigned short)-1, 4)
INLINE vec larger(vec a, vec b) {
    return __builtin_ia32_maxps512_mask(b, a, b, NUMBERS_OF(b), 4);
}
INLINE vec smaller(vec a, vec b) {
    return __builtin_ia32_minps512_mask(b, a, b, NUMBERS_OF(b), 4);
}
#else
INLINE vec larger(vec a, vec b) { return (vec)((mask)at_least(a, b) | (b != b)); }
INLINE vec smaller(vec a, vec b) { return (vec)((mask)at_most(a, b) | (b != b)); }
#endif

/* e to the x, within 2 units in the last place; overflows to infinity, underflows to 0. */
INLINE vec exponential(vec x) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    vec in = at_least(at_most(x, splat(88.8f)), splat(-87.3f));
    vec rounded = in * 1.44269504088896341f + magic;
    vec n = rounded - magic;
    vec r = in - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    /* 2^n in two factors, since 2^128 alone is no float. */
    mask whole = (mask)rounded - (mask)magic, half = whole >> 1;
    vec y = p * (vec)((half + 127) << 23) * (vec)((whole - half + 127) << 23);
    y = choose(x > 88.72284f, splat(__builtin_inff()), y);
    y = choose(x < -103.97f, splat(0.0f), y);
    return choose(x != x, x, y);
}
