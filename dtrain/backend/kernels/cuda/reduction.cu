// The mean of two arrays, (count,), in place in both.
extern "C" __global__ void mean_of_both(STORE *a, STORE *b, REAL scale, long long count) {
    FOR_EACH(i, count) {
        REAL mean = (a[i] + b[i]) * scale;
        a[i] = mean;
        b[i] = mean;
    }
}
