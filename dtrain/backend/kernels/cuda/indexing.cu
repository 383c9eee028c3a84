// Add the rows of values, (looked_up, n), to rows of out, (rows, n), in ascending order. index:
// (looked_up,); order: its positions, sorted by index. A thread adds one column of all rows for one
// row of out: thread k is that of the first of them, the others return.
extern "C" __global__ void add_rows(const STORE *values, const long long *index,
                                    const long long *order, STORE *out, long long n,
                                    long long looked_up, long long count) {
    FOR_EACH(k, count) {
        long long first = divide(k, n), j = k - first * n, row = index[order[first]];
        if (first && index[order[first - 1]] == row) continue;
        REAL total = out[row * n + j];
        for (long long i = first; i < looked_up && index[order[i]] == row; i++)
            total += values[order[i] * n + j];
        out[row * n + j] = total;
    }
}
