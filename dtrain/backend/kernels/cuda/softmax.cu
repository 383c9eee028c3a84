// Softmax, log-softmax and cross-entropy of rows of n elements, a block for each row; formulas:
// reference/softmax.py.
__device__ REAL row_max(const STORE *x, long long n) {
    REAL top = -infinity();
    FOR_THREAD(j, n) top = larger(top, x[j]);
    return block_max(top);
}

__device__ REAL row_sum_exp(const STORE *x, long long n, REAL top) {
    REAL total = 0;
    FOR_THREAD(j, n) total += exp(x[j] - top);
    return block_sum(total);
}

extern "C" __global__ void softmax(const STORE *x, STORE *out, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), total = row_sum_exp(x + i * n, n, top);
        FOR_THREAD(j, n) out[i * n + j] = exp(x[i * n + j] - top) / total;
    }
}

extern "C" __global__ void softmax_backward(const STORE *g, const STORE *out, STORE *grad,
                                            long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL along = 0;
        FOR_THREAD(j, n) along += g[i * n + j] * out[i * n + j];
        along = block_sum(along);
        FOR_THREAD(j, n) grad[i * n + j] = (g[i * n + j] - along) * out[i * n + j];
    }
}

extern "C" __global__ void log_softmax(const STORE *x, STORE *out, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), log_sum = log(row_sum_exp(x + i * n, n, top));
        FOR_THREAD(j, n) out[i * n + j] = x[i * n + j] - top - log_sum;
    }
}

extern "C" __global__ void log_softmax_backward(const STORE *g, const STORE *out, STORE *grad,
                                                long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL total = 0;
        FOR_THREAD(j, n) total += g[i * n + j];
        total = block_sum(total);
        FOR_THREAD(j, n) grad[i * n + j] = g[i * n + j] - exp(out[i * n + j]) * total;
    }
}

// The loss of each row times the weight of its class, and that weight; both 0 for the class
// ignore_index. A class out of range gives NaN, and no read out of bounds.
extern "C" __global__ void cross_entropy(const STORE *x, const long long *target, const PARAM *weight,
                                         REAL *losses, REAL *scales, REAL *tops, REAL *log_sums,
                                         long long ignore_index, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), log_sum = log(row_sum_exp(x + i * n, n, top));
        if (threadIdx.x == 0) {
            long long picked = target[i];
            REAL scale = 1, loss = infinity() - infinity();
            if (picked == ignore_index) {
                scale = loss = 0;
            } else if (picked >= 0 && picked < n) {
                if (weight) scale = weight[picked];
                loss = (log_sum - (x[i * n + picked] - top)) * scale;
            }
            losses[i] = loss;
            scales[i] = scale;
            tops[i] = top;
            log_sums[i] = log_sum;
        }
    }
}

// The sums of both, and the mean: total_loss / total_scale.
extern "C" __global__ void cross_entropy_sums(STORE *out, REAL *total, const REAL *losses,
                                              const REAL *scales, long long mean, long long rows,
                                              long long blocks) {
    REAL loss = 0, scale = 0;
    FOR_THREAD(i, rows) {
        loss += losses[i];
        scale += scales[i];
    }
    loss = block_sum(loss);
    scale = block_sum(scale);
    if (threadIdx.x == 0) {
        out[0] = mean ? loss / scale : loss;
        total[0] = mean ? scale : (REAL)1;
    }
}

// g: one number, divided by `total`; or, if that is null, one for each row.
extern "C" __global__ void cross_entropy_backward(const STORE *g, const STORE *x,
                                                  const long long *target, const REAL *scales,
                                                  const REAL *total, const REAL *top,
                                                  const REAL *log_sum, STORE *grad,
                                                  long long ignore_index, long long n,
                                                  long long count) {
    FOR_EACH(k, count) {
        long long i = divide(k, n), j = k - i * n;
        REAL of_x = 0;
        if (target[i] != ignore_index) {
            REAL of_loss = total ? g[0] / total[0] : (REAL)g[i];
            of_x = (exp(x[k] - top[i] - log_sum[i]) - (j == target[i])) * (of_loss * scales[i]);
        }
        grad[k] = of_x;
    }
}
