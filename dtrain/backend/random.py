"""Counter-based random numbers (Philox): a number is a function of a key and a counter alone.

The key is (seed, stream); the 256-bit counter is (block, call, microbatch, step). Within a
microbatch every rank therefore draws the same numbers, and a checkpoint needs these integers alone.
Outside of microbatches each draw increments `call`, equally on every rank.
"""

from __future__ import annotations

import contextlib
import functools
import math
import secrets
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.capture import ReplayedNumber, captures, current_capture
from dtrain.backend.device import device as as_device
from dtrain.backend.tracing import current_tracer, tracers

DEFAULT_STREAM, SAMPLER_STREAM, COMPRESSION_STREAM, SAMPLE_STREAM = 0, 1, 2, 3
#: The words on which a draw depends, (seed, stream, call, microbatch, step), uint64 in host memory;
#: while a CUDA graph is captured, the device memory from which its kernels read them.
RandomKey: TypeAlias = np.ndarray | ReplayedNumber

#: how many random numbers are made at once in host memory, so that their bits stay in the cache
_BLOCK = 1 << 14


def philox_bits(count: int, key: np.ndarray, first: int = 0) -> np.ndarray:
    """`count` uint64 words of Philox4x64-10 in host memory.

    Parameters
    ----------
    key : of `random_key`; its last three words are the upper ones of the counter
    first : the number of words that are left out, a multiple of 4
    """
    seed, stream, *counter = map(int, key)
    state: Any = {
        "bit_generator": "Philox",
        "state": {"counter": (first // 4, *counter), "key": (seed, stream)},
        "buffer": (0, 0, 0, 0),
        "buffer_pos": 4,  # of 4: nothing is left of an earlier draw
        "has_uint32": 0,
        "uinteger": 0,
    }
    generator = _per_thread.philox
    generator.state = state
    return generator.random_raw(count)


def philox_bits_on_gpu(count: int, key: RandomKey) -> Array:
    """The words of `philox_bits`, on the current device of CuPy."""
    import cupy

    from dtrain.backend.kernels.cuda.compiler import for_each

    blocks = -(-count // 4)
    out = cupy.empty(4 * blocks, np.uint64)
    for_each("philox", "philox", blocks, out.view(np.float64), key)
    return out[:count]


def random_key(*words: int) -> np.ndarray:
    """The key of (seed, stream, call, microbatch, step)."""
    return np.array(words, np.uint64)


class Generator:
    """A random number generator (torch.Generator): a seed, a stream and a counter.

    >>> Generator().manual_seed(7).initial_seed()
    7
    """

    def __init__(self, seed: int = 0, stream: int = DEFAULT_STREAM, *, device: Any = "cpu"):
        self._stream = stream
        self.device: as_device = as_device(
            device
        )  # for PyTorch's sake: it draws for tensors on any device
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Set the seed, an integer from -2**63 to 2**64 - 1, and reset the counter."""
        if not -(2**63) <= int(seed) < 2**64:
            raise RuntimeError(f"manual_seed: expected -2**63 <= seed < 2**64, got {seed}")
        self._seed = int(seed) % 2**64
        self._counter = (0, 0, 0)  # call, microbatch + 1 (0: outside any), step
        return self

    def initial_seed(self) -> int:
        """The seed that was set last."""
        return self._seed

    def seed(self) -> int:
        """Set the seed from the system's entropy and reset the counter; returns the seed."""
        return self.manual_seed(secrets.randbits(63)).initial_seed()

    def get_state(self) -> dict[str, Any]:
        """The seed, stream and counter, on which the next numbers depend, as integers."""
        return {"seed": self._seed, "stream": self._stream, "place": list(self._counter)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._seed, self._stream = state["seed"], state["stream"]
        call, microbatch, step = state["place"]
        self._counter = (call, microbatch, step)

    def enter_microbatch(self, step: int, microbatch: int) -> tuple[int, int, int]:
        """Set the counter to the begin of a microbatch; returns the previous counter."""
        outside, self._counter = self._counter, (0, microbatch + 1, step)
        return outside

    def leave_microbatch(self, outside: tuple[int, int, int]) -> None:
        """Restore the counter that `enter_microbatch` returned."""
        self._counter = outside

    def enter_sample(self, epoch: int, index: int) -> None:
        """Set stream and counter to those of one sample, whichever rank or worker loads it."""
        self._stream, self._counter = SAMPLE_STREAM, (0, index % 2**64, epoch)

    def bits(self, xp: Any, count: int) -> Array:
        """Draw `count` uint64 words of random bits; increments `call` of the counter."""
        if tracers and (tracer := current_tracer()) is not None:
            outside = True if self is not default_generator() else None
            return tracer.call(
                Generator.bits, (self, xp, count), {}, name="draw_bits", writes=outside
            )
        return bits_of_key(xp, count, self.next_key() if xp is np else self._next_key())

    def draw_key(self) -> RandomKey:
        """The key of a draw of bits, for a kernel that makes them itself; increments `call`, as the
        draw."""
        if tracers and (tracer := current_tracer()) is not None:
            outside = True if self is not default_generator() else None
            return tracer.call(Generator.draw_key, (self,), {}, name="draw_key", writes=outside)
        return self._next_key()

    def _next_key(self) -> RandomKey:
        if captures and (capture := current_capture()) is not None:
            capture.on_end.append(functools.partial(self.set_state, self.get_state()))
            return capture.key(self.next_key)
        return self.next_key()

    def next_key(self) -> np.ndarray:
        """The key of a draw in host memory; increments `call`."""
        call, microbatch, step = self._counter
        self._counter = (call + 1, microbatch, step)
        return random_key(self._seed, self._stream, call, microbatch, step)


class _PerThread(threading.local):
    def __init__(self) -> None:  # each rank of `dtrain debug` is a thread with a generator
        self.generator = Generator()
        #: draws the words of any generator, which sets its state; to make one takes longer
        self.philox = np.random.Philox(0)


_per_thread = _PerThread()


def default_generator() -> Generator:
    """The generator of this rank, the default of all functions that take a generator."""
    return _per_thread.generator


def manual_seed(seed: int) -> Generator:
    """Seed this rank's default generator (torch.manual_seed). Give every rank the same seed."""
    return default_generator().manual_seed(seed)


def initial_seed() -> int:
    """The seed of this rank's default generator (torch.initial_seed)."""
    return default_generator().initial_seed()


def seed() -> int:
    """Seed this rank's default generator from the system's entropy; returns it (torch.seed)."""
    return default_generator().seed()


def get_rng_state() -> dict[str, Any]:
    """The state of this rank's default generator (torch.get_rng_state)."""
    return default_generator().get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Restore the state of this rank's default generator (torch.set_rng_state)."""
    default_generator().set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Sequence[int] | None = None, enabled: bool = True, device_type: str = "cuda"
) -> Iterator[None]:
    """Context manager: random numbers drawn inside leave the state as it was (random.fork_rng).

    One generator draws for all devices, so `devices` and `device_type` have no effect.

    >>> import dtrain
    >>> with fork_rng():
    ...     inside = dtrain.rand(2)
    >>> (dtrain.rand(2) == inside).all()
    tensor(True)
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def uniform(bits: Array, dtype: np.dtype, count: int) -> Array:
    """Convert random words to `count` numbers in [0, 1) with the bits of the dtype's mantissa."""
    if dtype == np.float64:
        return (bits[:count] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    halves = bits.view(np.uint32)[:count]
    keep = 24 if dtype.itemsize == 4 else 11 if dtype.kind == "f" else 8  # bfloat16
    return ((halves >> np.uint32(32 - keep)).astype(np.float32) * np.float32(2.0**-keep)).astype(
        dtype, copy=False
    )


def words_for(count: int, dtype: np.dtype) -> int:
    """The number of 64-bit words that `uniform` needs for `count` numbers of a dtype."""
    return count if dtype == np.float64 else -(-count // 2)


def dropout_factors(bits: Array, p: float, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Convert random words to 0 with probability p, and else 1 / (1 - p); two of each word."""
    words = bits.view("uint32")[: math.prod(shape)]
    threshold, kept = dropout_threshold(p)
    factors = (words >= np.uint32(threshold)).reshape(shape).astype(dtype)
    factors *= dtype.type(kept)
    return factors


def dropout_threshold(p: float) -> tuple[int, float]:
    """Below which 32 random bits are 0 by dropout with probability p, and the factor of others."""
    return min(int(p * 2**32), 2**32 - 1), 1 / (1 - p) if p < 1 else 0.0


def bits_of_key(xp: Any, count: int, key: RandomKey) -> Array:
    """`count` uint64 words of random bits, equal on NumPy and CuPy."""
    if xp is np:
        assert isinstance(key, np.ndarray)
        return philox_bits(count, key)
    return philox_bits_on_gpu(count, key)


def dropout_factors_of_key(like: Array, p: float, key: RandomKey) -> Array:
    """`dropout_factors` of the words that a key stands for, for an array `like` this one."""
    xp = array_module(array_module(like).zeros(0, np.uint64))  # also where `like` is recorded
    bits = bits_of_key(xp, -(-math.prod(like.shape) // 2), key)
    return dropout_factors(bits, p, like.shape, like.dtype)


def normal(bits: Array, dtype: np.dtype, count: int) -> Array:
    """Convert random words to `count` standard normal numbers by the Box-Muller transform.

    Needs the words of 2 * ceil(count / 2) uniform numbers.
    """
    xp = array_module(bits)
    work = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    pairs = -(-count // 2)
    u = uniform(bits, work, 2 * pairs)
    both = xp.concatenate(_box_muller(u[:pairs], u[pairs:]))
    return both[:count].astype(dtype, copy=False)


def _box_muller(u: Array, v: Array) -> tuple[Array, Array]:
    """Two independent standard normal numbers from each pair of uniform ones."""
    xp = array_module(u)
    radius = xp.sqrt(-2 * xp.log(1 - u))  # 1 - u is in (0, 1]: the logarithm is finite
    angle = v * u.dtype.type(2 * math.pi)
    return radius * xp.cos(angle), radius * xp.sin(angle)


def draw_uniform(
    generator: Generator, xp: Any, dtype: np.dtype, count: int, out: Array | None = None
) -> Array:
    """Draw `count` numbers in [0, 1), into `out` if `comes_in_blocks` allows that."""
    if not comes_in_blocks(xp, count):
        return uniform(generator.bits(xp, words_for(count, dtype)), dtype, count)
    key = generator.next_key()
    out = np.empty(count, dtype) if out is None else out
    for begin in range(0, count, _BLOCK):
        part = out[begin : begin + _BLOCK]
        part[...] = _uniform_part(key, dtype, begin, len(part))
    return out


def draw_normal(
    generator: Generator, xp: Any, dtype: np.dtype, count: int, out: Array | None = None
) -> Array:
    """Draw `count` standard normal numbers, into `out` if `comes_in_blocks` allows that."""
    work = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    pairs = -(-count // 2)
    if not comes_in_blocks(xp, count):
        return normal(generator.bits(xp, words_for(2 * pairs, work)), dtype, count)
    key = generator.next_key()
    out = np.empty(count, dtype) if out is None else out
    for begin in range(0, pairs, _BLOCK):
        size = min(_BLOCK, pairs - begin)
        u = (_uniform_part(key, work, first, size) for first in (begin, pairs + begin))
        first_half, second_half = _box_muller(*u)
        out[begin : begin + size] = first_half
        rest = out[pairs + begin : pairs + begin + size]  # one fewer of an odd count
        rest[...] = second_half[: len(rest)]
    return out


def comes_in_blocks(xp: Any, count: int) -> bool:
    """Whether numbers are made in blocks: in host memory, unless a graph records the draw."""
    return xp is np and count > _BLOCK and not (tracers and current_tracer() is not None)


def _uniform_part(key: np.ndarray, dtype: np.dtype, first: int, count: int) -> np.ndarray:
    """`count` of the uniform numbers of a draw, beginning with that at index `first`."""
    per_word = 1 if dtype == np.float64 else 2
    skipped = first % (4 * per_word)
    words = words_for(skipped + count, dtype)
    bits = philox_bits(words, key, (first - skipped) // per_word)
    return uniform(bits, dtype, skipped + count)[skipped:]


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """The permutation of range(n) of an epoch; a function of (seed, epoch) alone."""
    return np.argsort(
        philox_bits(n, random_key(seed % 2**64, SAMPLER_STREAM, 0, 0, epoch)), kind="stable"
    )
