// Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), with
// NumPy's convention: the first block is the one of counter + 1, so that both give the same bits.
extern "C" __global__ void philox(unsigned long long key0, unsigned long long key1,
                                  unsigned long long word1, unsigned long long word2,
                                  unsigned long long word3, unsigned long long *out,
                                  long long blocks) {
    const unsigned long long M0 = 0xD2E7470EE14C6C93ULL, M1 = 0xCA5A826395121157ULL;
    const unsigned long long W0 = 0x9E3779B97F4A7C15ULL, W1 = 0xBB67AE8584CAA73BULL;
    long long stride = (long long)gridDim.x * blockDim.x;
#pragma unroll 1  // without it each thread divides by the stride first
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < blocks; i += stride) {
        unsigned long long x0 = i + 1, x1 = word1, x2 = word2, x3 = word3, k0 = key0, k1 = key1;
        for (int round = 0; round < 10; round++, k0 += W0, k1 += W1) {
            unsigned long long high0 = __umul64hi(M0, x0), low0 = M0 * x0;
            unsigned long long high1 = __umul64hi(M1, x2), low1 = M1 * x2;
            x0 = high1 ^ x1 ^ k0;
            x1 = low1;
            x2 = high0 ^ x3 ^ k1;
            x3 = low0;
        }
        out[4 * i] = x0;
        out[4 * i + 1] = x1;
        out[4 * i + 2] = x2;
        out[4 * i + 3] = x3;
    }
}
