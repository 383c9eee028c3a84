"""Random numbers in a dataset: keyed by (seed, epoch, sample index), not by the order of loading.

A sample's augmentation is therefore the same whichever rank or worker loads it. `dtrain.rand` and
its kin, Python's `random` and NumPy's `numpy.random` are keyed; a generator that a dataset makes
for itself is not. The program's own states of `random` and `numpy.random` stay as they are.
"""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import mtrand

from dtrain.backend import default_generator


class SampleLoader:
    """Loads samples, each with random numbers of its own.

    Seeding `random` and `numpy.random` takes longer than loading many a sample. It is therefore
    done only for a dataset that draws from them: a batch in which the dataset was seen to do so
    for the first time is loaded a second time, seeded.
    """

    def __init__(self) -> None:
        self._draws_globally = False  # whether the dataset draws from `random` or `numpy.random`

    def load(
        self,
        get: Callable[[Any], Any],
        indices: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        key: tuple[int, int],
    ) -> Any:
        """``collate([get(index) for index in indices])``; `key` is (seed, epoch)."""
        with _globals_lock:  # else a rank that is another thread changes the states meanwhile
            before = None if self._draws_globally else _global_state()
            if before is not None:
                batch = _load(get, indices, collate, key, seeded=False)
                if _global_state() == before:
                    return batch
                self._draws_globally = True
                _restore(before)
        with _restored_globals():
            return _load(get, indices, collate, key, seeded=True)


def _load(
    get: Callable[[Any], Any],
    indices: Sequence[Any],
    collate: Callable[[list[Any]], Any],
    key: tuple[int, int],
    seeded: bool,
) -> Any:
    generator, (seed, epoch) = default_generator(), key
    outside = generator.get_state()
    samples = []
    try:
        for index in indices:
            number = index if isinstance(index, int) else _hash(index)
            generator.enter_sample(epoch, number)
            if seeded:
                _seed_globals(seed, epoch, index)
            samples.append(get(index))
        if seeded:
            _seed_globals(seed, epoch, ("collate", indices[0]))
        return collate(samples)
    finally:
        generator.set_state(outside)


class StreamReader:
    """Reads a stream in parts, with random numbers that depend on (seed, epoch, shard) alone.

    What the stream draws from `random` and `numpy.random` comes from states of its own, which
    are in place only while it is read.
    """

    def __init__(self, stream: Iterator[Any], seed: int, epoch: int, shard: int) -> None:
        self._stream = stream
        with _restored_globals():
            _seed_globals(seed, epoch, ("stream", shard))
            self._globals = random.getstate(), np.random.get_state()
        generator = default_generator()
        outside = generator.get_state()
        generator.enter_sample(epoch, shard)
        self._generator = generator.get_state()
        generator.set_state(outside)

    def skip(self, count: int) -> None:
        """Read `count` samples and forget them."""
        while count and (read := len(self.read(min(count, 1024)))):
            count -= read

    def read(self, count: int) -> list[Any]:
        """The next `count` samples; fewer at the end of the stream."""
        generator = default_generator()
        outside = generator.get_state()
        with _restored_globals():
            random.setstate(self._globals[0])
            np.random.set_state(self._globals[1])
            generator.set_state(self._generator)
            try:
                return list(islice(self._stream, count))
            finally:
                self._globals = random.getstate(), np.random.get_state()
                self._generator = generator.get_state()
                generator.set_state(outside)


@contextmanager
def _restored_globals() -> Iterator[None]:
    """Put the states of `random` and `numpy.random` back at the end; one thread at a time."""
    with _globals_lock:  # ranks that are threads share the two states
        generator = mtrand.get_bit_generator()
        if not isinstance(generator, np.random.MT19937):  # the only one that can be seeded
            mtrand.set_bit_generator(np.random.MT19937(0))
        states = random.getstate(), np.random.get_state()
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            mtrand.set_bit_generator(generator)


_globals_lock = threading.RLock()


def _seed_globals(seed: int, epoch: int, index: Any) -> None:
    number = _hash((seed, epoch, index))
    random.seed(number)
    np.random.seed(number % 2**32)


def _hash(value: Any) -> int:
    """A number from 0 to 2**64 - 1 that depends on the value's text alone, not on the process."""
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "little")


def _global_state() -> tuple[Any, bytes] | None:
    """The states of `random` and `numpy.random`; None if the latter cannot be read quickly."""
    memory = _numpy_state_memory()
    return None if memory is None else (random.getstate(), memory.tobytes())


def _restore(state: tuple[Any, bytes]) -> None:
    random.setstate(state[0])
    memory = _numpy_state_memory()
    if memory is not None:
        memory[:] = np.frombuffer(state[1], memory.dtype)


def _numpy_state_memory() -> np.ndarray | None:
    """The Mersenne Twister's key and position behind `numpy.random`; None for another generator.

    Reading this memory takes a hundredth of the time of `numpy.random.get_state`.
    """
    generator = mtrand.get_bit_generator()
    if not isinstance(generator, np.random.MT19937):
        return None
    words = (ctypes.c_uint32 * 625).from_address(generator.ctypes.state_address)
    return np.ctypeslib.as_array(words)
