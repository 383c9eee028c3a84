"""Scripts in ONNX files: their branches and loops as If and Loop, for inputs of every side."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.errors import CompileError
from tests.jit.test_files import through_a_file
from tests.onnx.runtime import check, export, flat, require_equal, run, session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("error::dtrain.jit.TracerWarning")
torch = dtrain
T = dtrain.tensor
POSITIVE, NEGATIVE = T([[1.0, 2.0], [3.0, 4.5]]), T([[-1.0, -2.0], [-3.0, -4.5]])
MIXED = T([[1.0, -2.0], [0.5, 0.25]])


def blocks(data):
    """The If and Loop of a file, each with those in its blocks."""

    def walk(graph):
        return [
            (node.op_type, *(walk(a.g) for a in node.attribute if a.HasField("g")))
            for node in graph.node
            if node.op_type in ("If", "Loop")
        ]

    return walk(onnx.load_from_string(data).graph)


def course(x, y, w1, w2a, w2b, prev_loss):
    w2 = w2a if prev_loss < 5.0 else w2b
    y_pred = x.mm(w1).clamp(min=0).mm(w2)
    return (y_pred - y).pow(2).sum()


def test_the_listing_of_the_course_has_one_if():
    weights = [dtrain.randn(*s) for s in ((4, 5), (4, 2), (5, 3), (3, 2), (3, 2))]
    check(dtrain.jit.script(course), [*weights, 5.0], [*weights, 4.0], [*weights, 6.0])
    data = export(dtrain.jit.script(course), (*weights, 5.0))
    assert blocks(data) == [("If", [], [])]
    names = [value.name for value in onnx.load_from_string(data).graph.input]
    assert names == ["x", "y", "w1", "w2a", "w2b", "prev_loss"]


def chain(x):
    if x.sum() > 5:
        y = x * 2
        z = 1
    elif x.sum() < -5:
        y, z = -x, 2
    else:
        y = x + 10
        z = 3
    return y * z, z


def early(x):
    if x.sum() > 5:
        return x * 2
    x = x + 1
    if x.mean() < -1:
        if x.min() < -3:
            return x.abs()
        x = x * 3
    return x - 1


def connected(x):
    big = x.sum() > 5 and x.max() > 4
    small = not big and (x.min() < -4 or x.sum() == 0)
    y = x * 2 if big else x
    if small or not x.any():
        y = y - 100
    return y, (big if x.sum() > 0 else small)


def counting(x):
    n, total = 0, 0.0
    while x.abs().max() > 1:
        x = x / 2
        n += 1
        total = total + x.sum()
        if n > 2:
            x = x - 0.125
    return x, n, total


def nested_loops(x):
    turns = (x.abs().sum() // 2).int()
    for i in range(turns):
        y = x * 0.5
        for j in range(i, 2 * i + 1, 2):
            y = y + j
        while y.sum() > 3:
            y = y * 0.5
        x = y
    return x


def broken(x):
    n = 0
    for i in range(10):
        if x.sum() > 40:
            break
        if i == 1:
            continue
        x = x * 1.5 + 0.1
        n = n + 1
    while True:
        x = x * 0.5
        n += 2
        if x.abs().max() < 1:
            break
        if x.sum() < 0:
            continue
        n += 10
    return x, n


def returns_within(x):
    for scale in (1.0, 2.0, 4.0):
        for shift in [0, 1]:
            y = x * scale + shift
            if y.sum() > 9:
                return y, scale
    return -x, 0.0


def with_containers(x):
    found = {"all": [x, x * 2], "n": 0}
    items = found["all"]
    if x.sum() > 0:
        found["all"][0] = x + 5
        found["n"] = 1
    else:
        items[1] = x - 5
    pair = (items[0], x) if x.max() > 4 else (x, items[1])
    state = [x, 0]
    while state[0].abs().sum() > 1:
        state = [state[0] / 2, state[1] + 1]
    return items, pair, found["n"], state


def in_place(x):
    y = x * 2
    row = y[0]
    if x.sum() > 0:
        y += 1
        row[1] = 7
    else:
        y[1, 0] = -1
    while y.abs().sum() > 4:
        y *= 0.5
        y[0, 0] = 0.25
    copy = y[:, [1, 0]]
    copy *= 3
    view = y.t().reshape(2, 2)
    view[0] += 5
    flat_copy = y.t().reshape(4)
    flat_copy *= 2
    return y, row, copy, view, flat_copy


def numbers(x):
    k = float(x.sum())
    n = int(x.max())
    a = x.mean().item()
    low, high = min(k, 3.0), max(n, 2)
    b = bool(x.any())
    if 0 < k < 100:
        a = a * 2
    m = n
    n += 1
    return x * a + low, high, m, n, b, k


def help_one(x, factor: float):
    if x.sum() > 3:
        x = x * factor
    return x


def halving(x, depth):
    if depth == 0:
        return x
    return halving(x / 2 if x.sum() > 1 else x + 1, depth - 1)


def calls(x):
    scale = help_one(x, factor=2.0)

    def inner(y):
        return y if y.mean() > 0 else y * scale

    found = [t + 1 if t.sum() > 0 else t for t in (x, scale)]
    return inner(x) + halving(x, 3), found


def written_in_a_branch(x):
    y, z = x * 2, x.sin()
    if x.max() > 2:
        if x.sum() > 0:
            y = -x
        else:
            z = x.relu()
        while z.abs().max() > 0.5:
            z *= 0.25
    return x + y


def late_breaks_and_items(x):
    for i in range(5):
        if i > 1 and x.sum() > 12 - i:
            break
        x = x + i
    n, half = 0, [x, x + 1]
    same = half
    while half[0].abs().sum() > 1:
        half[0] = half[0] / 2
        n = n + 0.5
    total = x[0, 0] * 0
    count = (x.sum() * 0).long() + 2
    for i in range(count):
        for j in range(i):
            total = total + x[i, j]
    return x, n, same[0], total


def lists_within_dicts(x):
    found = {"pair": [x, x * 2], "deep": {"one": [x + 3]}}
    if x.sum() > 0:
        found["pair"][0] = x + 5
    else:
        found["deep"]["one"][0] = x - 5
    return found["pair"][0] * found["pair"][1], found["deep"]["one"][0]


def first_used_in_branches(x):
    """What stands for `y` in one branch is not there in the other, nor after both."""
    y = x.data
    z = y + 1 if x.sum() > 0 else y - 1
    return z * y


def comprehensions(x):
    scale = T(2.0)
    if x.sum() > 0:
        x = sum([T * 3 for T in (x, -x.abs())])
    for _ in range((x.max() * 0).int() + 2):
        x = sum([scale * T for scale, T in ((1, x), (2, x.cos()))])
    return x * T(0.5) + scale


def returns_from_loops(x):
    while x.abs().sum() > 1:
        x = x / 2
        if x.max() > 0.5 and x.max() < 1:
            return {"early": [x * 10, 3]}
        for i in range(3):
            x = x * (1 - i * 0.125)
            if x.sum() < -4:
                return {"early": [x - 1, 2 + i]}
    return {"early": [-x, 0]}


PROGRAMS = [returns_from_loops, lists_within_dicts, first_used_in_branches, comprehensions, late_breaks_and_items, written_in_a_branch, chain, early, connected, counting, nested_loops, broken, returns_within,
            with_containers, in_place, numbers, calls]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_answers_the_same_on_every_side(program):
    runtime = session(export(dtrain.jit.script(program), (POSITIVE.clone(),)))
    for x in (POSITIVE, NEGATIVE, MIXED, T([[0.0, 0.0], [0.0, 0.0]])):
        wanted = [
            np.asarray(a, np.float32) if a.dtype == np.float64 else a  # numbers of Python
            for a in flat(program(x.clone()))
        ]
        require_equal(run(runtime, [x]), wanted)


def test_what_python_alone_decides_is_no_block():
    def f(x, n: int = 3, flag: bool = True):
        for i in range(n):
            x = x + i if flag and i < 2 else x
        while n > 0:
            n -= 1
        return x if x.shape[0] > 1 and n == 0 else -x

    assert blocks(export(dtrain.jit.script(f), (POSITIVE,))) == []
    assert blocks(export(dtrain.jit.script(chain), (POSITIVE,))) == [("If", [("If", [], [])], [])]
    assert blocks(export(dtrain.jit.script(counting), (POSITIVE,))) == [("Loop", [("If", [], [])])]


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear, self.act = nn.Linear(n, n), nn.functional.gelu
        self.scale = nn.Parameter(dtrain.rand(n))

    def gate(self, x):
        return x * self.scale if x.mean() > 0 else x

    def forward(self, x, gated: bool = False):
        y = self.act(self.linear(x))
        if gated:
            y = self.gate(y)
        return x + y


class Base(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = x * 2
        return x


class Net(Base):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.blocks = nn.ModuleList([Block(8) for _ in range(2)])
        self.last = nn.Sequential(Block(8), nn.ReLU())
        self.__factor = 2.0

    def forward(self, x, limit: float = 0.0):
        h = self.first(super().forward(x))
        for i, block in enumerate(self.blocks):
            h = block(h, gated=i > 0)
            if float(h.sum()) > limit:
                h = h * 0.9
        h = self.last(h) * self.__factor
        return self.head(-h) if h.mean() < 1 else self.head(h)


def test_a_module_with_its_submodules_takes_batches_of_any_size():
    scripted = dtrain.jit.script(Net().eval())
    x = dtrain.randn(2, 4)
    samples = [[x], [-x], [x * 9], [x * -9], [dtrain.randn(1, 4)], [dtrain.randn(5, 4)]]
    runtime = check(scripted, *samples, dynamic_axes={"x": {0: "batch"}})
    assert "forward" not in vars(scripted.blocks[0])
    assert runtime.get_inputs()[0].shape == ["batch", 4]


@pytest.mark.parametrize("program", [early, connected, broken])
def test_a_script_from_a_file_keeps_its_branches(program):
    loaded = through_a_file(dtrain.jit.script(program))
    check(loaded, [POSITIVE], [NEGATIVE], [MIXED])
    assert blocks(export(loaded, (MIXED,))) == blocks(export(dtrain.jit.script(program), (MIXED,)))


def test_a_module_from_a_file_keeps_its_branches():
    model = nn.Sequential(nn.Linear(4, 8), Gated(8), nn.ReLU(), Gated(8)).eval()
    loaded = through_a_file(dtrain.jit.script(model))
    x = dtrain.randn(3, 4)
    check(loaded, [x], [-x], [x[:1] * 9], dynamic_axes={"input": {0: "batch"}})
    found = blocks(export(loaded, (x,)))
    assert found == blocks(export(dtrain.jit.script(model), (x,))) == [("If", [], [])] * 2
    assert type(loaded[1].forward).__name__ == "method"


class Gated(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.block = Block(n)

    def forward(self, x):
        return self.block(x, gated=True)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x):
        h = dtrain.zeros(x.shape[0], 4)
        all_h = dtrain.zeros(x.shape[0], x.shape[1], 4)
        for t in range(x.shape[1] - 1, -1, -1):
            h = self.cell(x[:, t], h)
            if h.sum() > 1:
                h = h * 0.5
            all_h[:, t] = h
        for row in x:
            h = h + row.sum()
        return h, all_h


def repeated(x, n):
    for _ in range(n):
        x = x * 2
    return x


def test_a_loop_over_a_dynamic_size_or_a_tensor_is_a_loop():
    R = dtrain.randn
    axes = {"x": {0: "batch", 1: "time"}}
    cell = dtrain.jit.script(Cell().eval())
    check(cell, [R(2, 5, 3)], [R(3, 7, 3)], [R(1, 1, 3)], dynamic_axes=axes)
    data = export(cell, (R(2, 5, 3),), dynamic_axes=axes)
    assert blocks(data) == [("Loop", [("If", [], [])]), ("Loop", [])]
    check(dtrain.jit.script(repeated), *([R(2), T(n)] for n in (3, 0, -1, 5)))


def test_returns_from_loops_over_a_dynamic_size():
    def first_large(x):
        for row in x:
            if row.sum() > 1:
                return row * 2
        return x[0] * 0

    axes = {"x": {0: "n"}}
    samples = [[POSITIVE], [NEGATIVE], [dtrain.cat([NEGATIVE] * 3 + [POSITIVE])], [POSITIVE[1:]]]
    check(dtrain.jit.script(first_large), *samples, dynamic_axes=axes)


def test_a_dynamic_size_that_is_compared_is_warned_of():
    def compares(x, most: int = 100):
        if x.shape[1] == 2 and most > 5 and x.sum() > -100:
            x = x + 1
        for _ in range(2):
            x = x * 2 if len(x) > most else x * 3
        return x if x.numel() > 0.5 else -x

    scripted, axes = dtrain.jit.script(compares), {"x": {0: "n"}}
    with pytest.warns(dtrain.jit.TracerWarning, match="a dynamic size is compared") as said:
        check(scripted, [POSITIVE], [POSITIVE[:1]], dynamic_axes=axes)
    first = compares.__code__.co_firstlineno
    for warning, line in zip(said, (4, 5), strict=True):
        assert f"test_control_flow.py:{first + line}: " in str(warning.message)
    check(scripted, [POSITIVE])


class Halves(nn.Module):
    def forward(self, x):
        x = self._scaled(x)
        return x if not len(x) > 100 else -x

    def _scaled(self, x):
        return x * min(x.shape[1], 2) / (1 if x.shape[0] < 100 else 2)


def test_the_lines_of_a_plain_function_that_compare_a_dynamic_size_are_warned_of():
    first = Halves.forward.__code__.co_firstlineno
    with pytest.warns(dtrain.jit.TracerWarning, match="a dynamic size is compared") as said:
        export(Halves(), (POSITIVE,), dynamic_axes={"x": {0: "n"}})
    for warning, line in zip(said, (5, 2), strict=True):
        assert f"test_control_flow.py:{first + line}: " in str(warning.message)
    scripted = dtrain.jit.script(lambda x: x * min(len(x), 100))
    with pytest.warns(dtrain.jit.TracerWarning, match="a dynamic size is compared"):
        export(scripted, (POSITIVE,), dynamic_axes={"x": {0: "n"}})
    without_source = eval("lambda x: x / (1 if len(x) < 100 else 2)")
    with pytest.warns(dtrain.jit.TracerWarning, match="what it compares .* is not seen"):
        export(without_source, (POSITIVE,), dynamic_axes={"x": {0: "n"}})
    export(without_source, (POSITIVE,))


def divides_a_length(x):
    n = len(x) // 100
    return x * 2 if n else x + 1


def divides_in_place(x):
    n = x.shape[0]
    n //= 100
    return x[: n + 1]


def has_no_turns(x):
    for _ in range(x.size(0) >> 7):
        x = x + 1
    return x


def takes_a_remainder(x):
    return x.reshape(x.shape[0] % 100, -1)


def rounds(x):
    return x[: 1 + int(len(x) / 100)]


@pytest.mark.parametrize("scripts", [False, True])
@pytest.mark.parametrize(
    ("function", "line"),
    [(divides_a_length, 1), (divides_in_place, 2), (has_no_turns, 1), (takes_a_remainder, 1),
     (rounds, 1)],
)  # fmt: skip
def test_a_dynamic_size_whose_quotient_is_always_the_same_is_warned_of(function, line, scripts):
    place = f"test_control_flow.py:{function.__code__.co_firstlineno + line}: a dynamic size is div"
    scripted = dtrain.jit.script(function) if scripts else function
    with pytest.warns(dtrain.jit.TracerWarning, match=place) as said:
        export(scripted, (POSITIVE,), dynamic_axes={"x": {0: "n"}})
    assert len(said) == 1
    export(scripted, (POSITIVE,))


def test_quotients_of_dynamic_sizes_that_are_whole_are_computed():
    def by_row(x):
        return x.reshape(len(x), x.numel() // len(x)) * (x.shape[1] // 2)

    check(by_row, [POSITIVE], [POSITIVE[:1]], dynamic_axes={"x": {0: "n"}})


def test_checks_are_left_out_with_a_warning():
    def checked(x):
        assert x.sum() > 0, "not positive"
        if x.max() > 100:
            raise ValueError("too large")
        return x * 2

    scripted, message = dtrain.jit.script(checked), r"test_control_flow.py:\d+: the file does not"
    with pytest.warns(dtrain.jit.TracerWarning, match=message):
        data = export(scripted, (POSITIVE,))
    assert run(session(data), [NEGATIVE])[0].tolist() == (NEGATIVE * 2).tolist()
    with pytest.warns(dtrain.jit.TracerWarning), pytest.raises(ValueError, match="too large"):
        export(scripted, (POSITIVE * 100,))


def other_dtype(x):
    y = x.long() if x.sum() > 0 else x
    return y + 1


def other_rank(x):
    if x.sum() > 0:
        y = x.sum(0)
    else:
        y = x
    return y


def other_number(x):
    n = 1 if x.sum() > 0 else 2.5
    return x * n


def one_side(x):
    if x.sum() > 0:
        y = x
    return y


def assigned_in_turns(x):
    while x.sum() > 1:
        x = x / 2
        y = x * 2
    return y


def without_end(x):
    return x if x.sum() > 0 else without_end(x + 1)


def grows(x):
    found = []
    while x.sum() > 1:
        x = x / 2
        found.append(x)
    return x


def grows_once(x):
    found = [x]
    if x.sum() > 0:
        found.append(x)
    return found


def changes_rank(x):
    total = 0
    while x.sum() > 1:
        x = x / 2
        total = total + x
    return total


def returns_others_in_loop(x):
    while x.sum() > 1:
        x = x / 2
        if x.max() < 2:
            return x[0]
    return -x


def reads_a_value(x):
    return x.reshape(int(x.max()), -1)


def tries(x):
    try:
        return x if x.sum() > 0 else -x
    finally:
        pass


def named_within(x):
    y = x if x.sum() > 0 and (m := x.max()) > 1 else -x
    return y + m


KEPT = nn.Identity()


def sets_an_attribute(x):
    if x.sum() > 0:
        KEPT.count = 1
    return KEPT(x)


KEPT_LIST = []


def leaks(x):
    if x.sum() > 0:
        KEPT_LIST.append(x * 2)
    return KEPT_LIST[-1] if KEPT_LIST else x


def fails_on_the_other_side(x):
    return x if x.sum() > 0 else x.reshape(7)


def writes_to_another_name(x):
    y = x * 2
    z = y
    y = y + 1 if x.sum() > 100 else y
    y *= 2
    return y, z


def writes_to_a_view_of_another_name(x):
    y, z = x * 2, x * 3
    w = y if x.sum() > 0 else z
    row = w[0]
    row += 1
    return y[0, 0]


def writes_to_another_name_of_a_turn(x):
    y, z = x * 2, x
    while y.abs().sum() > 1:
        z += 1
        y, z = y * 0.5, y
    return y


def writes_to_another_name_of_another_name(x):
    y, z = x * 2, x * 3
    first = y if x.sum() > 100 else z
    second = first if x.max() > 100 else x
    second += 1
    return y


def writes_to_what_lies_in_another_name(x):
    y, z = x * 2, x * 3
    first = y if x.sum() > 100 else z
    y += 1
    return first[0][0] * 2


def slices_between_tensors(x):
    return x[: int(x.max())]


def has_a_size_of_a_tensor(x):
    return x.narrow(0, 0, int(x.max()) - 3)


def rolls(x):
    return x.roll(int(x.max()), 0)


def makes_a_list(x):
    return x, [0] * int(x.max())


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (other_dtype, r"`the value` is int64\[2, 2\] in one branch and float32\[2, 2\] in the"),
        (other_rank, r"`y` is float32\[2\] in one branch and float32\[2, 2\] in the other"),
        (other_number, r"`the value` is int in one branch and float in the other"),
        (one_side, r"`y` has a value in one branch alone"),
        (assigned_in_turns, r"`y` has no value after a loop whose number of turns depends"),
        (without_end, r"recursion that ends by a tensor's value has no ONNX form"),
        (grows, r"a loop whose number of turns .* changes the list or dictionary `found`"),
        (grows_once, r"`in found a list` is list in one branch"),
        (changes_rank, r"`total` has no value after a loop .*: it is int, and becomes float32"),
        (returns_others_in_loop, r"`the value` is float32\[2\] in one branch and float32\[2, 2\]"),
        (reads_a_value, r"depends on numbers that are read of a tensor"),
        (tries, r"Python reads a tensor's value.* its source is not used: .*try is not supported"),
        (named_within, r"`:=` in an expression that is not always run is not supported"),
        (sets_an_attribute, r"a branch on a tensor assigns the attribute Identity.count"),
        (leaks, r"a value that a branch or loop makes here is"),
        (writes_to_another_name, r"it writes to a tensor that is another variable's, too"),
        (writes_to_a_view_of_another_name, r"it writes to a tensor that is another variable's"),
        (writes_to_another_name_of_another_name, r"it writes to a tensor that is another"),
        (writes_to_what_lies_in_another_name, r"it writes to a tensor that is another variable's"),
        (writes_to_another_name_of_a_turn, r"it writes to a tensor that is another variable's"),
        (slices_between_tensors, r"a slice between tensors has no size that is known"),
        (has_a_size_of_a_tensor, "a result depends on numbers that are read of a tensor"),
        (rolls, r"an int that depends on a tensor"),
        (makes_a_list, r"an int that depends on a tensor meets a sequence"),
        (fails_on_the_other_side, r"the branch that the example inputs do not take raises"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_keep_is_refused_by_its_line(f, message):
    with pytest.raises(CompileError, match=r"test_control_flow.py:\d+: .*" + message):
        export(dtrain.jit.script(f), (POSITIVE.clone(),))
