// Convolution without patches in memory (implicit GEMM; Chetlur et al. 2014,
// "cuDNN: efficient primitives for deep learning", section 3): the elements of windows are gathered
// where the product of two tiles reads them. Element (i, j) of window (oy, ox) of images
// (n, c, h, w) is at (oy * step + shift + i * wide) / divisor, if that is whole. Gradients of images
// are such products, too.
struct Images {  // implicit_conv.py has the same fields; m: the rows of the other factor
    int n, c, h, w, kh, kw, oh, ow, m;
    int step_y, step_x, shift_y, shift_x, wide_y, wide_x, divisor_y, divisor_x;
};
constexpr int NOWHERE = -(1 << 29);  // of no image, whatever is added

// Where the window, or the element of a window, with a number is.
struct Position {
    int plane, y, x;
};
__device__ Position find_window(int window, const Images &s) {
    int plane = s.oh * s.ow, sample = window / plane, at = window - sample * plane, oy = at / s.ow;
    if (sample >= s.n) return {0, NOWHERE, NOWHERE};
    return {sample, oy * s.step_y + s.shift_y, (at - oy * s.ow) * s.step_x + s.shift_x};
}
__device__ Position find_element(int element, const Images &s) {
    int size = s.kh * s.kw, channel = element / size, at = element - channel * size, i = at / s.kw;
    if (channel >= s.c) return {0, NOWHERE, NOWHERE};
    return {channel, i * s.wide_y, (at - i * s.kw) * s.wide_x};
}

// A cell whose element p is the element of a window; 0 beyond the image.
__device__ CELL gather(const STORE *image, const Position &window, const Position &element, int p,
                       const Images &s) {
    int y = window.y + element.y, x = window.x + element.x;
    if (s.divisor_y > 1 || s.divisor_x > 1) {
        int up = y / s.divisor_y, left = x / s.divisor_x;
        if (up * s.divisor_y != y || left * s.divisor_x != x) return 0;
        y = up;
        x = left;
    }
    if (y < 0 || y >= s.h || x < 0 || x >= s.w) return 0;
    long long plane = (long long)window.plane * s.c + element.plane;
    return cell_of(image[(plane * s.h + y) * s.w + x], p);
}

// out, (n, m, oh, ow) = weight, (m, elements of a window), times the windows, plus bias, (m,), and
// `before`.
extern "C" __global__ void convolve(const STORE *weight, const STORE *image, const STORE *bias,
                                    const STORE *before, STORE *out, Images s, long long count) {
    extern __shared__ Tile tiles[];
    Tile &left = tiles[0], &right = tiles[1];
    __shared__ Position elements[WIDTH];
    int size = s.c * s.kh * s.kw, plane = s.oh * s.ow, row_tiles = (s.m + TILE - 1) / TILE;
    FOR_EACH_BLOCK(block, count) {
        long long windows = divide(block, row_tiles);
        int first_row = (int)(block - windows * row_tiles) * TILE;
        int first = (int)windows * TILE, own = threadIdx.x % TILE;
        Position window = find_window(first + own, s);
        Scores sums = {};
        for (int begin = 0; begin < size; begin += WIDTH) {
            if (threadIdx.x < WIDTH) elements[threadIdx.x] = find_element(begin + threadIdx.x, s);
            load(left, weight + begin, size, first_row, s.m, size - begin);
            __syncthreads();
            for (int k = threadIdx.x / TILE * PER_CELL; k < WIDTH; k += THREADS / TILE * PER_CELL) {
                CELL cell = 0;
                EACH(p, PER_CELL) cell = join(cell, gather(image, window, elements[k + p], p, s));
                right[own][k / PER_CELL] = cell;
            }
            __syncthreads();
            add_row_products(sums, left, right, size - begin < WIDTH ? size - begin : WIDTH);
            __syncthreads();
        }
        EACH(b, COLUMNS) {
            int number = first + column(b), sample = number / plane;
            if (sample >= s.n) continue;
            long long first_of_sample = ((long long)sample * s.m - sample) * plane + number;
            EACH(a, ROWS) {
                int i = first_row + row(a);
                if (i >= s.m) continue;
                long long at = first_of_sample + (long long)i * plane;
                REAL value = sums[a][b] + (bias ? (REAL)bias[i] : (REAL)0);
                out[at] = before ? value + (REAL)before[at] : value;
            }
        }
    }
}

// sums[part], (m, elements of a window) = g, (n, m, oh, ow), times the transposed windows of some
// samples.
extern "C" __global__ void convolve_windows(const STORE *g, const STORE *image, REAL *sums_of_parts,
                                            Images s, long long parts, long long count) {
    extern __shared__ Tile tiles[];
    Tile &left = tiles[0], &right = tiles[1];
    __shared__ Position elements[TILE], windows[WIDTH];
    int size = s.c * s.kh * s.kw, plane = s.oh * s.ow;
    int row_tiles = (s.m + TILE - 1) / TILE, column_tiles = (size + TILE - 1) / TILE;
    FOR_EACH_BLOCK(block, count) {
        long long rest = divide(block, row_tiles), part = divide(rest, column_tiles);
        int first_row = (int)(block - rest * row_tiles) * TILE;
        int first = (int)(rest - part * column_tiles) * TILE;
        if (threadIdx.x < TILE) elements[threadIdx.x] = find_element(first + threadIdx.x, s);
        Scores sums = {};
        int last = (int)divide((part + 1) * s.n, parts);
        for (int sample = (int)divide(part * s.n, parts); sample < last; sample++)
            for (int begin = 0; begin < plane; begin += WIDTH) {
                constexpr int CELLS = WIDTH / PER_CELL;
                int at = begin + threadIdx.x, length = plane - begin;
                if (threadIdx.x < WIDTH)
                    windows[threadIdx.x] = at < plane ? find_window(sample * plane + at, s)
                                                      : Position{0, NOWHERE, NOWHERE};
                const STORE *rows = g + (long long)sample * s.m * plane + begin;
                load(left, rows, plane, first_row, s.m, length);
                __syncthreads();
                for (int k = threadIdx.x; k < TILE * CELLS; k += THREADS) {
                    int i = k / CELLS, j = k % CELLS;
                    CELL cell = 0;
                    EACH(p, PER_CELL) {
                        const Position &window = windows[j * PER_CELL + p];
                        cell = join(cell, gather(image, window, elements[i], p, s));
                    }
                    right[i][j] = cell;
                }
                __syncthreads();
                add_row_products(sums, left, right, length < WIDTH ? length : WIDTH);
                __syncthreads();
            }
        EACH(a, ROWS)
            EACH(b, COLUMNS) {
                int i = first_row + row(a), j = first + column(b);
                if (i < s.m && j < size) sums_of_parts[(part * s.m + i) * size + j] = sums[a][b];
            }
    }
}
