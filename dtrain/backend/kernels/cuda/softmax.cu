// Softmax, log-softmax and cross-entropy of rows of n elements, a block for each row; formulas:
// reference/softmax.py.
__device__ REAL row_max(const REAL *x, long long n) {
    REAL top = -infinity();
    FOR_THREAD(j, n) top = larger(top, x[j]);
    return block_max(top);
}

__device__ REAL row_sum_exp(const REAL *x, long long n, REAL top) {
    REAL total = 0;
    FOR_THREAD(j, n) total += exp(x[j] - top);
    return block_sum(total);
}

extern "C" __global__ void softmax(const REAL *x, REAL *out, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), total = row_sum_exp(x + i * n, n, top);
        FOR_THREAD(j, n) out[i * n + j] = exp(x[i * n + j] - top) / total;
    }
}

extern "C" __global__ void softmax_backward(const REAL *g, const REAL *out, REAL *grad,
                                            long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL along = 0;
        FOR_THREAD(j, n) along += g[i * n + j] * out[i * n + j];
        along = block_sum(along);
        FOR_THREAD(j, n) grad[i * n + j] = (g[i * n + j] - along) * out[i * n + j];
    }
}

extern "C" __global__ void log_softmax(const REAL *x, REAL *out, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), log_sum = log(row_sum_exp(x + i * n, n, top));
        FOR_THREAD(j, n) out[i * n + j] = x[i * n + j] - top - log_sum;
    }
}

extern "C" __global__ void log_softmax_backward(const REAL *g, const REAL *out, REAL *grad,
                                                long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL total = 0;
        FOR_THREAD(j, n) total += g[i * n + j];
        total = block_sum(total);
        FOR_THREAD(j, n) grad[i * n + j] = g[i * n + j] - exp(out[i * n + j]) * total;
    }
}

extern "C" __global__ void cross_entropy(const REAL *x, const long long *target, REAL *losses,
                                         REAL *tops, REAL *log_sums, long long n,
                                         long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        REAL top = row_max(x + i * n, n), log_sum = log(row_sum_exp(x + i * n, n, top));
        if (threadIdx.x == 0) {
            long long picked = target[i];  // NaN for a class out of range, no read out of bounds
            bool there = picked >= 0 && picked < n;
            losses[i] = there ? log_sum - (x[i * n + picked] - top) : infinity() - infinity();
            tops[i] = top;
            log_sums[i] = log_sum;
        }
    }
}

extern "C" __global__ void cross_entropy_backward(const REAL *g, const REAL *x,
                                                  const long long *target, const REAL *top,
                                                  const REAL *log_sum, REAL *grad, long long n,
                                                  long long count) {
    FOR_EACH(k, count) {
        long long i = k / n, j = k % n;
        grad[k] = (exp(x[k] - top[i] - log_sum[i]) - (j == target[i])) * g[i];
    }
}
