"""Programs of random structure: eager, compiled, scripted, traced and from a file, the same bits."""

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import dtrain
from tests.jit.test_files import through_a_file

NAMES = st.sampled_from("abc")  # tensors of shape (2, 4); `w` has shape (4, 4)
UNARY = ("{}.tanh()", "{}.relu()", "({} * 0.5).exp()", "{}.softmax(-1)", "{}.detach() + x", "-{}")
BINARY = ("{} + {}", "{} * {}.mean()", "{} @ w - {}", "dtrain.where({} > 0, {}, x)")
SHAPES = (
    "{}.reshape(4, 2).t().reshape(2, 4)",
    "dtrain.cat({}.chunk(2, -1)[::-1], -1)",
    "{}.t().contiguous().t()",
    "{}[:, [3, 1, 0, 2]]",
    "{}[0] + {}[1:]",
)


def assignments():
    forms = st.sampled_from(UNARY + BINARY + SHAPES)
    return st.builds(
        lambda name, form, one, other: [f"{name} = " + form.format(one, other or one)],
        NAMES, forms, NAMES, NAMES,
    )  # fmt: skip


def indented(blocks):
    return ["    " + line for block in blocks for line in block]


def nested(inner):
    blocks = st.lists(inner, min_size=1, max_size=3).map(indented)
    limits = st.sampled_from(("0.0", "k", "b.mean()"))
    branch = st.builds(
        lambda name, limit, then, other: [f"if {name}.sum() > {limit}:", *then, "else:", *other],
        NAMES, limits, blocks, blocks,
    )  # fmt: skip
    loop = st.builds(
        lambda n, body: [f"for i in range({n}):", *body, "    c = c + i"], st.integers(1, 3), blocks
    )
    shrinking = NAMES.map(lambda name: [f"while {name}.abs().max() > 2.0:", f"    {name} *= 0.25"])
    return st.one_of(branch, loop, shrinking)


def programs():
    statement = st.recursive(assignments(), nested, max_leaves=5)
    return st.lists(statement, min_size=2, max_size=5).map(
        lambda blocks: "\n".join(
            [
                "import dtrain",
                "def program(x, w, k: float):",
                "    a, b, c = x * 1.5, x - w[:2], x.sin()",
                *indented(blocks),
                "    return a + b, c.sum() * k",
            ]
        )
    )


def outcome(function, k):
    """The outputs, and the gradients of the arguments, for values that depend on `k`."""
    g = dtrain.Generator(int(10 * k))
    x = (dtrain.randn(2, 4, generator=g) * k).requires_grad_()
    w = dtrain.randn(4, 4, generator=g).requires_grad_()
    first, second = function(x, w, k)
    (first.pow(2).sum() + second).backward()
    found = (first, second, x.grad, w.grad)
    return [np.zeros(0) if v is None else v.detach().numpy().copy() for v in found]


@pytest.fixture(scope="module")
def load_program(tmp_path_factory):
    """Make the function of a source text, from a file, as `jit.script` reads the source."""
    folder, count = tmp_path_factory.mktemp("programs"), iter(range(10_000))

    def load(text):
        path = folder / f"random_program_{next(count)}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        del sys.modules[path.stem]
        return module.program

    return load


@settings(
    max_examples=50, deadline=None, database=None, derandomize=True,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(text=programs())
@pytest.mark.filterwarnings("ignore:.*paths.*:RuntimeWarning")
def test_random_programs_have_eager_bits_in_every_form(load_program, text):
    program = load_program(text)
    scripted = dtrain.jit.script(program)
    forms = {"compile": dtrain.compile(program), "script": scripted, "script file": None}
    forms["script file"] = through_a_file(scripted)
    if "if " not in text and "while " not in text:
        g = dtrain.Generator(0)
        example = (dtrain.randn(2, 4, generator=g), dtrain.randn(4, 4, generator=g), 0.5)
        example[0].requires_grad_()
        example[1].requires_grad_()
        forms["trace"] = dtrain.jit.trace(program, example)
        forms["trace file"] = through_a_file(forms["trace"])
    for k in (0.5, 2.0, 0.5, 2.0):  # recorded, verified, and run
        expected = outcome(program, k)
        for name, form in forms.items():
            for mine, theirs in zip(outcome(form, k), expected, strict=True):
                assert np.array_equal(mine, theirs, equal_nan=True), (name, k, text)
