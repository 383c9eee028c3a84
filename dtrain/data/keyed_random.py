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
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.random import mtrand

from dtrain.backend import default_generator


class Key(NamedTuple):
    """The seeds of an epoch's samples; their random numbers depend on it and on their indices."""

    seed: int  #: the loader's, for `random` and `numpy.random`
    epoch: int
    program_seed: int  #: that of the program's default generator, for dtrain's functions


class SampleLoader:
    """Loads samples, each with random numbers of its own.

    Seeding `random` and `numpy.random` takes longer than loading many a sample. It is therefore
    done only for a dataset that draws from them: a batch in which the dataset was seen to do so
    for the first time is loaded a second time, seeded. Most do so in their first sample already.
    """

    def __init__(self) -> None:
        self._has_loaded = False
        #: whether the dataset was seen to draw from `random` or `numpy.random`
        self.draws_globally: bool = False

    def load(
        self,
        get: Callable[[Any], Any],
        indices: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        key: Key,
    ) -> Any:
        """``collate([get(index) for index in indices])``."""
        with _globals_lock:  # else a rank that is another thread changes the states meanwhile
            before = None if self.draws_globally else _global_state()
            if before is not None:

                def stop_at_first_draw() -> None:
                    if not self._has_loaded and _global_state() != before:
                        raise SharedStateError
                    self._has_loaded = True

                with suppress(SharedStateError):
                    batch = _load(get, indices, collate, key, False, stop_at_first_draw)
                    if _global_state() == before:
                        return batch
                self.draws_globally = True
                _restore(before)
        with restored_globals():
            return _load(get, indices, collate, key, seeded=True)

    def load_beside(
        self,
        get: Callable[[Any], Any],
        indices: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        key: Key,
    ) -> Any:
        """As `load`, while other threads load, which share the states of `random` and NumPy.

        Raises
        ------
        SharedStateError
            If the dataset draws from them, or another thread has meanwhile: `load` this batch.
        """
        if not self.draws_globally:
            with _globals_lock.share():
                before = _global_state()
                if before is not None:
                    batch = _load(get, indices, collate, key, seeded=False)
                    if _global_state() == before:
                        return batch
        raise SharedStateError


class SharedStateError(Exception):
    """The states of `random` and `numpy.random` changed while a thread loaded samples."""


def _load(
    get: Callable[[Any], Any],
    indices: Sequence[Any],
    collate: Callable[[list[Any]], Any],
    key: Key,
    seeded: bool,
    after_sample: Callable[[], None] = lambda: None,
) -> Any:
    generator = default_generator()
    outside = generator.get_state()
    generator.manual_seed(key.program_seed)
    samples, index = [], None
    try:
        for index in indices:
            number = index if isinstance(index, int) else hash_number(index)
            generator.enter_sample(key.epoch, number)
            if seeded:
                _seed_globals(key.seed, key.epoch, index)
            samples.append(get(index))
            after_sample()
        index = None
        if seeded:
            _seed_globals(key.seed, key.epoch, ("collate", indices[0]))
        return collate(samples)
    except Exception as error:
        if index is not None and not isinstance(error, SharedStateError):
            _add_note(error, f"raised by sample {index!r} of the dataset")
        raise
    finally:
        generator.set_state(outside)


class StreamReader:
    """Reads a stream in parts, with random numbers that depend on (seed, epoch, shard) alone.

    What the stream draws from `random` and `numpy.random` comes from states of its own, which
    are in place only while it is read.
    """

    def __init__(self, stream: Iterator[Any], key: Key, shard: int) -> None:
        self._stream = stream
        with restored_globals():
            _seed_globals(key.seed, key.epoch, ("stream", shard))
            self._globals = random.getstate(), np.random.get_state()
        generator = default_generator()
        outside = generator.get_state()
        generator.manual_seed(key.program_seed)
        generator.enter_sample(key.epoch, shard)
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
        with restored_globals():
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
def restored_globals() -> Iterator[None]:
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


class _SharedLock:
    """A lock that one thread has for itself, as often as it enters it, or that many share."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._waiting = 0  # threads that wait to own it: no other begins to share it meanwhile
        self._sharing: set[int] = set()

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            if me in self._sharing:
                raise RuntimeError(
                    "DataLoader: a dataset that threads load cannot iterate over another "
                    "DataLoader itself: use worker_type='process'"
                )
            if self._owner != me:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: self._owner is None and not self._sharing)
                finally:  # also of Ctrl-C
                    self._waiting -= 1
                    self._changed.notify_all()
                self._owner = me
            self._depth += 1

    def is_owned(self) -> bool:
        return self._owner == threading.get_ident()

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._changed.notify_all()

    @contextmanager
    def share(self) -> Iterator[None]:
        """Context manager: no thread has the lock for itself meanwhile."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner is None and not self._waiting)
            self._sharing.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._sharing.remove(me)
                self._changed.notify_all()


_globals_lock = _SharedLock()


def holds_globals() -> bool:
    """Whether this thread has the states of `random` and `numpy.random` for itself."""
    return _globals_lock.is_owned()


def _add_note(error: Exception, note: str) -> None:
    """Have the exception shown with a note (PEP 678; Python 3.10 keeps it, and shows none)."""
    notes = [*getattr(error, "__notes__", ()), f"DataLoader: {note}"]
    error.__notes__ = notes  # type: ignore[attr-defined]


def _seed_globals(seed: int, epoch: int, index: Any) -> None:
    number = hash_number((seed, epoch, index))
    random.seed(number)
    np.random.seed(number % 2**32)


def hash_number(value: Any) -> int:
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
