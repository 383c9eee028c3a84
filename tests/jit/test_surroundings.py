"""What a function reads besides its arguments, and what it changes, is noticed in each call."""

import contextlib
import dataclasses
import types

import numpy as np
import pytest

import dtrain
from dtrain import nn

pytestmark = pytest.mark.filterwarnings("error")

ONE = dtrain.ones(1)
NUMBERS = [2.0, 2.0, 2.0, 3.0, 4.0, -0.0, 0.0]  # recorded, verified, run, and then others
SCALES = [1.0]
TENSORS = {"deep": [ONE]}
ARRAY = np.ones(1, np.float32)


@dataclasses.dataclass
class Config:
    scale: float = 1.0
    inner: object = None

    def scaled(self, x):
        return x * self.scale


class Kind:
    scale = 1.0


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.config, self.numbers, self.named = Config(), [1.0], {"a": {"b": [1.0]}}
        self.array = np.ones(1, np.float32)

    def forward(self, x):
        x = x * self.config.scale / self.numbers[0] + self.named["a"]["b"][0]
        return x - dtrain.tensor(self.array)


def require_same(compiled, function, *args):
    for _ in range(2):
        mine, right = compiled(*args), function(*args)
        assert mine.dtype == right.dtype
        assert mine.numpy().tobytes() == right.numpy().tobytes()


def reads_everything():
    """Functions of x that read a number from somewhere, each with what sets the number."""
    config, nested, space = (
        Config(),
        Config(inner=Config(inner=[1.0])),
        types.SimpleNamespace(k=1.0),
    )

    def set_item(k):
        SCALES[0] = k

    def set_tensor(k):
        TENSORS["deep"][0] = dtrain.full((1,), k)

    def set_nested(k):
        nested.inner.inner[0] = k

    def set_array(k):
        ARRAY[0] = k

    return [
        (lambda x: 1 / (x * config.scale), lambda k: setattr(config, "scale", k)),
        (config.scaled, lambda k: setattr(config, "scale", k)),
        (lambda x: x * nested.inner.inner[0], set_nested),
        (lambda x: x * space.k, lambda k: setattr(space, "k", k)),
        (lambda x: x * Kind.scale, lambda k: setattr(Kind, "scale", k)),
        (lambda x: x * SCALES[0], set_item),
        (lambda x: x * TENSORS["deep"][0], set_tensor),
        (lambda x: x * dtrain.tensor(ARRAY), set_array),
        (lambda x: x * float(ARRAY[0]), set_array),
    ]


@pytest.mark.parametrize("which", range(9))
def test_what_is_read_may_change(which):
    function, change = reads_everything()[which]
    compiled = dtrain.compile(function, fullgraph=True)
    for number in NUMBERS:
        change(number)
        require_same(compiled, function, ONE)


def test_what_modules_hold_in_lists_and_objects_may_change():
    layer = Layer()
    compiled = dtrain.compile(layer, fullgraph=True)
    for number in NUMBERS[:5]:
        layer.config.scale = layer.numbers[0] = number
        require_same(compiled, layer, ONE)
        layer.named["a"]["b"][0] = number
        require_same(compiled, layer, ONE)
        layer.array[0] = number
        require_same(compiled, layer, ONE)


def test_a_function_that_reads_a_large_array_is_not_compiled():
    held = np.ones(1 << 20, np.float32)
    function = lambda x: x * dtrain.tensor(held[:1])
    with pytest.raises(RuntimeError, match="held is a large array of NumPy: make a Tensor"):
        dtrain.compile(function, fullgraph=True)(ONE)
    compiled = dtrain.compile(function)
    for number in range(4):
        held[0] = number
        with (
            pytest.warns(RuntimeWarning, match="held is a large array")
            if not number
            else (contextlib.nullcontext())
        ):
            assert compiled(ONE).item() == number


def test_numbers_may_change_their_type():
    whole = dtrain.ones(1, dtype=dtrain.int64)
    function = lambda x: x * SCALES[0]
    compiled = dtrain.compile(function, fullgraph=True)
    for SCALES[0] in (1, 1, 1, 1.0, True, np.float32(1)):
        require_same(compiled, function, whole)


def test_containers_may_change_their_type():
    held = {"a": None}
    function = lambda x: x * held["a"][0]
    compiled = dtrain.compile(function, fullgraph=True)
    for held["a"] in ([1.0], [1.0], [1.0], {0: 1.0}, {0: 1.0}, [2.0]):
        require_same(compiled, function, ONE)


def test_objects_among_the_arguments_may_change():
    function = lambda config: config.inner * config.scale
    compiled = dtrain.compile(function, fullgraph=True)
    config = Config(inner=ONE)
    for number in NUMBERS[:5]:
        config.scale = number
        require_same(compiled, function, config)
    config.inner = ONE + 1
    require_same(compiled, function, config)
    nested = lambda x, config: x * config.inner.scale
    compiled, config = dtrain.compile(nested, fullgraph=True), Config(inner=Config())
    for config.inner.scale in NUMBERS[:5]:
        require_same(compiled, nested, ONE, config)
    several = dtrain.compile(function)
    for number in range(8):
        assert several(Config(1.0, ONE * number)).item() == number
    with pytest.warns(RuntimeWarning, match="there are 8 graphs already"):
        assert several(Config(1.0, ONE * 8)).item() == 8


class Counter:
    def __init__(self):
        self.calls = 0
        self.seen = {}

    def count(self, x):
        self.calls += 1
        return x * self.calls

    def note(self, x):
        self.seen[len(self.seen)] = x
        return x * 1

    def begin(self, x):
        self.started = True
        return x + hasattr(self, "started")


@pytest.mark.parametrize(
    ("name", "what"), [("count", "self.calls"), ("note", "self.seen"), ("begin", "the attributes")]
)
def test_a_method_that_changes_its_object_runs_without_a_graph(name, what):
    counter = Counter()
    compiled = dtrain.compile(getattr(counter, name))
    with pytest.warns(RuntimeWarning, match=f"{name} changes {what}") as said:
        results = [compiled(ONE).item() for _ in range(4)]
    assert len(said) == 1
    other = Counter()
    assert results == [getattr(other, name)(ONE).item() for _ in range(4)]
    assert (counter.calls, len(counter.seen)) == (other.calls, len(other.seen))


def test_lists_and_dicts_among_the_arguments_are_changed_in_every_call():
    def function(x, found, named):
        found.append(x * 2)
        inner = named["inner"]
        inner[0] = x + 3
        named["last"] = found[-1]
        return x + len(found)

    def check(called):
        inner = [ONE]
        found, named = [ONE], {"inner": inner}
        assert called(ONE, found, named).item() == 3
        assert [x.item() for x in found] == [1, 2]
        assert named["inner"] is inner
        assert named["last"] is found[1]
        assert type(found[1].array) is np.ndarray
        assert inner[0].item() == 4

    compiled = dtrain.compile(function)
    with pytest.warns(RuntimeWarning, match="function changes a list or dict among its arguments"):
        check(compiled)
    for _ in range(3):
        check(compiled)
    with pytest.raises(dtrain.errors.CompileError, match="changes a list or dict among"):
        dtrain.compile(function, fullgraph=True)(ONE, [], {"inner": [ONE]})
