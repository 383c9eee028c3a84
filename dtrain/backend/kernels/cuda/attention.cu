// Attention in tiles (Dao et al. 2022): no array has an element for each query and key. A block has
// TILE queries, or TILE keys, of one head, and goes over tiles of the others; formulas:
// reference/attention.py. Heads are at most WIDTH wide. Of an array (n, heads, length, width) `batch`,
// `head` and `row` are the steps along the first three axes.
#ifndef DROPS  // whether there is dropout
#define DROPS 0
#endif
struct How {  // attention.py has the same fields; group: the heads of queries that share one of keys
    int heads, group, t, s, d, e, causal, mask_kind;
    unsigned threshold;
    long long mask_steps[4];
    double scale, kept;
};
enum { NO_MASK, MASK_OF_BOOLS, ADDED_MASK };
#define STEPS(x) long long x##_batch, long long x##_head, long long x##_row
#define AT(x, n, h) (x + (n) * x##_batch + (h) * x##_head), x##_row

struct Place {
    int n, h, first;
    long long head;  // h of all samples
};
// Which of the tiles of a sequence a block has; of how many heads.
__device__ Place find_place(long long block, int length, int heads) {
    int tiles = (length + TILE - 1) / TILE;
    long long head = divide(block, tiles), n = divide(head, heads);
    return {(int)n, (int)(head - n * heads), (int)(block - head * tiles) * TILE, head};
}

// The score of query i and key j, scaled and masked.
__device__ REAL mask_score(REAL score, const void *mask, const How &how, int n, int h, int i,
                           int j) {
    if (i >= how.t || j >= how.s || (how.causal && j > i)) return -infinity();
    score *= (REAL)how.scale;
    if (how.mask_kind == NO_MASK) return score;
    const long long *steps = how.mask_steps;
    long long at = n * steps[0] + h * steps[1] + i * steps[2] + j * steps[3];
    if (how.mask_kind == ADDED_MASK) return score + (REAL)((const STORE *)mask)[at];
    return ((const bool *)mask)[at] ? score : score - infinity();  // NaN stays NaN
}

// Dropout draws its random numbers again, as dropout_mask does: eight of a block of Philox.
typedef unsigned char Kept[TILE][TILE / 8 + 1];  // a bit for each query and key
__device__ unsigned long long number(const How &how, long long head, int i, int j) {
    return (unsigned long long)(head * how.t + i) * how.s + j;
}
__device__ void draw(Kept kept, const How &how, const Key &key, long long head, int first,
                     int begin) {
    constexpr int PARTS = TILE / 8 + 1;
#pragma unroll 1
    for (int k = threadIdx.x; k < TILE * PARTS; k += THREADS) {
        unsigned long long words[4];
        philox_block(words, key, number(how, head, first + k / PARTS, begin) / 8 + k % PARTS);
        unsigned bits = 0;
        EACH(w, 8)
            bits |= ((unsigned)(words[w / 2] >> w % 2 * 32) >= how.threshold) << w;
        kept[k / PARTS][k % PARTS] = bits;
    }
}
// The factor of the weight of a tile's query i and key j; `begin` is a multiple of eight.
__device__ REAL dropped(const Kept kept, const How &how, long long head, int first, int i,
                        int j) {
    int at = (int)(number(how, head, first + i, 0) % 8) + j;
    return kept[i][at / 8] >> at % 8 & 1 ? (REAL)how.kept : (REAL)0;
}

// products[i] = x[i] . y[i], for the rows of a tile
__device__ void dot_rows(REAL *products, const STORE *x, long long x_step, const STORE *y,
                         long long y_step, int first, int length, int width) {
    constexpr int LENGTH = THREADS / TILE;
    int i = first + threadIdx.x / LENGTH;
    REAL sum = 0;
    if (i < length)
        for (int j = threadIdx.x % LENGTH; j < width; j += LENGTH)
            sum += (REAL)x[i * x_step + j] * (REAL)y[i * y_step + j];
    for (int step = LENGTH / 2; step; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
    if (i < length && threadIdx.x % LENGTH == 0) products[i] = sum;
}

extern "C" __global__ void attention(const STORE *q, const STORE *k, const STORE *v, STORE *out,
                                     REAL *log_sums, const void *mask,
                                     STEPS(q), STEPS(k), STEPS(v), STEPS(out), How how, Key key,
                                     long long count) {
    extern __shared__ Tile tiles[];
    Tile &queries = tiles[0], &keys = tiles[1], &values = tiles[2];
    Square &weights = *(Square *)(tiles + 3);
    Kept &kept = *(Kept *)(&weights + 1);
    FOR_EACH_BLOCK(block, count) {
        Place at = find_place(block, how.t, how.heads);
        int n = at.n, h = at.h, of_keys = h / how.group, first = at.first;
        int end = how.causal && first + TILE < how.s ? first + TILE : how.s;
        REAL tops[ROWS], totals[ROWS] = {};
        Sums sums = {};
        EACH(a, ROWS) tops[a] = -infinity();
        load(queries, AT(q, n, h), first, how.t, how.d);
        for (int begin = 0; begin < end; begin += TILE) {
            load(keys, AT(k, n, of_keys), begin, how.s, how.d);
            load(values, AT(v, n, of_keys), begin, how.s, how.e);
            if (DROPS) draw(kept, how, key, at.head, first, begin);
            __syncthreads();
            Scores scores = {};
            REAL highest[ROWS];
            add_row_products(scores, queries, keys, how.d);
            EACH(a, ROWS) {
                highest[a] = tops[a];
                EACH(b, COLUMNS) {
                    int i = first + row(a), j = begin + column(b);
                    scores[a][b] = mask_score(scores[a][b], mask, how, n, h, i, j);
                    highest[a] = larger(highest[a], scores[a][b]);
                }
            }
            reduce_rows(highest, false);
            EACH(a, ROWS) {
                REAL top = highest[a] == -infinity() ? (REAL)0 : highest[a];
                REAL shrink = exp(tops[a] - top);
                tops[a] = highest[a];
                totals[a] *= shrink;
                EACH(b, WIDE) sums[a][b] *= shrink;
                EACH(b, COLUMNS) {
                    totals[a] += scores[a][b] = exp(scores[a][b] - top);
                    if (DROPS)
                        scores[a][b] *= dropped(kept, how, at.head, first, row(a), column(b));
                }
            }
            write(weights, scores);
            __syncthreads();
            add_product(sums, weights, values);
            __syncthreads();
        }
        reduce_rows(totals, true);
        EACH(a, ROWS) {  // a query that sees no key has zeros
            REAL total = totals[a] == 0 ? (REAL)1 : totals[a];
            EACH(b, WIDE) sums[a][b] /= total;
            int i = first + row(a);
            if (i < how.t && column(0) == 0)
                log_sums[at.head * how.t + i] = totals[a] == 0 ? infinity() : tops[a] + log(total);
        }
        store(AT(out, n, h), sums, first, how.t, how.e);
    }
}

// The gradient of q, and the dot product of each row of out with its gradient, `alongs`.
extern "C" __global__ void attention_of_queries(
    const STORE *g, const STORE *q, const STORE *k, const STORE *v, const STORE *out,
    const REAL *log_sums, REAL *alongs, STORE *of_q, const void *mask,
    STEPS(g), STEPS(q), STEPS(k), STEPS(v), STEPS(out), STEPS(of_q), How how, Key key,
    long long count) {
    extern __shared__ Tile tiles[];
    Tile &queries = tiles[0], &keys = tiles[1], &values = tiles[2], &grads = tiles[3];
    Square &weights = *(Square *)(tiles + 4);
    Kept &kept = *(Kept *)(&weights + 1);
    FOR_EACH_BLOCK(block, count) {
        Place at = find_place(block, how.t, how.heads);
        int n = at.n, h = at.h, of_keys = h / how.group, first = at.first;
        int end = how.causal && first + TILE < how.s ? first + TILE : how.s;
        long long rows = at.head * how.t;
        REAL along[ROWS], log_sum[ROWS];
        Sums sums = {};
        load(queries, AT(q, n, h), first, how.t, how.d);
        load(grads, AT(g, n, h), first, how.t, how.e);
        dot_rows(alongs + rows, AT(g, n, h), AT(out, n, h), first, how.t, how.e);
        __syncthreads();
        EACH(a, ROWS) {
            int i = first + row(a);
            along[a] = i < how.t ? alongs[rows + i] : (REAL)0;
            log_sum[a] = i < how.t ? log_sums[rows + i] : (REAL)0;
        }
        for (int begin = 0; begin < end; begin += TILE) {
            load(keys, AT(k, n, of_keys), begin, how.s, how.d);
            load(values, AT(v, n, of_keys), begin, how.s, how.e);
            if (DROPS) draw(kept, how, key, at.head, first, begin);
            __syncthreads();
            Scores scores = {}, of_weights = {};
            add_row_products(scores, queries, keys, how.d);
            add_row_products(of_weights, grads, values, how.e);
            EACH(a, ROWS)
                EACH(b, COLUMNS) {
                    int i = first + row(a), j = begin + column(b);
                    REAL score = mask_score(scores[a][b], mask, how, n, h, i, j);
                    REAL of_weight = of_weights[a][b];
                    if (DROPS) of_weight *= dropped(kept, how, at.head, first, row(a), column(b));
                    scores[a][b] = exp(score - log_sum[a]) * (of_weight - along[a]) * (REAL)how.scale;
                }
            write(weights, scores);
            __syncthreads();
            add_product(sums, weights, keys);
            __syncthreads();
        }
        store(AT(of_q, n, h), sums, first, how.t, how.d);
    }
}

// The gradients of k and v: of all heads that share them, one after the other.
extern "C" __global__ void attention_of_keys(
    const STORE *g, const STORE *q, const STORE *k, const STORE *v, const REAL *log_sums,
    const REAL *alongs, STORE *of_k, STORE *of_v, const void *mask,
    STEPS(g), STEPS(q), STEPS(k), STEPS(v), STEPS(of_k), STEPS(of_v), How how, Key key,
    long long count) {
    extern __shared__ Tile tiles[];
    Tile &queries = tiles[0], &keys = tiles[1], &values = tiles[2], &grads = tiles[3];
    Square &weights = *(Square *)(tiles + 4), &of_scores = *(&weights + 1);
    Kept &kept = *(Kept *)(&weights + 2);
    FOR_EACH_BLOCK(block, count) {
        Place at = find_place(block, how.s, how.heads / how.group);
        int n = at.n, first = at.first;
        Sums of_key = {}, of_value = {};
        load(keys, AT(k, n, at.h), first, how.s, how.d);
        load(values, AT(v, n, at.h), first, how.s, how.e);
        for (int h = at.h * how.group; h < (at.h + 1) * how.group; h++) {
            long long head = (long long)n * how.heads + h, rows = head * how.t;
            for (int begin = how.causal ? first : 0; begin < how.t; begin += TILE) {
                load(queries, AT(q, n, h), begin, how.t, how.d);
                load(grads, AT(g, n, h), begin, how.t, how.e);
                if (DROPS) draw(kept, how, key, head, begin, first);
                __syncthreads();
                Scores scores = {}, of_weights = {};
                add_row_products(scores, keys, queries, how.d);
                add_row_products(of_weights, values, grads, how.e);
                EACH(b, COLUMNS) {
                    int i = begin + column(b);
                    REAL log_sum = i < how.t ? log_sums[rows + i] : (REAL)0;
                    REAL along = i < how.t ? alongs[rows + i] : (REAL)0;
                    EACH(a, ROWS) {
                        REAL score = mask_score(scores[a][b], mask, how, n, h, i, first + row(a));
                        REAL weight = exp(score - log_sum), factor = 1;
                        if (DROPS) factor = dropped(kept, how, head, begin, column(b), row(a));
                        scores[a][b] = weight * factor;
                        REAL of_score = weight * (of_weights[a][b] * factor - along);
                        of_weights[a][b] = of_score * (REAL)how.scale;
                    }
                }
                write(weights, scores);
                write(of_scores, of_weights);
                __syncthreads();
                add_product(of_value, weights, grads);
                add_product(of_key, of_scores, queries);
                __syncthreads();
            }
        }
        store(AT(of_k, n, at.h), of_key, first, how.s, how.d);
        store(AT(of_v, n, at.h), of_value, first, how.s, how.e);
        __syncthreads();
    }
}
