// The gradient of an embedding table, out: (rows, n). index: (looked_up,), sorted; order: the row of
// g from which each element of index came. A thread adds one column of all g of one table row, in
// ascending order: thread k is that of the first g of the row, the others return.
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
