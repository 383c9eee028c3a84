// Prepended to every other .cu file. REAL is the dtype of the arrays: float or double.
#ifndef REAL
#define REAL float
#endif
#define THREADS 256

// FOR_EACH: the threads of all blocks share `count` elements. FOR_EACH_BLOCK: a block computes each
// of `count` rows, and FOR_THREAD shares the elements of a row among the threads of the block.
#define FOR_EACH(i, count)                                                        \
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < count; \
         i += (long long)gridDim.x * THREADS)
#define FOR_EACH_BLOCK(i, count) for (long long i = blockIdx.x; i < count; i += gridDim.x)
#define FOR_THREAD(j, count) for (long long j = threadIdx.x; j < count; j += THREADS)

__device__ REAL infinity() { return -log((REAL)0); }

// Reduce one value of each thread of a block in a fixed order; every thread gets the result.
__device__ REAL block_sum(REAL value) {
    __shared__ REAL shared[THREADS];
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    REAL total = shared[0];
    __syncthreads();
    return total;
}

__device__ REAL larger(REAL x, REAL y) { return y > x || y != y ? y : x; }  // NaN is the largest

__device__ REAL block_max(REAL value) {
    __shared__ REAL shared[THREADS];
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half)
            shared[threadIdx.x] = larger(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    REAL top = shared[0];
    __syncthreads();
    return top;
}

