// Prepended to kernels that multiply tiles of matrices in shared memory. A tile has TILE rows of
// WIDTH elements, zeros beyond those of its matrix. Without MMA threads multiply in REAL. With it,
// the name of an instruction, tensor cores do, and a tile holds words of 32 bits: two halves, or a
// float that is rounded to TensorFloat32. ALIGNED: 16 bytes may be read at once.
#ifndef TILE
#define TILE 16
#define WIDTH 64
#endif
#ifdef MMA
typedef unsigned CELL;
constexpr int PER_CELL = 4 / sizeof(STORE), GAP = 4, LANES = 4, ROWS = 2;
constexpr int ROW_WARPS = TILE / 16, COLUMN_WARPS = THREADS / 32 / ROW_WARPS;
#else
typedef REAL CELL;
constexpr int PER_CELL = 1, GAP = 1, LANES = 16, ROWS = TILE / LANES, COLUMN_WARPS = 1;
#endif
// GAP: equal columns of two rows lie in two banks
typedef CELL Tile[TILE][WIDTH / PER_CELL + GAP];
typedef CELL Square[TILE][TILE / PER_CELL + GAP];

// Unrolled, since registers cannot be indexed.
#define EACH(i, count) _Pragma("unroll") for (int i = 0; i < count; i++)

// A thread has the elements (i, j) of a product with i = row(a), j = column(b).
constexpr int COLUMNS = TILE * TILE / THREADS / ROWS, WIDE = TILE * WIDTH / THREADS / ROWS;
typedef REAL Scores[ROWS][COLUMNS];  // of a product of TILE columns
typedef REAL Sums[ROWS][WIDE];       // of one of WIDTH columns

#ifndef MMA
__device__ CELL cell_of(STORE x, int) { return x; }
__device__ CELL join(CELL, CELL value) { return value; }

__device__ int row(int a) { return threadIdx.x / LANES + a * LANES; }
__device__ int column(int b) { return threadIdx.x % LANES + b * LANES; }

__device__ void load(Tile tile, const STORE *x, long long step, int first, int length,
                     int width) {
    for (int k = threadIdx.x; k < TILE * WIDTH; k += THREADS) {
        int i = k / WIDTH, j = k % WIDTH;
        tile[i][j] = first + i < length && j < width ? (REAL)x[(first + i) * step + j] : (REAL)0;
    }
}

__device__ void write(Square square, const Scores values) {
    EACH(a, ROWS)
        EACH(b, COLUMNS) square[row(a)][column(b)] = values[a][b];
}

// sums[a][b] += x[row(a)] . y[column(b)]
__device__ void add_row_products(Scores sums, const Tile x, const Tile y, int width) {
    for (int k = 0; k < width; k++)
        EACH(a, ROWS)
            EACH(b, COLUMNS) sums[a][b] += x[row(a)][k] * y[column(b)][k];
}

// sums[a][b] += the sum over k of weights[row(a)][k] x[k][column(b)]
__device__ void add_product(Sums sums, const Square weights, const Tile x) {
    for (int k = 0; k < TILE; k++)
        EACH(a, ROWS)
            EACH(b, WIDE) sums[a][b] += weights[row(a)][k] * x[k][column(b)];
}
#else
// The layout of the instructions' results (PTX ISA, "Matrix fragments for mma"): a warp has 16 rows and
// groups of 8 columns, one of COLUMN_WARPS.
__device__ int group(int c) { return (c * COLUMN_WARPS + threadIdx.x / 32 / ROW_WARPS) * 8; }
__device__ int row(int a) {
    return threadIdx.x / 32 % ROW_WARPS * 16 + threadIdx.x % 32 / LANES + 8 * a;
}
__device__ int column(int b) { return group(b / 2) + threadIdx.x % LANES * 2 + b % 2; }

__device__ unsigned bits_of(float16 x) { return x.bits; }
__device__ unsigned bits_of(bfloat16 x) { return x.bits; }
__device__ unsigned bits_of(float x) {  // rounded to TensorFloat32, whose last 13 bits are 0
    unsigned u = __float_as_uint(x);
    return (u & 0x7f800000) == 0x7f800000 ? u : (u + 0x1000) & 0xffffe000;
}

// A cell in which element p of PER_CELL is x, and the others are 0; two such cells as one.
__device__ CELL cell_of(STORE x, int p) { return bits_of(x) << 16 * p; }
__device__ CELL join(CELL x, CELL y) { return x | y; }

__device__ unsigned rounded(unsigned cell) {
    return PER_CELL == 2 ? cell : bits_of(__uint_as_float(cell));
}

__device__ void load(Tile tile, const STORE *x, long long step, int first, int length,
                     int width) {
#ifdef ALIGNED
    constexpr int PARTS = WIDTH / PER_CELL / 4;
    for (int k = threadIdx.x; k < TILE * PARTS; k += THREADS) {
        int i = k / PARTS, j = k % PARTS * 4;
        uint4 words = {0, 0, 0, 0};
        if (first + i < length && j * PER_CELL < width)
            words = *(const uint4 *)(x + (first + i) * step + j * PER_CELL);
        tile[i][j] = rounded(words.x);
        tile[i][j + 1] = rounded(words.y);
        tile[i][j + 2] = rounded(words.z);
        tile[i][j + 3] = rounded(words.w);
    }
#else
    constexpr int CELLS = WIDTH / PER_CELL;
    for (int k = threadIdx.x; k < TILE * CELLS; k += THREADS) {
        int i = k / CELLS, j = k % CELLS * PER_CELL;
        unsigned word = 0;
        EACH(p, PER_CELL)
            if (first + i < length && j + p < width)
                word |= bits_of(x[(first + i) * step + j + p]) << 16 * p;
        tile[i][j / PER_CELL] = word;
    }
#endif
}

__device__ void write(Square square, const Scores values) {
    EACH(a, ROWS)
        EACH(c, COLUMNS / PER_CELL) {
            int b = c * PER_CELL;
            STORE x, y;
            x = values[a][b];
            y = values[a][b + PER_CELL - 1];
            unsigned cell = PER_CELL == 2 ? bits_of(x) | bits_of(y) << 16 : bits_of(x);
            square[row(a)][column(b) / PER_CELL] = cell;
        }
}

// c += x y of a warp's matrices; c0, c1: two neighbours in each of a thread's two rows.
__device__ void multiply_add(REAL *c0, REAL *c1, const unsigned *x, const unsigned *y) {
#ifdef __CUDA_ARCH__
    asm volatile("mma.sync.aligned." MMA
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c0[0]), "+f"(c0[1]), "+f"(c1[0]), "+f"(c1[1])
                 : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
#else  // compiled for the host, by tests/hostcuda: from the layouts of the fragments
    __shared__ unsigned fragments[THREADS][6];
    memcpy(fragments[threadIdx.x], x, 4 * sizeof *x);
    memcpy(fragments[threadIdx.x] + 4, y, 2 * sizeof *y);
    __syncwarp();
    unsigned(*warp)[6] = fragments + threadIdx.x / 32 * 32;
    int i = threadIdx.x % 32 / 4, j = threadIdx.x % 4 * 2;
    for (int k = 0; k < 8; k++)
        EACH(p, PER_CELL)
            for (int b = 0; b < 2; b++) {
                const unsigned *rows = warp[i * 4 + k % 4], *columns = warp[(j + b) * 4 + k % 4];
                unsigned factors[3] = {rows[k / 4 * 2], rows[k / 4 * 2 + 1], columns[4 + k / 4]};
                STORE values[3];
                for (int f = 0; f < 3; f++) {
                    factors[f] >>= 16 * p;
                    memcpy(values + f, factors + f, sizeof(STORE));
                }
                c0[b] += (REAL)values[0] * (REAL)values[2];
                c1[b] += (REAL)values[1] * (REAL)values[2];
            }
    __syncwarp();
#endif
}

// The words of the left factor's rows that an instruction takes, from column k of the tile on.
__device__ void take_rows(unsigned *x, const unsigned *row0, const unsigned *row1, int k) {
    int t = k + threadIdx.x % LANES;
    x[0] = row0[t];
    x[1] = row1[t];
    x[2] = row0[t + 4];
    x[3] = row1[t + 4];
}

__device__ void add_row_products(Scores sums, const Tile x, const Tile y, int width) {
    int t = threadIdx.x % LANES, j = threadIdx.x % 32 / LANES;
    for (int k = 0; k * PER_CELL < width; k += 8) {
        unsigned left[4];
        take_rows(left, x[row(0)], x[row(1)], k);
        EACH(c, COLUMNS / 2) {
            const unsigned *from = y[group(c) + j] + k + t;
            unsigned right[2] = {from[0], from[4]};
            multiply_add(sums[0] + 2 * c, sums[1] + 2 * c, left, right);
        }
    }
}

// The elements of column j and of a word's rows, from row k of the tile on.
__device__ unsigned take_column(const Tile x, int k, int j) {
    if (PER_CELL == 1) return x[k][j];
    unsigned low = x[2 * k][j / 2], high = x[2 * k + 1][j / 2];
    return j % 2 ? low >> 16 | (high & 0xffff0000) : (low & 0xffff) | high << 16;
}

__device__ void add_product(Sums sums, const Square weights, const Tile x) {
    int t = threadIdx.x % LANES, j = threadIdx.x % 32 / LANES;
    for (int k = 0; k < TILE / PER_CELL; k += 8) {
        unsigned left[4];
        take_rows(left, weights[row(0)], weights[row(1)], k);
        EACH(c, WIDE / 2) {
            unsigned right[2] = {take_column(x, k + t, group(c) + j),
                                 take_column(x, k + t + 4, group(c) + j)};
            multiply_add(sums[0] + 2 * c, sums[1] + 2 * c, left, right);
        }
    }
}
#endif

__device__ void store(STORE *x, long long step, const Sums sums, int first, int length,
                      int width) {
    EACH(a, ROWS)
        EACH(b, WIDE)
            if (first + row(a) < length && column(b) < width)
                x[(first + row(a)) * step + column(b)] = sums[a][b];
}

// The sum, or the maximum, of one value of each thread of a row, in a fixed order; all of them get it.
__device__ void reduce_rows(REAL *values, bool is_sum) {
    __shared__ REAL parts[COLUMN_WARPS][TILE];
    EACH(a, ROWS)
        for (int step = LANES / 2; step; step /= 2) {
            REAL other = __shfl_xor_sync(0xffffffff, values[a], step);
            values[a] = is_sum ? values[a] + other : larger(values[a], other);
        }
    if constexpr (COLUMN_WARPS > 1) {
        EACH(a, ROWS)
            if (threadIdx.x % LANES == 0)
                parts[threadIdx.x / (THREADS / COLUMN_WARPS)][row(a)] = values[a];
        __syncthreads();
        EACH(a, ROWS) {
            values[a] = parts[0][row(a)];
            for (int w = 1; w < COLUMN_WARPS; w++) {
                REAL other = parts[w][row(a)];
                values[a] = is_sum ? values[a] + other : larger(values[a], other);
            }
        }
        __syncthreads();
    }
}
