"""What recording and checking a graph keep in memory, with Python's cyclic collector off."""

import collections
import gc
import weakref

import pytest

import dtrain
from dtrain.autograd.graph import Node
from dtrain.jit import step_code
from dtrain.jit.tracer import GraphTracer
from tests.jit.test_graphs import leaf


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
