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

// running = running * keep + new * momentum, of both statistics of channel c, and count + 1, if there
// is one.
template <class T>
__device__ void update_channel(T *running_mean, T *running_var, long long *batches, long long c,
                               REAL mean, REAL var, REAL momentum, REAL keep, REAL correction) {
    running_mean[c] = running_mean[c] * keep + mean * momentum;
    running_var[c] = running_var[c] * keep + var * correction * momentum;
    if (c == 0 && batches) batches[0] += 1;
}

__device__ REAL normalized(REAL x, REAL mean, REAL var, const PARAM *weight, const PARAM *bias,
                           long long c, REAL eps) {
    REAL y = (x - mean) * (1 / sqrt(var + eps) * (weight ? (REAL)weight[c] : (REAL)1));
    if (bias) y += bias[c];
    return y;
}
__device__ REAL relu(REAL x) { return x <= 0 ? 0 : x; }  // NaN stays

// The mean and the mean square deviation of each part: (channels, parts). If each channel is one part,
// its running statistics are updated, and it is normalized, if there is memory for these.
extern "C" __global__ void channel_statistics(const STORE *x, REAL *mean, REAL *var,
                                              PARAM *running_mean, PARAM *running_var,
                                              long long *batches, REAL momentum, REAL keep,
                                              REAL correction, const PARAM *weight, const PARAM *bias,
                                              STORE *out, REAL eps, long long rectified,
                                              long long parts, long long n, long long inner,
                                              long long channels, long long count) {
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
            if (running_mean)
                update_channel(running_mean, running_var, batches, c, m, squares, momentum, keep,
                               correction);
        }
        if (out)
            over_channel(c, part, parts, n, inner, channels, [&](long long k) {
                REAL y = normalized(x[k], m, squares, weight, bias, c, eps);
                out[k] = rectified ? relu(y) : y;
            });
    }
}

// Mean and variance of a channel from those of its parts (Chan et al. 1979); its running statistics.
extern "C" __global__ void merge_statistics(const STORE *, const REAL *means, const REAL *vars,
                                            REAL *mean, REAL *var, PARAM *running_mean,
                                            PARAM *running_var, long long *batches, REAL momentum,
                                            REAL keep, REAL correction, long long parts,
                                            long long size, long long channels) {
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
        squares /= size;
        mean[c] = m;
        var[c] = squares;
        if (running_mean)
            update_channel(running_mean, running_var, batches, c, m, squares, momentum, keep,
                           correction);
    }
}

extern "C" __global__ void update_running(STORE *running_mean, STORE *running_var, const REAL *mean,
                                          const REAL *var, long long *batches, REAL momentum,
                                          REAL keep, REAL correction, long long channels) {
    FOR_EACH(c, channels)
        update_channel(running_mean, running_var, batches, c, mean[c], var[c], momentum, keep,
                       correction);
}

extern "C" __global__ void channel_norm(const STORE *x, const REAL *mean, const REAL *var,
                                        const PARAM *weight, const PARAM *bias, STORE *out, REAL eps,
                                        long long rectified, long long inner, long long channels,
                                        long long count) {
    FOR_EACH(k, count) {
        long long c = channel_of(k, inner, channels);
        REAL y = normalized(x[k], mean[c], var[c], weight, bias, c, eps);
        out[k] = rectified ? relu(y) : y;
    }
}

// The gradient of the normalized x at k, where relu of it may have given `out`.
__device__ REAL before_relu(const STORE *g, const STORE *out, long long k) {
    return out && out[k] == 0 ? (REAL)0 : (REAL)g[k];
}

// share: 1 / (n * inner); 0 where mean and var are not of the batch: then x is not read, for its NaN
// does not reach its gradient.
__device__ REAL gradient_of_x(REAL of_y, const STORE *x, long long k, REAL mean, REAL rstd,
                              const PARAM *weight, long long c, REAL of_weight, REAL of_bias,
                              REAL share) {
    if (share != 0)
        of_y -= (x[k] - mean) * rstd * (of_weight * share) + of_bias * share;
    return of_y * (rstd * (weight ? (REAL)weight[c] : (REAL)1));
}

// The gradients of weight and bias of each part: (channels, parts). If each channel is one part, that of
// x, too, if there is memory for it.
extern "C" __global__ void channel_sums(const STORE *g, const STORE *x, const STORE *out,
                                        const REAL *mean, const REAL *var, const PARAM *weight,
                                        REAL *of_weight, REAL *of_bias, STORE *of_x, REAL eps,
                                        REAL share, long long parts, long long n, long long inner,
                                        long long channels, long long count) {
    FOR_EACH_BLOCK(block, count) {
        long long c = divide(block, parts), part = block - c * parts;
        REAL along = 0, total = 0, m = mean[c], rstd = 1 / sqrt(var[c] + eps);
        over_channel(c, part, parts, n, inner, channels, [&](long long k) {
            REAL of_y = before_relu(g, out, k);
            along += of_y * (x[k] - m);
            total += of_y;
        });
        along = block_sum(along) * rstd;
        total = block_sum(total);
        if (threadIdx.x == 0) {
            of_weight[block] = along;
            of_bias[block] = total;
        }
        if (of_x)
            over_channel(c, part, parts, n, inner, channels, [&](long long k) {
                of_x[k] = gradient_of_x(before_relu(g, out, k), x, k, m, rstd, weight, c, along, total,
                                        share);
            });
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

extern "C" __global__ void channel_norm_of_x(const STORE *g, const STORE *x, const STORE *out,
                                             const REAL *mean, const REAL *var, const PARAM *weight,
                                             const REAL *of_weight, const REAL *of_bias, STORE *of_x,
                                             REAL eps, REAL share, long long inner,
                                             long long channels, long long count) {
    FOR_EACH(k, count) {
        long long c = channel_of(k, inner, channels);
        of_x[k] = gradient_of_x(before_relu(g, out, k), x, k, mean[c], 1 / sqrt(var[c] + eps), weight,
                                c, of_weight[c], of_bias[c], share);
    }
}
