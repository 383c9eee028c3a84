// Activations of `count` elements, out[i] = f(x[i]); the formulas: reference/activation.py.
__device__ REAL logistic(REAL x) { return 1 / (1 + exp(-x)); }
__device__ REAL normal_cdf(REAL x) { return (REAL)0.5 * (1 + erf(x * (REAL)0.7071067811865476)); }

// x/2 (1 + tanh(SCALE (x + CUBIC x^3))); (1 + tanh(u)) / 2 is the logistic function of 2u.
#define SCALE ((REAL)0.7978845608028654)
#define CUBIC ((REAL)0.044715)
__device__ REAL gelu_gate(REAL x) { return logistic(2 * SCALE * (x + CUBIC * x * x * x)); }

extern "C" __global__ void relu_backward(const REAL *g, const REAL *out, REAL *grad,
                                         long long count) {
    FOR_EACH(i, count) grad[i] = out[i] == 0 ? 0 : g[i];
}

extern "C" __global__ void silu(const REAL *x, REAL *out, long long count) {
    FOR_EACH(i, count) out[i] = x[i] * logistic(x[i]);
}

extern "C" __global__ void silu_backward(const REAL *g, const REAL *x, REAL *grad,
                                         long long count) {
    FOR_EACH(i, count) {
        REAL s = logistic(x[i]);
        grad[i] = g[i] * s * (1 + x[i] * (1 - s));
    }
}

extern "C" __global__ void gelu(const REAL *x, REAL *out, long long count) {
    FOR_EACH(i, count) out[i] = x[i] * normal_cdf(x[i]);
}

extern "C" __global__ void gelu_backward(const REAL *g, const REAL *x, REAL *grad,
                                         long long count) {
    const REAL peak = (REAL)0.3989422804014327;  // 1 / sqrt(2 pi)
    FOR_EACH(i, count) {
        REAL v = x[i];
        grad[i] = g[i] * (normal_cdf(v) + v * (peak * exp((REAL)-0.5 * v * v)));
    }
}

extern "C" __global__ void gelu_tanh(const REAL *x, REAL *out, long long count) {
    FOR_EACH(i, count) out[i] = x[i] * gelu_gate(x[i]);
}

extern "C" __global__ void gelu_tanh_backward(const REAL *g, const REAL *x, REAL *grad,
                                              long long count) {
    FOR_EACH(i, count) {
        REAL v = x[i], s = gelu_gate(v);
        grad[i] = g[i] * (s + v * s * (1 - s) * 2 * SCALE * (1 + 3 * CUBIC * v * v));
    }
}
