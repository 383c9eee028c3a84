// Pooling of images (n, c, h, w), and im2col for convolution. A thread computes one element of the
// output; where windows overlap it adds them in a fixed order. Window k of an axis begins at
// k * stride - padding; wide_y, wide_x: the dilation.
struct Windows {
    long long h, w, kh, kw, oh, ow, stride_y, stride_x, pad_y, pad_x, wide_y, wide_x;
};
#define WINDOWS                                                                             \
    long long h, long long w, long long kh, long long kw, long long oh, long long ow,       \
        long long stride_y, long long stride_x, long long pad_y, long long pad_x,           \
        long long wide_y, long long wide_x, long long count
#define THESE                                                                          \
    Windows { h, w, kh, kw, oh, ow, stride_y, stride_x, pad_y, pad_x, wide_y, wide_x }

// Calls what(i, j, y, x) for each element (i, j) of window (oy, ox) that lies in the image, at (y, x).
template <class What>
__device__ void in_window(const Windows &s, long long oy, long long ox, What what) {
    for (long long i = 0; i < s.kh; i++)
        for (long long j = 0; j < s.kw; j++) {
            long long y = oy * s.stride_y + i * s.wide_y - s.pad_y;
            long long x = ox * s.stride_x + j * s.wide_x - s.pad_x;
            if (y >= 0 && y < s.h && x >= 0 && x < s.w) what(i, j, y, x);
        }
}

// Calls what(i, j, oy, ox) for each window (oy, ox) whose element (i, j) is (y, x) of the image.
template <class What>
__device__ void over_windows(const Windows &s, long long y, long long x, What what) {
    for (long long i = 0; i < s.kh; i++)
        for (long long j = 0; j < s.kw; j++) {
            long long oy = y + s.pad_y - i * s.wide_y, ox = x + s.pad_x - j * s.wide_x;
            if (oy < 0 || ox < 0) continue;
            long long up = divide(oy, s.stride_y), left = divide(ox, s.stride_x);
            if (up * s.stride_y != oy || left * s.stride_x != ox) continue;
            oy = up;
            ox = left;
            if (oy < s.oh && ox < s.ow) what(i, j, oy, ox);
        }
}

// Element k of the patches: (n, c, kh, kw, oh, ow) if by_sample, else (c, kh, kw, n, oh, ow).
__device__ REAL patch_element(const STORE *image, long long k, long long n, long long c,
                              bool by_sample, const Windows &s) {
    long long line = divide(k, s.ow), ox = k - line * s.ow;
    long long outer = divide(line, s.oh), oy = line - outer * s.oh, i_n = 0;
    if (!by_sample) {
        long long row = divide(outer, n);
        i_n = outer - row * n;
        outer = row;
    }
    long long above = divide(outer, s.kw), j = outer - above * s.kw;
    long long plane = divide(above, s.kh), i = above - plane * s.kh;
    if (!by_sample) plane += i_n * c;
    long long y = oy * s.stride_y + i * s.wide_y - s.pad_y;
    long long x = ox * s.stride_x + j * s.wide_x - s.pad_x;
    bool inside = y >= 0 && y < s.h && x >= 0 && x < s.w;
    return inside ? (REAL)image[(plane * s.h + y) * s.w + x] : (REAL)0;
}

extern "C" __global__ void im2col(const STORE *image, STORE *patches, long long n, long long c,
                                  long long by_sample, WINDOWS) {
    FOR_EACH(k, count) patches[k] = patch_element(image, k, n, c, by_sample, THESE);
}

// The patches, (c, kh, kw, n, oh, ow), and after them g, (n, m, oh, ow), as (m, n, oh, ow).
extern "C" __global__ void im2col_beside(const STORE *image, const STORE *g, STORE *both, long long n,
                                         long long c, long long m, WINDOWS) {
    long long plane = oh * ow, patches = c * kh * kw * n * plane;
    FOR_EACH(k, count) {
        if (k < patches) {
            both[k] = patch_element(image, k, n, c, false, THESE);
            continue;
        }
        long long outer = divide(k - patches, plane), at = k - patches - outer * plane;
        long long i_m = divide(outer, n), i_n = outer - i_m * n;
        both[k] = g[(i_n * m + i_m) * plane + at];
    }
}

// Added to `before`, if there is one.
extern "C" __global__ void col2im(const STORE *patches, const STORE *before, STORE *image,
                                  long long n, long long c, long long by_sample, WINDOWS) {
    FOR_EACH(k, count) {  // image: (n, c, h, w)
        long long line = divide(k, w), plane = divide(line, h);
        long long i_n = divide(plane, c), i_c = plane - i_n * c;
        REAL total = 0;
        over_windows(THESE, line - plane * h, k - line * w,
                     [&](long long i, long long j, long long oy, long long ox) {
                         long long row = ((by_sample ? plane : i_c) * kh + i) * kw + j;
                         if (!by_sample) row = row * n + i_n;
                         total += patches[(row * oh + oy) * ow + ox];
                     });
        image[k] = total;  // a sum of halves is rounded before it is added, as a sum by itself is
        if (before) image[k] = before[k] + image[k];
    }
}

extern "C" __global__ void max_pool(const STORE *image, STORE *out, int *positions, WINDOWS) {
    FOR_EACH(k, count) {
        long long line = divide(k, ow), at_plane = divide(line, oh);
        const STORE *plane = image + at_plane * h * w;
        REAL top = -infinity();
        int at = -1;
        in_window(THESE, line - at_plane * oh, k - line * ow,
                  [&](long long i, long long j, long long y, long long x) {
                      REAL value = plane[y * w + x];
                      if (!(value > top || value != value || at < 0)) return;
                      top = value;
                      at = i * kw + j;
                  });
        out[k] = top;
        positions[k] = at;
    }
}

extern "C" __global__ void max_pool_backward(const STORE *g, const int *positions, STORE *grad,
                                             WINDOWS) {
    FOR_EACH(k, count) {
        long long line = divide(k, w), above = divide(line, h), plane = above * oh * ow;
        REAL total = 0;
        over_windows(THESE, line - above * h, k - line * w,
                     [&](long long i, long long j, long long oy, long long ox) {
                         long long window = plane + oy * ow + ox;
                         if (positions[window] == i * kw + j) total += g[window];
                     });
        grad[k] = total;
    }
}

extern "C" __global__ void avg_pool(const STORE *image, STORE *out, WINDOWS) {
    FOR_EACH(k, count) {
        long long line = divide(k, ow), at_plane = divide(line, oh);
        const STORE *plane = image + at_plane * h * w;
        REAL total = 0;
        in_window(THESE, line - at_plane * oh, k - line * ow,
                  [&](long long, long long, long long y, long long x) {
                      total += plane[y * w + x];
                  });
        out[k] = total / (kh * kw);
    }
}

extern "C" __global__ void avg_pool_backward(const STORE *g, STORE *grad, WINDOWS) {
    FOR_EACH(k, count) {
        long long line = divide(k, w), above = divide(line, h);
        const STORE *plane = g + above * oh * ow;
        REAL total = 0;
        over_windows(THESE, line - above * h, k - line * w,
                     [&](long long, long long, long long oy, long long ox) {
                         total += plane[oy * ow + ox];
                     });
        grad[k] = total / (kh * kw);
    }
}
