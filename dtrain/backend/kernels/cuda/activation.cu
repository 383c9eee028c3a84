// Activations and elementwise losses of `count` elements, out[i] = f(x[i]); the formulas: reference/activation.py.
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

__device__ REAL clip(REAL x, REAL low, REAL high) {  // NaN stays
    return x < low ? low : x > high ? high : x;
}
__device__ REAL log_of_one_plus_exp(REAL x) { return (x < 0 ? 0 : x) + log1p(exp(-abs(x))); }

extern "C" __global__ void relu(const REAL *xs, REAL *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x <= 0 ? 0 : x;
    }
}

extern "C" __global__ void leaky_relu(const REAL *xs, REAL slope, REAL *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x > 0 ? x : x * slope;
    }
}

extern "C" __global__ void leaky_relu_backward(const REAL *gs, const REAL *xs, REAL slope,
                                               REAL *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = x > 0 ? g : g * slope;
    }
}

extern "C" __global__ void sigmoid(const REAL *xs, REAL *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = logistic(x);
    }
}

extern "C" __global__ void sigmoid_backward(const REAL *gs, const REAL *outs, REAL *grads,
                                            long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], out = outs[i];
        grads[i] = g * out * (1 - out);
    }
}

extern "C" __global__ void softplus(const REAL *xs, REAL beta, REAL limit, REAL *outs,
                                    long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x * beta > limit ? x : log_of_one_plus_exp(x * beta) / beta;
    }
}

extern "C" __global__ void softplus_backward(const REAL *gs, const REAL *xs, REAL beta, REAL limit,
                                             REAL *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = x * beta > limit ? g : g * logistic(x * beta);
    }
}

extern "C" __global__ void elu(const REAL *xs, REAL scale, REAL steep, REAL rate, REAL *outs,
                               long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x > 0 ? x * scale : expm1(x * rate) * steep;
    }
}

extern "C" __global__ void elu_backward(const REAL *gs, const REAL *xs, REAL scale, REAL steep,
                                        REAL rate, REAL *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * (x <= 0 ? exp(x * rate) * rate * steep : scale);
    }
}

extern "C" __global__ void hardswish(const REAL *xs, REAL *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x * clip(x + 3, 0, 6) / 6;
    }
}

extern "C" __global__ void hardswish_backward(const REAL *gs, const REAL *xs, REAL *grads,
                                              long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * (x <= -3 ? 0 : x < 3 ? x / 3 + (REAL)0.5 : 1);
    }
}

extern "C" __global__ void huber(const REAL *xs, REAL delta, REAL *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = clip(x, -delta, delta) * (x - clip(x, -delta, delta) / 2);
    }
}

extern "C" __global__ void huber_backward(const REAL *gs, const REAL *xs, REAL delta, REAL *grads,
                                          long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * clip(x, -delta, delta);
    }
}

extern "C" __global__ void bce_with_logits(const REAL *xs, const REAL *targets, REAL *outs,
                                           long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i], target = targets[i];
        outs[i] = (1 - target) * x + log_of_one_plus_exp(-x);
    }
}

extern "C" __global__ void bce_with_logits_backward(const REAL *gs, const REAL *xs,
                                                    const REAL *targets, REAL *grads,
                                                    long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i], target = targets[i];
        grads[i] = g * (logistic(x) - target);
    }
}
