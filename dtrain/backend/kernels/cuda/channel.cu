// Normalization of channels, x: (n, channels, inner); formulas: reference/norm.py. A block adds one
// of `parts` parts of a channel, so that few channels, too, occupy all multiprocessors.
__device__ long long channel_of(long long k, long long inner, long long channels) {
    long long plane = divide(k, inner);
    return plane - divide(plane, channels) * channels;
}

// Calls what(position in x) for the elements of a part of channel c that this thread has.
template <class What>
__device__ void over_channel(long long c, long long part, long long parts, long long n,
                             long long inner, long long channels, What what) {
    long long length = divide(n * inner + parts - 1, parts), begin = part * length;
    long long end = begin + length < n * inner ? begin + length : n * inner;
    for (long long k = begin + threadIdx.x; k < end; k += THREADS) {
        long long sample = divide(k, inner);
        what((sample * channels + c) * inner + k - sample * inner);
    }
}

// The mean and the mean square deviation of each part: (channels, parts).
extern "C" __global__ void channel_statistics(const STORE *x, REAL *mean, REAL *var, long long parts,
                                              long long n, long long inner, long long channels,
                                              long long count) {
    FOR_EACH_BLOCK(block, count) {
        long long c = divide(block, parts), part = block - c * parts;
        long long length = divide(n * inner + parts - 1, parts), size = n * inner - part * length;
        if (size > length) size = length;
        REAL total = 0, squares = 0;
        over_channel(c, part, parts, n, inner, channels, [&](long long k) { total += x[k]; });
        REAL m = block_sum(total) / size;
        over_channel(c, part, parts, n, inner, channels,
                     [&](long long k) { squares += (x[k] - m) * (x[k] - m); });
        squares = block_sum(squares) / size;
        if (threadIdx.x == 0) {
            mean[block] = m;
            var[block] = squares;
        }
    }
}

// Mean and variance of a channel from those of its parts (Chan et al. 1979).
extern "C" __global__ void merge_statistics(const REAL *means, const REAL *vars, REAL *mean,
                                            REAL *var, long long parts, long long size,
                                            long long channels) {
    FOR_EACH(c, channels) {
        long long length = divide(size + parts - 1, parts);
        REAL total = 0, squares = 0;
        for (long long part = 0; part < parts; part++) {
            long long here = size - part * length < length ? size - part * length : length;
            total += means[c * parts + part] * here;
        }
        REAL m = total / size;
        for (long long part = 0; part < parts; part++) {
            long long here = size - part * length < length ? size - part * length : length;
            REAL away = means[c * parts + part] - m;
            squares += (vars[c * parts + part] + away * away) * here;
        }
        mean[c] = m;
        var[c] = squares / size;
    }
}

// running = running * keep + new * momentum, of both statistics, and count + 1, if there is one.
extern "C" __global__ void update_running(STORE *running_mean, STORE *running_var, const REAL *mean,
                                          const REAL *var, long long *batches, REAL momentum,
                                          REAL keep, REAL correction, long long channels) {
    FOR_EACH(c, channels) {
        running_mean[c] = running_mean[c] * keep + mean[c] * momentum;
        running_var[c] = running_var[c] * keep + var[c] * correction * momentum;
        if (c == 0 && batches) batches[0] += 1;
    }
}

extern "C" __global__ void channel_norm(const STORE *x, const REAL *mean, const REAL *var,
                                        const PARAM *weight, const PARAM *bias, STORE *out, REAL eps,
                                        long long inner, long long channels, long long count) {
    FOR_EACH(k, count) {
        long long c = channel_of(k, inner, channels);
        REAL y = (x[k] - mean[c]) * (1 / sqrt(var[c] + eps) * (weight ? (REAL)weight[c] : (REAL)1));
        if (bias) y += bias[c];
        out[k] = y;
    }
}

// The gradients of weight and bias of each part: (channels, parts).
extern "C" __global__ void channel_sums(const STORE *g, const STORE *x, const REAL *mean,
                                        const REAL *var, REAL *of_weight, REAL *of_bias, REAL eps,
                                        long long parts, long long n, long long inner,
                                        long long channels, long long count) {
    FOR_EACH_BLOCK(block, count) {
        long long c = divide(block, parts);
        REAL along = 0, total = 0, m = mean[c], rstd = 1 / sqrt(var[c] + eps);
        over_channel(c, block - c * parts, parts, n, inner, channels, [&](long long k) {
            along += g[k] * (x[k] - m);
            total += g[k];
        });
        along = block_sum(along);
        total = block_sum(total);
        if (threadIdx.x == 0) {
            of_weight[block] = along * rstd;
            of_bias[block] = total;
        }
    }
}

extern "C" __global__ void merge_sums(const REAL *along, const REAL *total, REAL *of_weight,
                                      REAL *of_bias, long long parts, long long channels) {
    FOR_EACH(c, channels) {
        REAL weight = 0, bias = 0;
        for (long long part = 0; part < parts; part++) {
            weight += along[c * parts + part];
            bias += total[c * parts + part];
        }
        of_weight[c] = weight;
        of_bias[c] = bias;
    }
}

// share: 1 / (n * inner); 0 where mean and var are not of the batch: then x is not read, for its NaN
// does not reach its gradient.
extern "C" __global__ void channel_norm_of_x(const STORE *g, const STORE *x, const REAL *mean,
                                             const REAL *var, const PARAM *weight,
                                             const REAL *of_weight, const REAL *of_bias, STORE *of_x,
                                             REAL eps, REAL share, long long inner,
                                             long long channels, long long count) {
    FOR_EACH(k, count) {
        long long c = channel_of(k, inner, channels);
        REAL rstd = 1 / sqrt(var[c] + eps), of_y = g[k];
        if (share != 0)
            of_y -= (x[k] - mean[c]) * rstd * (of_weight[c] * share) + of_bias[c] * share;
        of_x[k] = of_y * (rstd * (weight ? (REAL)weight[c] : (REAL)1));
    }
}
