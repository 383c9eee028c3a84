"""What recording and checking a graph keep in memory, with Python's cyclic collector off."""

import collections
import gc
import sys
import tracemalloc
import weakref

import pytest

import dtrain
from dtrain.autograd.graph import Node
from dtrain.jit import step_code, tracer
from dtrain.jit.tracer import GraphTracer
from tests.jit.test_graphs import leaf, require_eager_bits


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_recording_leaves_no_arrays_behind(monkeypatch):
    arrays = []

    def noting(self, array, ref, make=GraphTracer._proxy):
        arrays.append(weakref.ref(array))
        return make(self, array, ref)

    monkeypatch.setattr(GraphTracer, "_proxy", noting)
    x = leaf(3, 4)
    dtrain.compile(lambda x: (x @ x.T).exp() * dtrain.from_numpy(x.detach().numpy()[0, :3]))(
        x
    ).sum().backward()
    del x
    assert len(arrays) > 4
    assert not [array for array in arrays if array() is not None]


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="CPython does not count all references any more"
)
def test_recording_forgets_what_the_function_cannot_use_any_more():
    def function(x):
        for _ in range(10):
            x = (x * 2).tanh()
        return x

    def peak(function):
        x = dtrain.zeros(1 << 20)
        tracemalloc.start()
        function(x)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(dtrain.compile(function)) < 1.1 * peak(function)


def test_forgotten_values_are_not_taken_for_later_ones_at_their_addresses(monkeypatch):
    monkeypatch.setattr(tracer, "LARGE_BYTES", 0)

    def function(x):
        total, kept = x.detach().clone(), x * 3
        for n in range(20):
            y = (x * n).exp()
            view = y[1:] if n % 3 else y[:-1]
            del y
            total[1:] += view
        return total * kept

    require_eager_bits(function, lambda: (leaf(5),))


def test_the_second_call_holds_the_history_of_one_run_alone():
    histories = collections.deque()  # no list: a graph looks at lists that it can reach

    def function(x):
        histories.append(sum(isinstance(found, Node) for found in gc.get_objects()))
        return (x @ x.T).exp().sum()

    compiled = dtrain.compile(function)
    for _ in range(2):
        compiled(leaf(3, 4)).backward()
    assert histories[1] == histories[0]


def test_a_faster_function_is_made_before_a_run_saves_anything(monkeypatch):
    histories = []

    def noting(*args, write=step_code.write_segment):
        histories.append(sum(isinstance(found, Node) for found in gc.get_objects()))
        return write(*args)

    monkeypatch.setattr(step_code, "write_segment", noting)
    before = sum(isinstance(found, Node) for found in gc.get_objects())
    compiled = dtrain.compile(lambda x: (x @ x.T).exp().sum())
    for _ in range(3):
        compiled(leaf(3, 4)).backward()
    assert histories == [before]


def test_trials_of_calls_on_large_arrays_take_a_part_of_them():
    compiled = dtrain.compile(lambda x: dtrain.nn.functional.group_norm(x * 2, 8).sigmoid().sum())
    peaks = []
    for _ in range(4):
        x = dtrain.ones(16, 32, 32, 64, requires_grad=True)
        tracemalloc.start()
        compiled(x).backward()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.8 * peaks[3]  # the third call makes the fast function
