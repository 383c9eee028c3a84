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
            if (oy < 0 || ox < 0 || oy % s.stride_y || ox % s.stride_x) continue;
            oy /= s.stride_y;
            ox /= s.stride_x;
            if (oy < s.oh && ox < s.ow) what(i, j, oy, ox);
        }
}

extern "C" __global__ void im2col(const REAL *image, REAL *patches, long long n, long long c,
                                  WINDOWS) {
    FOR_EACH(k, count) {  // patches: (c, kh, kw, n, oh, ow)
        long long ox = k % ow, oy = k / ow % oh, i_n = k / (ow * oh) % n;
        long long rest = k / (ow * oh * n), j = rest % kw, i = rest / kw % kh, i_c = rest / kw / kh;
        long long y = oy * stride_y + i * wide_y - pad_y, x = ox * stride_x + j * wide_x - pad_x;
        bool inside = y >= 0 && y < h && x >= 0 && x < w;
        patches[k] = inside ? image[((i_n * c + i_c) * h + y) * w + x] : 0;
    }
}

extern "C" __global__ void col2im(const REAL *patches, REAL *image, long long n, long long c,
                                  WINDOWS) {
    FOR_EACH(k, count) {  // image: (n, c, h, w)
        long long i_c = k / (w * h) % c, i_n = k / (w * h) / c;
        REAL total = 0;
        over_windows(THESE, k / w % h, k % w,
                     [&](long long i, long long j, long long oy, long long ox) {
                         long long row = ((i_c * kh + i) * kw + j) * n + i_n;
                         total += patches[(row * oh + oy) * ow + ox];
                     });
        image[k] = total;
    }
}

extern "C" __global__ void max_pool(const REAL *image, REAL *out, int *positions, WINDOWS) {
    FOR_EACH(k, count) {
        const REAL *plane = image + k / (ow * oh) * h * w;
        REAL top = -infinity();
        int at = -1;
        in_window(THESE, k / ow % oh, k % ow,
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

extern "C" __global__ void max_pool_backward(const REAL *g, const int *positions, REAL *grad,
                                             WINDOWS) {
    FOR_EACH(k, count) {
        long long plane = k / (w * h) * oh * ow;
        REAL total = 0;
        over_windows(THESE, k / w % h, k % w,
                     [&](long long i, long long j, long long oy, long long ox) {
                         long long window = plane + oy * ow + ox;
                         if (positions[window] == i * kw + j) total += g[window];
                     });
        grad[k] = total;
    }
}

extern "C" __global__ void avg_pool(const REAL *image, REAL *out, WINDOWS) {
    FOR_EACH(k, count) {
        const REAL *plane = image + k / (ow * oh) * h * w;
        REAL total = 0;
        in_window(THESE, k / ow % oh, k % ow,
                  [&](long long, long long, long long y, long long x) {
                      total += plane[y * w + x];
                  });
        out[k] = total / (kh * kw);
    }
}

extern "C" __global__ void avg_pool_backward(const REAL *g, REAL *grad, WINDOWS) {
    FOR_EACH(k, count) {
        const REAL *plane = g + k / (w * h) * oh * ow;
        REAL total = 0;
        over_windows(THESE, k / w % h, k % w,
                     [&](long long, long long, long long oy, long long ox) {
                         total += plane[oy * ow + ox];
                     });
        grad[k] = total / (kh * kw);
    }
}
