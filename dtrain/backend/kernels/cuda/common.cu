// Prepended to every kernel. STORE is what arrays hold: REAL or a half. All arithmetic is done in REAL,
// float or double. PARAM is what the weights of a layer hold, REAL or STORE.
struct float16 {
    unsigned short bits;
#ifdef __CUDA_ARCH__
    __device__ operator float() const {
        float value;
        asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
        return value;
    }
    __device__ float16 &operator=(float value) {
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
        return *this;
    }
#else  // compiled for the host, by tests/hostcuda
    operator float() const {
        _Float16 value;
        memcpy(&value, &bits, sizeof bits);
        return value;
    }
    float16 &operator=(float value) {
        _Float16 rounded = value;
        memcpy(&bits, &rounded, sizeof bits);
        return *this;
    }
#endif
};
struct bfloat16 {
    unsigned short bits;
    __device__ operator float() const { return __uint_as_float((unsigned)bits << 16); }
    __device__ bfloat16 &operator=(float value) {  // to the nearest, ties to even; NaN stays NaN
        unsigned u = __float_as_uint(value);
        bits = value != value ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
        return *this;
    }
};
#ifndef REAL
#define REAL float
#endif
#ifndef STORE
#define STORE REAL
#endif
#ifndef PARAM
#define PARAM STORE
#endif
// THREADS: of a block, from compiler.py

// FOR_EACH: the threads of all blocks share `count` elements. FOR_EACH_BLOCK: a block computes each
// of `count` rows, and FOR_THREAD shares the elements of a row among the threads of the block. Where the
// compiler unrolls a loop of unknown stride, each thread divides by it first, for most a loop of one turn.
#define FOR_EACH(i, count)                                                                           \
    _Pragma("unroll 1") for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < count; \
                             i += (long long)gridDim.x * THREADS)
#define FOR_EACH_BLOCK(i, count) \
    _Pragma("unroll 1") for (long long i = blockIdx.x; i < count; i += gridDim.x)
#define FOR_THREAD(j, count) for (long long j = threadIdx.x; j < count; j += THREADS)

__device__ REAL infinity() { return -log((REAL)0); }
__device__ REAL larger(REAL x, REAL y) { return y > x || y != y ? y : x; }  // NaN is the largest

__device__ long long divide(long long a, long long b) {  // 64-bit division takes ten times as long
    return (a | b) >> 32 ? a / b : (long long)((unsigned)a / (unsigned)b);
}
