// The gradient of a table: a thread adds what was looked up in one row, in one column, in order.
// index is sorted; order says where each of its elements was.
extern "C" __global__ void embedding_backward(const REAL *g, const long long *index,
                                              const long long *order, REAL *out, long long n,
                                              long long looked_up, long long count) {
    FOR_EACH(k, count) {
        long long first = k / n, j = k % n, row = index[first];
        if (first && index[first - 1] == row) continue;
        REAL total = 0;
        for (long long i = first; i < looked_up && index[i] == row; i++)
            total += g[order[i] * n + j];
        out[row * n + j] = total;
    }
}
