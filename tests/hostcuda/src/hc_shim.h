// The CUDA dialect for g++. Included before the source of every kernel.
//
// Blocks run one after another. Within a block, threads run one after another where the kernel has no barrier;
// otherwise each thread is a fiber with its own stack, which runs until it reaches a barrier or a warp operation.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "hc_entry.h"
#include "hc_vector.h"

#define HOSTCUDA 1
#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
// Shared arrays are statics, gathered in one section so that each block can begin with them poisoned. g++ cannot put
// those of templates into a section; then the builder compiles again with HC_PLAIN_SHARED, and they keep their values.
#ifdef HC_PLAIN_SHARED
#define __shared__ static
#else
#define __shared__ static __attribute__((section("hc_shared")))
#endif

extern "C" char* hc_stack_top(int thread);  // both in libcuda.so.1
extern "C" char* hc_dynamic_shared(size_t bytes);
extern "C" __attribute__((weak, visibility("hidden"))) char __start_hc_shared[], __stop_hc_shared[];  // made by the linker

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;
static char* hc_dynamic;  // what "extern __shared__" arrays are rewritten to

[[noreturn]] static void hc_die(const char* what, long a = 0, long b = 0) {
  fprintf(stderr, "hostcuda: kernel aborted: ");
  fprintf(stderr, what, a, b);
  fprintf(stderr, "\n");
  abort();
}
#define __trap() hc_die("__trap() at line %ld", __LINE__)

// ---------------------------------------------------------------- fibers
extern "C" void hc_switch(void** save_stack, void* load_stack);  // System V x86-64: the registers a call preserves
asm(".text\n.local hc_switch\nhc_switch:\n"
    " pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    " movq %rsp,(%rdi)\n movq %rsi,%rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");

enum hc_State { HC_READY, HC_AT_BARRIER, HC_AT_WARP_BARRIER, HC_DONE };
struct hc_Fiber {
  void* stack;
  uint3 thread;
  hc_State state;
  long line;       // of the barrier at which it waits
  unsigned mask;   // of the warp barrier
  char slot[16];   // the value it offers to its warp
  int vote;
};
static std::vector<hc_Fiber> hc_fibers;  // of the block that runs
static int hc_current;
static void* hc_scheduler;  // stack of hc_run_block
static void (*hc_body)(void**);
static void** hc_arguments;

static void hc_yield() { hc_switch(&hc_fibers[hc_current].stack, hc_scheduler); }
static void hc_fiber_main() {
  hc_body(hc_arguments);
  hc_fibers[hc_current].state = HC_DONE;
  hc_yield();
  abort();
}
static void hc_barrier(long line) {
  if (hc_fibers.empty()) hc_die("a barrier that hostcuda.py did not see in the source (line %ld)", line);
  hc_fibers[hc_current].state = HC_AT_BARRIER;
  hc_fibers[hc_current].line = line;
  hc_yield();
}
static void hc_warp_barrier(unsigned mask) {
  if (hc_fibers.empty()) hc_die("a warp operation that hostcuda.py did not see in the source");
  hc_fibers[hc_current].state = HC_AT_WARP_BARRIER;
  hc_fibers[hc_current].mask = mask;
  hc_yield();
}
#define __syncthreads() hc_barrier(__LINE__)
#define __syncwarp(...) hc_warp_barrier(hc_mask(__VA_ARGS__))
static inline unsigned hc_mask(unsigned mask = 0xffffffffu) { return mask; }

// HOSTCUDA_ORDER: 0 threads run in order, 1 in reverse, another number: in an order drawn from that seed, each turn
// anew. A race between threads shows as a result that depends on it.
static const std::vector<int>& hc_order(int n) {
  static const char* text = getenv("HOSTCUDA_ORDER");
  static const unsigned long choice = text ? strtoul(text, nullptr, 10) : 0;
  static unsigned long seed = choice;
  static std::vector<int> order;
  if ((int)order.size() == n && choice < 2) return order;
  order.resize(n);
  for (int i = 0; i < n; i++) order[i] = choice == 1 ? n - 1 - i : i;
  for (int i = n - 1; i > 0 && choice > 1; i--) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    std::swap(order[i], order[(seed >> 33) % (i + 1)]);
  }
  return order;
}
// Releases the warps of which every lane in the mask has arrived.
static bool hc_release_warps(int n) {
  bool released = false;
  for (int first = 0; first < n; first += 32) {
    int last = std::min(n, first + 32);
    unsigned mask = 0, arrived = 0;
    for (int i = first; i < last; i++)
      if (hc_fibers[i].state == HC_AT_WARP_BARRIER) mask |= hc_fibers[i].mask, arrived |= 1u << (i - first);
    if (last - first < 32) mask &= (1u << (last - first)) - 1;
    if (!arrived || (mask & ~arrived)) continue;
    for (int i = first; i < last; i++)
      if (hc_fibers[i].state == HC_AT_WARP_BARRIER) hc_fibers[i].state = HC_READY;
    released = true;
  }
  return released;
}
static bool hc_release_block(int n, int at_barrier, int done) {
  if (!at_barrier || at_barrier + done < n) return false;
  long line = -1;
  for (auto& f : hc_fibers) {
    if (f.state != HC_AT_BARRIER) continue;
    if (line >= 0 && f.line != line) hc_die("threads of a block wait at different __syncthreads (lines %ld and %ld)", line, f.line);
    line = f.line;
    f.state = HC_READY;
  }
  static const bool strict = getenv("HOSTCUDA_STRICT_BARRIER");
  if (done && strict) hc_die("__syncthreads at line %ld: %ld threads have exited", line, done);
  return true;
}
static void hc_run_block() {
  int n = blockDim.x * blockDim.y * blockDim.z, i = 0;
  hc_fibers.resize(n);
  for (unsigned z = 0; z < blockDim.z; z++)
    for (unsigned y = 0; y < blockDim.y; y++)
      for (unsigned x = 0; x < blockDim.x; x++, i++) {
        void** stack = (void**)(hc_stack_top(i) - 72);
        *stack = nullptr;  // the return address of hc_fiber_main, never used: at entry, 8 below a multiple of 16
        *--stack = (void*)hc_fiber_main;                 // where the first switch returns to,
        for (int r = 0; r < 6; r++) *--stack = nullptr;  // after it has popped six registers
        hc_fibers[i].stack = stack;
        hc_fibers[i].thread = {x, y, z};
        hc_fibers[i].state = HC_READY;
      }
  for (;;) {
    bool ran = false;
    for (int t : hc_order(n)) {
      if (hc_fibers[t].state != HC_READY) continue;
      hc_current = t;
      threadIdx = hc_fibers[t].thread;
      hc_switch(&hc_scheduler, hc_fibers[t].stack);
      ran = true;
    }
    int at_barrier = 0, done = 0;
    for (auto& f : hc_fibers) at_barrier += f.state == HC_AT_BARRIER, done += f.state == HC_DONE;
    if (done == n) break;
    bool released = hc_release_warps(n);
    released |= hc_release_block(n, at_barrier, done);
    if (!released && !ran) hc_die("deadlock in a block: %ld threads at __syncthreads, %ld finished, the others at a warp operation", at_barrier, done);
  }
  hc_fibers.clear();
}

// ---------------------------------------------------------------- warp and block operations
template <class T>
static T hc_exchange(unsigned mask, T value, int lane) {
  static_assert(sizeof(T) <= sizeof(hc_Fiber::slot), "shuffle of a type larger than 16 bytes");
  int first = hc_current & ~31;
  if (hc_fibers.empty()) hc_die("a warp operation that hostcuda.py did not see in the source");
  memcpy(hc_fibers[hc_current].slot, &value, sizeof value);
  hc_warp_barrier(mask);
  if (lane >= 0 && lane < 32 && first + lane < (int)hc_fibers.size()) memcpy(&value, hc_fibers[first + lane].slot, sizeof value);
  hc_warp_barrier(mask);
  return value;
}
template <class T>
static T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  int lane = hc_current & 31;
  return hc_exchange(mask, v, (lane & ~(width - 1)) + (source & (width - 1)));
}
template <class T>
static T __shfl_down_sync(unsigned mask, T v, int delta, int width = 32) {
  int lane = hc_current & 31;
  return hc_exchange(mask, v, (lane & (width - 1)) + delta < width ? lane + delta : lane);
}
template <class T>
static T __shfl_up_sync(unsigned mask, T v, int delta, int width = 32) {
  int lane = hc_current & 31;
  return hc_exchange(mask, v, (lane & (width - 1)) - delta >= 0 ? lane - delta : lane);
}
template <class T>
static T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  int lane = hc_current & 31, other = lane ^ bits;
  return hc_exchange(mask, v, other / width <= lane / width ? other : lane);
}
static unsigned __ballot_sync(unsigned mask, int predicate) {
  int first = hc_current & ~31;
  if (hc_fibers.empty()) hc_die("a warp operation that hostcuda.py did not see in the source");
  hc_fibers[hc_current].vote = predicate != 0;
  hc_warp_barrier(mask);
  unsigned votes = 0;
  for (int i = first; i < std::min<int>(hc_fibers.size(), first + 32); i++)
    if (mask >> (i - first) & 1) votes |= (unsigned)hc_fibers[i].vote << (i - first);
  hc_warp_barrier(mask);
  return votes;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
static int hc_count(int predicate, long line) {
  if (hc_fibers.empty()) hc_die("a barrier that hostcuda.py did not see in the source (line %ld)", line);
  hc_fibers[hc_current].vote = predicate != 0;
  hc_barrier(line);
  int votes = 0;
  for (auto& f : hc_fibers) votes += f.state != HC_DONE && f.vote;
  hc_barrier(line);
  return votes;
}
#define __syncthreads_count(p) hc_count(p, __LINE__)
#define __syncthreads_or(p) (hc_count(p, __LINE__) != 0)
#define __syncthreads_and(p) (hc_count(!(p), __LINE__) == 0)

// ---------------------------------------------------------------- atomics: threads never run at the same time
#define HC_ATOMIC(NAME, NEW)                      \
  template <class T, class U>                     \
  static T NAME(T* p, U value) {                  \
    T old = *p, v = (T)value;                     \
    *p = (T)(NEW);                                \
    return old;                                   \
  }
// The order in which a GPU adds floats atomically, and so their sum, changes from run to run: such launches are counted.
extern "C" void hc_float_atomic();  // in libcuda.so.1
template <class T, class U>
static T atomicAdd(T* p, U value) {
  if (!std::is_integral_v<T>) hc_float_atomic();
  T old = *p;
  *p = (T)(old + (T)value);
  return old;
}
template <class T, class U>
static T atomicSub(T* p, U value) { return atomicAdd(p, -(T)value); }
HC_ATOMIC(atomicMax, v > old ? v : old)
HC_ATOMIC(atomicMin, v < old ? v : old)
HC_ATOMIC(atomicExch, v)
HC_ATOMIC(atomicOr, old | v)
HC_ATOMIC(atomicAnd, old & v)
HC_ATOMIC(atomicXor, old ^ v)
HC_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
HC_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1)
#undef HC_ATOMIC
template <class T, class U, class V>
static T atomicCAS(T* p, U expected, V value) {
  if (std::is_same_v<T, unsigned>) hc_float_atomic();  // so cupy/atomics.cuh adds halves, and nothing else
  T old = *p;
  if (old == (T)expected) *p = (T)value;
  return old;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

#include "hc_math.h"

// ---------------------------------------------------------------- the entry of each kernel
template <auto Kernel, int FLAGS>
struct hc_kernel;
template <class... A, void (*Kernel)(A...), int FLAGS>
struct hc_kernel<Kernel, FLAGS> {
  template <size_t... I>
  static void call(void** p, std::index_sequence<I...>) {
    Kernel(*reinterpret_cast<std::remove_cv_t<A>*>(p[I])...);
  }
  static void body(void** p) { call(p, std::index_sequence_for<A...>()); }
  static void launch(const hc_Dims* dims, void** p) {
    gridDim = {dims->grid[0], dims->grid[1], dims->grid[2]};
    blockDim = {dims->block[0], dims->block[1], dims->block[2]};
    hc_dynamic = hc_dynamic_shared(dims->shared);
    for (unsigned z = 0; z < gridDim.z; z++)
      for (unsigned y = 0; y < gridDim.y; y++)
        for (unsigned x = 0; x < gridDim.x; x++) {
          blockIdx = {x, y, z};
          if (dims->shared) memset(hc_dynamic, 0xFF, dims->shared);
          if (__start_hc_shared) memset(__start_hc_shared, 0xFF, __stop_hc_shared - __start_hc_shared);
          run_block(p);
        }
  }
  static void run_block(void** p) {
    if (FLAGS & HC_FIBERS) {
      hc_body = body;
      hc_arguments = p;
      return hc_run_block();
    }
    for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
      for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) body(p);
  }
  static constexpr size_t sizes[sizeof...(A) + 1] = {sizeof(A)...};
  static constexpr bool is_pointer[sizeof...(A) + 1] = {std::is_pointer_v<A>...};
  static constexpr hc_Entry entry = {launch, sizeof...(A), sizes, is_pointer, FLAGS};
};
#define HC_EXPORT extern "C" __attribute__((visibility("default"))) const
