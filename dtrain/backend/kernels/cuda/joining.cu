// Many arrays in one launch: joining.py defines MANY, and has CHUNK, too.
#ifndef MANY
#define MANY 64
#endif
#define CHUNK 4096
struct Parts {
    STORE *source[MANY];
    long long start[MANY], size[MANY], block[MANY];
};

// Calls what(part, begin, end) for the CHUNK elements of one of `many` arrays, whose blocks follow each
// other, that a block has.
template <class What>
__device__ void over_parts(const Parts &parts, long long many, long long blocks, What what) {
    FOR_EACH_BLOCK(block, blocks) {
        int part = 0;  // the last one that does not begin after this block
        for (int after = many; after - part > 1;) {
            int middle = (part + after) / 2;
            (parts.block[middle] <= block ? part : after) = middle;
        }
        long long begin = (block - parts.block[part]) * CHUNK, end = begin + CHUNK;
        what(block, part, begin, end < parts.size[part] ? end : parts.size[part]);
    }
}

extern "C" __global__ void write_parts(STORE *flat, Parts parts, long long many, long long blocks) {
    over_parts(parts, many, blocks, [&](long long, int part, long long begin, long long end) {
        for (long long i = begin + threadIdx.x; i < end; i += THREADS)
            flat[parts.start[part] + i] = parts.source[part][i];
    });
}

// The sum of one value of each thread of a block, in a fixed order.
__device__ double sum_of_threads(double value) {
    __shared__ double shared[THREADS];
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    double total = shared[0];
    __syncthreads();
    return total;
}

// The sum of the squares of each block's elements; float's largest numbers have no square in float.
extern "C" __global__ void sum_squares(STORE *, double *sums, Parts parts, long long many,
                                       long long blocks) {
    over_parts(parts, many, blocks, [&](long long block, int part, long long begin, long long end) {
        double total = 0;
        for (long long i = begin + threadIdx.x; i < end; i += THREADS) {
            double x = (REAL)parts.source[part][i];
            total += x * x;
        }
        total = sum_of_threads(total);
        if (threadIdx.x == 0) sums[block] = total;
    });
}

extern "C" __global__ void root_of_sum(STORE *, const double *sums, REAL *out, long long length,
                                       long long blocks) {
    double total = 0;
    FOR_THREAD(i, length) total += sums[i];
    total = sum_of_threads(total);
    if (threadIdx.x == 0) out[0] = (REAL)sqrt(total);
}

// Scales arrays whose common norm is `norm` to one of at most `most`.
extern "C" __global__ void clip_parts(STORE *, const REAL *norm, Parts parts, REAL most,
                                      long long many, long long blocks) {
    REAL scale = most / (norm[0] + (REAL)1e-6);
    if (scale > 1) scale = 1;  // NaN stays
    over_parts(parts, many, blocks, [&](long long, int part, long long begin, long long end) {
        STORE *x = parts.source[part];
        for (long long i = begin + threadIdx.x; i < end; i += THREADS) x[i] = x[i] * scale;
    });
}
