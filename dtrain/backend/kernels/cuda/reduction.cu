// The mean of two arrays, (count,), in place in both.
extern "C" __global__ void mean_of_both(REAL *a, REAL *b, REAL scale, long long count) {
    FOR_EACH(i, count) a[i] = b[i] = (a[i] + b[i]) * scale;
}
