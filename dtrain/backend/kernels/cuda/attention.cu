// Attention in tiles (Dao et al. 2022): no array has an element for each query and key. A block has
// TILE queries, or TILE keys, of one head, and goes over tiles of the others; formulas:
// reference/attention.py. Heads are at most WIDTH wide. Of an array (n, heads, length, width) `batch`,
// `head` and `row` are the steps along the first three axes.
constexpr int WIDTH = 64, TILE = sizeof(REAL) == 4 ? 32 : 16, LANES = 16, ROWS = TILE / LANES;
typedef REAL Tile[TILE][WIDTH + 1];    // rows of queries, keys, values or gradients; zeros beyond
typedef REAL Square[TILE][TILE + 1];   // a number for each query and key
#define STEPS(x) long long x##_batch, long long x##_head, long long x##_row
#define AT(x, n, h) (x + (n) * x##_batch + (h) * x##_head)

// A thread has the elements (i, j) of a tile with i = row(a), j = column(b).
__device__ int row(int a) { return threadIdx.x / LANES + a * LANES; }
__device__ int column(int b) { return threadIdx.x % LANES + b * LANES; }

__device__ void load(Tile tile, const STORE *x, long long step, long long first, long long length,
                     int width) {
    for (int k = threadIdx.x; k < TILE * WIDTH; k += THREADS) {
        int i = k / WIDTH, j = k % WIDTH;
        tile[i][j] = first + i < length && j < width ? (REAL)x[(first + i) * step + j] : (REAL)0;
    }
}

// sums[a][b] = x[row(a)] . y[column(b)]
__device__ void multiply_rows(REAL (*sums)[ROWS], const Tile x, const Tile y, int width) {
    for (int a = 0; a < ROWS; a++)
        for (int b = 0; b < ROWS; b++) sums[a][b] = 0;
    for (int k = 0; k < width; k++)
        for (int a = 0; a < ROWS; a++)
            for (int b = 0; b < ROWS; b++) sums[a][b] += x[row(a)][k] * y[column(b)][k];
}

// sums[a][b] += the sum over k of weights[row(a)][k] x[k][column(b)]
__device__ void add_product(REAL (*sums)[WIDTH / LANES], const Square weights, const Tile x) {
    for (int k = 0; k < TILE; k++)
        for (int a = 0; a < ROWS; a++)
            for (int b = 0; b < WIDTH / LANES; b++)
                sums[a][b] += weights[row(a)][k] * x[k][column(b)];
}

__device__ void store(STORE *x, long long step, REAL (*sums)[WIDTH / LANES], long long first,
                      long long length, int width) {
    for (int a = 0; a < ROWS; a++)
        for (int b = 0; b < WIDTH / LANES; b++)
            if (first + row(a) < length && column(b) < width)
                x[(first + row(a)) * step + column(b)] = sums[a][b];
}

// The sum of one value of each of the LANES threads of a row, in a fixed order.
__device__ REAL row_sum(Square sums, REAL value, int a) {
    sums[row(a)][column(0)] = value;
    __syncthreads();
    REAL total = 0;
    for (int k = 0; k < LANES; k++) total += sums[row(a)][k];
    __syncthreads();
    return total;
}

extern "C" __global__ void attention(const STORE *q, const STORE *k, const STORE *v, STORE *out,
                                     REAL *log_sums, STEPS(q), STEPS(k), STEPS(v), STEPS(out),
                                     REAL scale, long long causal, long long heads, long long t,
                                     long long s, long long d, long long e, long long count) {
    __shared__ Tile queries, keys, values;
    __shared__ Square weights;
    long long tiles = divide(t + TILE - 1, TILE);
    FOR_EACH_BLOCK(block, count) {
        long long head = divide(block, tiles), n = divide(head, heads), h = head - n * heads;
        long long first = (block - head * tiles) * TILE;
        long long end = causal && first + TILE < s ? first + TILE : s;
        REAL tops[ROWS], totals[ROWS] = {}, sums[ROWS][WIDTH / LANES] = {};
        for (int a = 0; a < ROWS; a++) tops[a] = -infinity();
        load(queries, AT(q, n, h), q_row, first, t, d);
        for (long long begin = 0; begin < end; begin += TILE) {
            load(keys, AT(k, n, h), k_row, begin, s, d);
            load(values, AT(v, n, h), v_row, begin, s, e);
            __syncthreads();
            REAL scores[ROWS][ROWS];
            multiply_rows(scores, queries, keys, d);
            for (int a = 0; a < ROWS; a++)
                for (int b = 0; b < ROWS; b++) {
                    long long key = begin + column(b);
                    bool seen = key < s && (!causal || key <= first + row(a));
                    scores[a][b] = seen ? scores[a][b] * scale : -infinity();
                    weights[row(a)][column(b)] = scores[a][b];
                }
            __syncthreads();
            for (int a = 0; a < ROWS; a++) {
                REAL top = tops[a];
                for (int j = 0; j < TILE; j++) top = larger(top, weights[row(a)][j]);
                REAL shrink = exp(tops[a] - top);
                tops[a] = top;
                totals[a] *= shrink;
                for (int b = 0; b < ROWS; b++) totals[a] += scores[a][b] = exp(scores[a][b] - top);
                for (int b = 0; b < WIDTH / LANES; b++) sums[a][b] *= shrink;
            }
            __syncthreads();
            for (int a = 0; a < ROWS; a++)
                for (int b = 0; b < ROWS; b++) weights[row(a)][column(b)] = scores[a][b];
            __syncthreads();
            add_product(sums, weights, values);
            __syncthreads();
        }
        for (int a = 0; a < ROWS; a++) {
            REAL total = row_sum(weights, totals[a], a);
            for (int b = 0; b < WIDTH / LANES; b++) sums[a][b] /= total;
            long long i = first + row(a);
            if (i < t && column(0) == 0) log_sums[head * t + i] = tops[a] + log(total);
        }
        store(AT(out, n, h), out_row, sums, first, t, e);
    }
}

// The gradient of q, and the dot product of each row of out with its gradient, `alongs`.
extern "C" __global__ void attention_of_queries(
    const STORE *g, const STORE *q, const STORE *k, const STORE *v, const STORE *out,
    const REAL *log_sums, REAL *alongs, STORE *of_q, STEPS(g), STEPS(q), STEPS(k), STEPS(v),
    STEPS(out), STEPS(of_q), REAL scale, long long causal, long long heads, long long t, long long s,
    long long d, long long e, long long count) {
    __shared__ Tile queries, grads, keys, values;
    __shared__ Square weights;
    long long tiles = divide(t + TILE - 1, TILE);
    FOR_EACH_BLOCK(block, count) {
        long long head = divide(block, tiles), n = divide(head, heads), h = head - n * heads;
        long long first = (block - head * tiles) * TILE;
        long long end = causal && first + TILE < s ? first + TILE : s;
        REAL along[ROWS], log_sum[ROWS], sums[ROWS][WIDTH / LANES] = {};
        load(queries, AT(q, n, h), q_row, first, t, d);
        load(grads, AT(g, n, h), g_row, first, t, e);
        load(values, AT(out, n, h), out_row, first, t, e);
        __syncthreads();
        for (int a = 0; a < ROWS; a++) {
            REAL value = 0;
            for (int j = column(0); j < WIDTH; j += LANES)
                value += grads[row(a)][j] * values[row(a)][j];
            along[a] = row_sum(weights, value, a);
            long long i = first + row(a);
            log_sum[a] = i < t ? log_sums[head * t + i] : (REAL)0;
            if (i < t && column(0) == 0) alongs[head * t + i] = along[a];
        }
        for (long long begin = 0; begin < end; begin += TILE) {
            load(keys, AT(k, n, h), k_row, begin, s, d);
            load(values, AT(v, n, h), v_row, begin, s, e);
            __syncthreads();
            REAL scores[ROWS][ROWS], of_weights[ROWS][ROWS];
            multiply_rows(scores, queries, keys, d);
            multiply_rows(of_weights, grads, values, e);
            for (int a = 0; a < ROWS; a++)
                for (int b = 0; b < ROWS; b++) {
                    long long key = begin + column(b);
                    bool seen = key < s && (!causal || key <= first + row(a));
                    REAL weight = seen ? exp(scores[a][b] * scale - log_sum[a]) : (REAL)0;
                    weights[row(a)][column(b)] = weight * (of_weights[a][b] - along[a]) * scale;
                }
            __syncthreads();
            add_product(sums, weights, keys);
            __syncthreads();
        }
        store(AT(of_q, n, h), of_q_row, sums, first, t, d);
    }
}

// The gradients of k and v.
extern "C" __global__ void attention_of_keys(
    const STORE *g, const STORE *q, const STORE *k, const STORE *v, const REAL *log_sums,
    const REAL *alongs, STORE *of_k, STORE *of_v, STEPS(g), STEPS(q), STEPS(k), STEPS(v),
    STEPS(of_k), STEPS(of_v), REAL scale, long long causal, long long heads, long long t, long long s,
    long long d, long long e, long long count) {
    __shared__ Tile queries, grads, keys, values;
    __shared__ Square weights, of_scores;
    long long tiles = divide(s + TILE - 1, TILE);
    FOR_EACH_BLOCK(block, count) {
        long long head = divide(block, tiles), n = divide(head, heads), h = head - n * heads;
        long long first = (block - head * tiles) * TILE;
        REAL of_key[ROWS][WIDTH / LANES] = {}, of_value[ROWS][WIDTH / LANES] = {};
        load(keys, AT(k, n, h), k_row, first, s, d);
        load(values, AT(v, n, h), v_row, first, s, e);
        for (long long begin = causal ? first : 0; begin < t; begin += TILE) {
            load(queries, AT(q, n, h), q_row, begin, t, d);
            load(grads, AT(g, n, h), g_row, begin, t, e);
            __syncthreads();
            REAL scores[ROWS][ROWS], of_weights[ROWS][ROWS];
            multiply_rows(scores, keys, queries, d);
            multiply_rows(of_weights, values, grads, e);
            for (int b = 0; b < ROWS; b++) {
                long long i = begin + column(b);
                REAL log_sum = i < t ? log_sums[head * t + i] : (REAL)0;
                REAL along = i < t ? alongs[head * t + i] : (REAL)0;
                for (int a = 0; a < ROWS; a++) {
                    bool seen = i < t && (!causal || first + row(a) <= i);
                    REAL weight = seen ? exp(scores[a][b] * scale - log_sum) : (REAL)0;
                    weights[row(a)][column(b)] = weight;
                    of_scores[row(a)][column(b)] = weight * (of_weights[a][b] - along) * scale;
                }
            }
            __syncthreads();
            add_product(of_value, weights, grads);
            add_product(of_key, of_scores, queries);
            __syncthreads();
        }
        store(AT(of_k, n, h), of_k_row, of_key, first, s, d);
        store(AT(of_v, n, h), of_v_row, of_value, first, s, e);
        __syncthreads();
    }
}
