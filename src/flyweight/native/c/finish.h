/* Activations. Those that are limits (ReLU, ReLU6) cost two instructions; the others are curves. */

enum {
    NO_CURVE, SIGMOID, SILU, TANH, HARDSIGMOID, HARDSWISH, LEAKY_RELU, PRELU, ELU, SELU, CELU,
    GELU, GELU_TANH, SOFTPLUS, MISH, EXP, LOG, SQRT, RSQRT, RECIPROCAL, SQUARE, ABSOLUTE, NEGATIVE,
    ERF, POWER, THREE_QUARTERS
};

INLINE vec limited(vec v, limits l) { return at_most(at_least(v, splat(l.low)), splat(l.high)); }

static float curve_of(int32_t curve, float slope, float x) {
    switch (curve) {
    case TANH: return tanhf(x);
    case ELU: return x > 0 ? x : slope * expm1f(x);
    case SELU: return 1.0507009873554805f * (x > 0 ? x : 1.6732632423543772f * expm1f(x));
    case CELU: return x > 0 ? x : slope * expm1f(x / slope);
    case GELU: return 0.5f * x * erfcf(x * -0.70710678118654752f);
    case SOFTPLUS: return x > 20.0f ? x : log1pf(expf(x));
    case MISH: return x * tanhf(x > 20.0f ? x : log1pf(expf(x)));
    case LOG: return logf(x);
    case ERF: return erff(x);
    case POWER: return powf(x, slope);
    default: return x;
    }
}

INLINE vec root(vec x) {
    for (int i = 0; i < LANES; i++)
        x[i] = sqrtf(x[i]);
    return x;
}

static void curve_vector(int32_t curve, float slope, const float *slopes, float *at) {
    vec x = load(at);
    switch (curve) {
    case SIGMOID: store(at, 1.0f / (1.0f + exponential(-x))); return;
    case SILU: store(at, x / (1.0f + exponential(-x))); return;
    case GELU_TANH: /* (1 + tanh u) / 2 is 1 / (1 + e^-2u) */
        store(at, x / (1.0f + exponential(x * -1.5957691216057308f * (1.0f + 0.044715f * x * x))));
        return;
    case EXP: store(at, exponential(x)); return;
    case HARDSIGMOID: store(at, limited(x + 3.0f, (limits){0.0f, 6.0f}) / 6.0f); return;
    case HARDSWISH: store(at, x * (limited(x + 3.0f, (limits){0.0f, 6.0f}) / 6.0f)); return;
    case LEAKY_RELU: store(at, choose(x < 0.0f, x * slope, x)); return;
    case PRELU: store(at, choose(x < 0.0f, x * load(slopes), x)); return;
    case RECIPROCAL: store(at, 1.0f / x); return;
    case SQRT: store(at, root(x)); return;
    case RSQRT: store(at, 1.0f / root(x)); return;
    case THREE_QUARTERS: /* as powf has it */
        store(at, choose(x == -INFINITY, splat(INFINITY), root(x) * root(root(x))));
        return;
    case SQUARE: store(at, x * x); return;
    case ABSOLUTE: store(at, (vec)((mask)x & 0x7fffffff)); return;
    case NEGATIVE: store(at, -x); return;
    default:
        for (int32_t i = 0; i < LANES; i++)
            at[i] = curve_of(curve, slope, at[i]);
    }
}

/* Vectors of one pixel, from channel `column` on, after they were stored. */
static __attribute__((noinline, unused)) void
bend(const worker *w, const finish *f, int64_t column, float *at, int64_t count) {
    const float *slopes = w->weights + f->slopes + column;
    for (int64_t c = 0; c < count; c += LANES)
        curve_vector(f->curve, f->slope, slopes + c, at + c);
}
