// Normalization of rows, x: (rows, n), a block for each row, and of channels, x: (n, channels, inner).
// Formulas: reference/norm.py. total and along: sums of gradients, and of gradients times x.
extern "C" __global__ void layer_norm(const REAL *x, const REAL *weight, const REAL *bias,
                                      REAL *out, REAL *mean, REAL *rstd, REAL eps, long long n,
                                      long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        const REAL *row = x + i * n;
        REAL total = 0, squares = 0;
        FOR_THREAD(j, n) total += row[j];
        REAL m = block_sum(total) / n;
        FOR_THREAD(j, n) squares += (row[j] - m) * (row[j] - m);
        REAL r = 1 / sqrt(block_sum(squares) / n + eps);
        FOR_THREAD(j, n) out[i * n + j] = (row[j] - m) * r * weight[j] + bias[j];
        if (threadIdx.x == 0) mean[i] = m, rstd[i] = r;
    }
}

extern "C" __global__ void layer_norm_of_x(const REAL *g, const REAL *x, const REAL *weight,
                                           const REAL *mean, const REAL *rstd, REAL *of_x,
                                           long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        const REAL *x_row = x + i * n, *g_row = g + i * n;
        REAL m = mean[i], r = rstd[i], total = 0, along = 0;
        FOR_THREAD(j, n) {
            REAL of_normal = g_row[j] * weight[j];
            total += of_normal;
            along += of_normal * (x_row[j] - m) * r;
        }
        total = block_sum(total) / n;
        along = block_sum(along) / n;
        FOR_THREAD(j, n)
            of_x[i * n + j] = (g_row[j] * weight[j] - total - (x_row[j] - m) * r * along) * r;
    }
}

// A block sums 32 columns: neighbouring threads read neighbouring columns, 8 rows at once.
extern "C" __global__ void layer_norm_of_weight(const REAL *g, const REAL *x, const REAL *mean,
                                                const REAL *rstd, REAL *of_weight, REAL *of_bias,
                                                long long n, long long rows, long long blocks) {
    __shared__ REAL alongs[THREADS], totals[THREADS];
    FOR_EACH_BLOCK(block, blocks) {
        long long j = block * 32 + threadIdx.x % 32;
        REAL along = 0, total = 0;
        if (j < n)
            for (long long i = threadIdx.x / 32; i < rows; i += THREADS / 32) {
                along += g[i * n + j] * (x[i * n + j] - mean[i]) * rstd[i];
                total += g[i * n + j];
            }
        alongs[threadIdx.x] = along;
        totals[threadIdx.x] = total;
        __syncthreads();
        if (threadIdx.x < 32 && j < n) {
            for (int k = threadIdx.x + 32; k < THREADS; k += 32)
                along += alongs[k], total += totals[k];
            of_weight[j] = along;
            of_bias[j] = total;
        }
        __syncthreads();
    }
}

extern "C" __global__ void channel_statistics(const REAL *x, REAL *mean, REAL *var, long long n,
                                              long long inner, long long channels) {
    FOR_EACH_BLOCK(c, channels) {
        REAL total = 0, squares = 0;
        FOR_THREAD(k, n * inner) total += x[(k / inner * channels + c) * inner + k % inner];
        REAL m = block_sum(total) / (n * inner);
        FOR_THREAD(k, n * inner) {
            REAL centered = x[(k / inner * channels + c) * inner + k % inner] - m;
            squares += centered * centered;
        }
        squares = block_sum(squares) / (n * inner);
        if (threadIdx.x == 0) mean[c] = m, var[c] = squares;
    }
}

extern "C" __global__ void channel_norm(const REAL *x, const REAL *mean, const REAL *scale,
                                        const REAL *bias, REAL *out, long long inner,
                                        long long channels, long long count) {
    FOR_EACH(k, count) {
        long long c = k / inner % channels;
        out[k] = (x[k] - mean[c]) * scale[c] + bias[c];
    }
}

extern "C" __global__ void channel_sums(const REAL *g, const REAL *x, const REAL *mean,
                                        const REAL *rstd, REAL *of_weight, REAL *of_bias,
                                        long long n, long long inner, long long channels) {
    FOR_EACH_BLOCK(c, channels) {
        REAL along = 0, total = 0;
        FOR_THREAD(k, n * inner) {
            long long at = (k / inner * channels + c) * inner + k % inner;
            along += g[at] * (x[at] - mean[c]);
            total += g[at];
        }
        along = block_sum(along);
        total = block_sum(total);
        if (threadIdx.x == 0) of_weight[c] = along * rstd[c], of_bias[c] = total;
    }
}

extern "C" __global__ void channel_norm_of_x(const REAL *g, const REAL *x, const REAL *mean,
                                             const REAL *scale, const REAL *along,
                                             const REAL *total, REAL *of_x, long long inner,
                                             long long channels, long long count) {
    FOR_EACH(k, count) {
        long long c = k / inner % channels;
        of_x[k] = (g[k] - (x[k] - mean[c]) * along[c] - total[c]) * scale[c];
    }
}
