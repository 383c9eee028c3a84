// Activations and elementwise losses of `count` elements, out[i] = f(x[i]); the formulas: reference/activation.py.
__device__ REAL logistic(REAL x) { return 1 / (1 + exp(-x)); }
__device__ REAL normal_cdf(REAL x) { return (REAL)0.5 * (1 + erf(x * (REAL)0.7071067811865476)); }

// x/2 (1 + tanh(SCALE (x + CUBIC x^3))); (1 + tanh(u)) / 2 is the logistic function of 2u.
#define SCALE ((REAL)0.7978845608028654)
#define CUBIC ((REAL)0.044715)
__device__ REAL gelu_gate(REAL x) { return logistic(2 * SCALE * (x + CUBIC * x * x * x)); }

__device__ REAL relu_of(REAL x) { return x <= 0 ? 0 : x; }
__device__ REAL relu_gradient(REAL g, REAL x) { return x <= 0 ? 0 : g; }
__device__ REAL silu_of(REAL x) { return x * logistic(x); }
__device__ REAL silu_gradient(REAL g, REAL x) {
    REAL s = logistic(x);
    return g * s * (1 + x * (1 - s));
}
__device__ REAL gelu_of(REAL x) { return x * normal_cdf(x); }
__device__ REAL gelu_gradient(REAL g, REAL x) {
    const REAL peak = (REAL)0.3989422804014327;  // 1 / sqrt(2 pi)
    return g * (normal_cdf(x) + x * (peak * exp((REAL)-0.5 * x * x)));
}
__device__ REAL gelu_tanh_of(REAL x) { return x * gelu_gate(x); }
__device__ REAL gelu_tanh_gradient(REAL g, REAL x) {
    REAL s = gelu_gate(x);
    return g * (s + x * s * (1 - s) * 2 * SCALE * (1 + 3 * CUBIC * x * x));
}

// With the bias, (n,), of a linear layer's product, (rows, n); the sum is rounded as arrays are.
// `which`: activation.py numbers them.
extern "C" __global__ void bias_activation(const STORE *product, const STORE *bias, STORE *out,
                                           long long which, long long n, long long count) {
    FOR_EACH(i, count) {
        STORE sum;
        sum = (REAL)product[i] + (REAL)bias[i - divide(i, n) * n];
        REAL x = sum;
        out[i] = which == 0 ? relu_of(x)
                 : which == 1 ? silu_of(x)
                 : which == 2 ? gelu_of(x)
                              : gelu_tanh_of(x);
    }
}

extern "C" __global__ void bias_activation_backward(const STORE *g, const STORE *product,
                                                    const STORE *bias, STORE *grad, long long which,
                                                    long long n, long long count) {
    FOR_EACH(i, count) {
        STORE sum;
        sum = (REAL)product[i] + (REAL)bias[i - divide(i, n) * n];
        REAL x = sum, of_out = g[i];
        grad[i] = which == 0 ? relu_gradient(of_out, x)
                  : which == 1 ? silu_gradient(of_out, x)
                  : which == 2 ? gelu_gradient(of_out, x)
                               : gelu_tanh_gradient(of_out, x);
    }
}

extern "C" __global__ void relu_backward(const STORE *g, const STORE *out, STORE *grad,
                                         long long count) {
    FOR_EACH(i, count) grad[i] = out[i] == 0 ? (REAL)0 : (REAL)g[i];
}

extern "C" __global__ void silu(const STORE *x, STORE *out, long long count) {
    FOR_EACH(i, count) out[i] = silu_of(x[i]);
}

extern "C" __global__ void silu_backward(const STORE *g, const STORE *x, STORE *grad,
                                         long long count) {
    FOR_EACH(i, count) grad[i] = silu_gradient(g[i], x[i]);
}

extern "C" __global__ void gelu(const STORE *x, STORE *out, long long count) {
    FOR_EACH(i, count) out[i] = gelu_of(x[i]);
}

extern "C" __global__ void gelu_backward(const STORE *g, const STORE *x, STORE *grad,
                                         long long count) {
    FOR_EACH(i, count) grad[i] = gelu_gradient(g[i], x[i]);
}

extern "C" __global__ void gelu_tanh(const STORE *x, STORE *out, long long count) {
    FOR_EACH(i, count) out[i] = gelu_tanh_of(x[i]);
}

extern "C" __global__ void gelu_tanh_backward(const STORE *g, const STORE *x, STORE *grad,
                                              long long count) {
    FOR_EACH(i, count) grad[i] = gelu_tanh_gradient(g[i], x[i]);
}

__device__ REAL clip(REAL x, REAL low, REAL high) {  // NaN stays
    return x < low ? low : x > high ? high : x;
}
__device__ REAL log_of_one_plus_exp(REAL x) { return (x < 0 ? 0 : x) + log1p(exp(-abs(x))); }

extern "C" __global__ void relu(const STORE *xs, STORE *outs, long long count) {
    FOR_EACH(i, count) outs[i] = relu_of(xs[i]);
}

extern "C" __global__ void leaky_relu(const STORE *xs, REAL slope, STORE *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x > 0 ? x : x * slope;
    }
}

extern "C" __global__ void leaky_relu_backward(const STORE *gs, const STORE *xs, REAL slope,
                                               STORE *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = x > 0 ? g : g * slope;
    }
}

extern "C" __global__ void sigmoid(const STORE *xs, STORE *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = logistic(x);
    }
}

extern "C" __global__ void sigmoid_backward(const STORE *gs, const STORE *outs, STORE *grads,
                                            long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], out = outs[i];
        grads[i] = g * out * (1 - out);
    }
}

extern "C" __global__ void softplus(const STORE *xs, REAL beta, REAL limit, STORE *outs,
                                    long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x * beta > limit ? x : log_of_one_plus_exp(x * beta) / beta;
    }
}

extern "C" __global__ void softplus_backward(const STORE *gs, const STORE *xs, REAL beta, REAL limit,
                                             STORE *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = x * beta > limit ? g : g * logistic(x * beta);
    }
}

// x: (count / n, 2, n), values and gates; outs, gs: (count / n, n).
extern "C" __global__ void glu(const STORE *x, long long n, STORE *outs, long long count) {
    FOR_EACH(i, count) {
        const STORE *value = x + divide(i, n) * n + i;
        outs[i] = (REAL)value[0] * logistic(value[n]);
    }
}

extern "C" __global__ void glu_backward(const STORE *gs, const STORE *x, long long n, STORE *grads,
                                        long long count) {
    FOR_EACH(i, count) {
        long long at = divide(i, n) * n + i;
        REAL g = gs[i], s = logistic(x[at + n]);
        grads[at] = g * s;
        grads[at + n] = g * s * (REAL)x[at] * (1 - s);
    }
}

extern "C" __global__ void elu(const STORE *xs, REAL scale, REAL steep, REAL rate, STORE *outs,
                               long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x > 0 ? x * scale : expm1(x * rate) * steep;
    }
}

extern "C" __global__ void elu_backward(const STORE *gs, const STORE *xs, REAL scale, REAL steep,
                                        REAL rate, STORE *grads, long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * (x <= 0 ? exp(x * rate) * rate * steep : scale);
    }
}

extern "C" __global__ void hardswish(const STORE *xs, STORE *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = x * clip(x + 3, 0, 6) / 6;
    }
}

extern "C" __global__ void hardswish_backward(const STORE *gs, const STORE *xs, STORE *grads,
                                              long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * (x <= -3 ? 0 : x < 3 ? x / 3 + (REAL)0.5 : 1);
    }
}

extern "C" __global__ void huber(const STORE *xs, REAL delta, STORE *outs, long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i];
        outs[i] = clip(x, -delta, delta) * (x - clip(x, -delta, delta) / 2);
    }
}

extern "C" __global__ void huber_backward(const STORE *gs, const STORE *xs, REAL delta, STORE *grads,
                                          long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i];
        grads[i] = g * clip(x, -delta, delta);
    }
}

extern "C" __global__ void bce_with_logits(const STORE *xs, const STORE *targets, STORE *outs,
                                           long long count) {
    FOR_EACH(i, count) {
        REAL x = xs[i], target = targets[i];
        outs[i] = (1 - target) * x + log_of_one_plus_exp(-x);
    }
}

extern "C" __global__ void bce_with_logits_backward(const STORE *gs, const STORE *xs,
                                                    const STORE *targets, STORE *grads,
                                                    long long count) {
    FOR_EACH(i, count) {
        REAL g = gs[i], x = xs[i], target = targets[i];
        grads[i] = g * (logistic(x) - target);
    }
}
