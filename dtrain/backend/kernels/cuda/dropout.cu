// Dropout: a thread has the eight elements of one block of Philox. Formulas: reference/dropout.py.
extern "C" __global__ void keyed_dropout(const STORE *x, STORE *out, unsigned long long seed,
                                         unsigned long long stream, unsigned long long call,
                                         unsigned long long microbatch, unsigned long long step,
                                         unsigned threshold, REAL kept, long long size,
                                         long long count) {
    const unsigned long long key[5] = {seed, stream, call, microbatch, step};
    FOR_EACH(i, count) {
        unsigned long long words[4];
        philox_block(words, key, i);
#pragma unroll
        for (int w = 0; w < 8; w++) {
            long long j = 8 * i + w;
            bool is_kept = (unsigned)(words[w / 2] >> w % 2 * 32) >= threshold;
            if (j < size) out[j] = x[j] * (is_kept ? kept : (REAL)0);
        }
    }
}
