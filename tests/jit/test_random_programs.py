"""Programs of random structure: eager, compiled, scripted, traced and from a file, the same bits."""

import numpy as np
import pytest
from hypothesis import given

import dtrain
from tests.jit.random_programs import examples, has_one_path, load_program, programs
from tests.jit.test_files import through_a_file


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
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.mark.slow
@examples(50)
@given(text=programs(has_writes=True))
@pytest.mark.filterwarnings("ignore:.*paths.*:RuntimeWarning")
def test_random_programs_have_eager_bits_in_every_form(folder, text):
    program = load_program(folder, text)
    scripted = dtrain.jit.script(program)
    forms = {"compile": dtrain.compile(program), "script": scripted, "script file": None}
    forms["script file"] = through_a_file(scripted)
    if has_one_path(text):
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
