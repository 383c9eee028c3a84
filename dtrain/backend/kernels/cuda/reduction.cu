// The mean of two arrays, (count,), in place in both.
extern "C" __global__ void mean_of_both(STORE *a, STORE *b, REAL scale, long long count) {
    FOR_EACH(i, count) {
        REAL mean = (a[i] + b[i]) * scale;
        a[i] = mean;
        b[i] = mean;
    }
}

// x: (rows, n)
extern "C" __global__ void row_means(const STORE *x, STORE *out, long long n, long long rows) {
    FOR_EACH_BLOCK(row, rows) {
        REAL total = 0;
        FOR_THREAD(j, n) total += x[row * n + j];
        total = block_sum(total);
        if (threadIdx.x == 0) out[row] = total / n;
    }
}
