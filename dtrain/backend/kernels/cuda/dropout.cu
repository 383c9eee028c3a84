// Dropout: a thread has the eight elements of one block of Philox. Formulas: reference/dropout.py.
extern "C" __global__ void keyed_dropout(const STORE *x, STORE *out, Key key, unsigned threshold,
                                         REAL kept, long long size, long long count) {
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
