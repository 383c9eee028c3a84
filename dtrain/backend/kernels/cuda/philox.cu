// Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), with
// NumPy's convention: the first block is the one of counter + 1, so that both give the same bits.
struct Key {  // the two words of the key, and the upper three of the counter
    unsigned long long words[5];
};
__device__ void philox_block(unsigned long long *out, const Key &drawn, unsigned long long index) {
    const unsigned long long *key = drawn.words;
    const unsigned long long M0 = 0xD2E7470EE14C6C93ULL, M1 = 0xCA5A826395121157ULL;
    const unsigned long long W0 = 0x9E3779B97F4A7C15ULL, W1 = 0xBB67AE8584CAA73BULL;
    unsigned long long x0 = index + 1, x1 = key[2], x2 = key[3], x3 = key[4], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++, k0 += W0, k1 += W1) {
        unsigned long long high0 = __umul64hi(M0, x0), low0 = M0 * x0;
        unsigned long long high1 = __umul64hi(M1, x2), low1 = M1 * x2;
        x0 = high1 ^ x1 ^ k0;
        x1 = low1;
        x2 = high0 ^ x3 ^ k1;
        x3 = low0;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

extern "C" __global__ void philox(unsigned long long *out, Key key, long long count) {
    FOR_EACH(i, count) philox_block(out + 4 * i, key, i);
}
