// Normalization of rows, x: (rows, n), a block for each row; formulas: reference/norm.py. Without
// `centered` it is RMSNorm: the mean counts as 0. weight and bias may be null: 1 and 0.
extern "C" __global__ void layer_norm(const STORE *x, const PARAM *weight, const PARAM *bias,
                                      STORE *out, REAL *mean, REAL *rstd, REAL eps,
                                      long long centered, long long n, long long rows) {
    FOR_EACH_BLOCK(i, rows) {
        const STORE *row = x + i * n;
        REAL total = 0, squares = 0;
        if (centered) FOR_THREAD(j, n) total += row[j];
        REAL m = centered ? block_sum(total) / n : (REAL)0;
        FOR_THREAD(j, n) squares += (row[j] - m) * (row[j] - m);
        REAL r = 1 / sqrt(block_sum(squares) / n + eps);
        FOR_THREAD(j, n) {
            REAL y = (row[j] - m) * r;
            if (weight) y *= weight[j];
            if (bias) y += bias[j];
            out[i * n + j] = y;
        }
        if (threadIdx.x == 0) {
            rstd[i] = r;
            if (centered) mean[i] = m;
        }
    }
}

// The gradients of all three; of x added to `before`, if that is not null. The first `sums` blocks add 32 columns of a part of the rows each, for
// weight and bias, into row `part` of (parts, n); neighbouring threads read neighbouring columns, 8
// rows at once. The others compute the gradient of one row of x each.
extern "C" __global__ void layer_norm_backward(const STORE *g, const STORE *x, const PARAM *weight,
                                               const REAL *mean, const REAL *rstd, const STORE *before,
                                               STORE *of_x, REAL *of_weight, REAL *of_bias,
                                               long long centered, long long n, long long rows,
                                               long long parts, long long sums, long long count) {
    __shared__ REAL alongs[THREADS], totals[THREADS];
    FOR_EACH_BLOCK(block, count) {
        if (block < sums) {
            long long column = divide(block, parts), part = block - column * parts;
            long long j = column * 32 + threadIdx.x % 32;
            long long length = divide(rows + parts - 1, parts), end = (part + 1) * length;
            if (end > rows) end = rows;
            REAL along = 0, total = 0;
            if (j < n)
                for (long long i = part * length + threadIdx.x / 32; i < end; i += THREADS / 32) {
                    REAL m = centered ? mean[i] : (REAL)0, of_y = g[i * n + j];
                    along += of_y * (x[i * n + j] - m) * rstd[i];
                    total += of_y;
                }
            alongs[threadIdx.x] = along;
            totals[threadIdx.x] = total;
            __syncthreads();
            if (threadIdx.x < 32 && j < n) {
                for (int k = threadIdx.x + 32; k < THREADS; k += 32) {
                    along += alongs[k];
                    total += totals[k];
                }
                of_weight[part * n + j] = along;
                if (centered) of_bias[part * n + j] = total;
            }
            __syncthreads();
            continue;
        }
        long long i = block - sums;
        const STORE *x_row = x + i * n, *g_row = g + i * n;
        REAL m = centered ? mean[i] : (REAL)0, r = rstd[i], total = 0, along = 0;
        FOR_THREAD(j, n) {
            REAL of_normal = g_row[j];
            if (weight) of_normal *= weight[j];
            total += of_normal;
            along += of_normal * (x_row[j] - m) * r;
        }
        total = centered ? block_sum(total) / n : (REAL)0;
        along = block_sum(along) / n;
        FOR_THREAD(j, n) {
            REAL of_normal = g_row[j];
            if (weight) of_normal *= weight[j];
            REAL grad = (of_normal - total - (x_row[j] - m) * r * along) * r;
            of_x[i * n + j] = before ? before[i * n + j] + grad : grad;
        }
    }
}

// The sum of the parts of both gradients, in order.
extern "C" __global__ void add_parts(const REAL *weight_parts, const REAL *bias_parts,
                                     REAL *of_weight, REAL *of_bias, long long parts, long long n) {
    FOR_EACH(j, n) {
        REAL along = 0, total = 0;
        for (long long part = 0; part < parts; part++) {
            along += weight_parts[part * n + j];
            if (bias_parts) total += bias_parts[part * n + j];
        }
        of_weight[j] = along;
        if (bias_parts) of_bias[j] = total;
    }
}
