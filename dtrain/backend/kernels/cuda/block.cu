// Prepended to kernels that reduce over a block: one value of each thread in a fixed order; every
// thread gets the result.
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
