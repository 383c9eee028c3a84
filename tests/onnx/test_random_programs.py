"""Scripts of random structure as files: ONNX Runtime's answers on either side of each branch."""

import numpy as np
import pytest
from hypothesis import given

import dtrain
from tests.jit.random_programs import examples, load_program, programs
from tests.onnx.runtime import export, flat, run, session

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def arguments(k):
    """In float64, so that no sum is by chance on the other side of a limit."""
    g = dtrain.Generator(int(10 * k))
    x, w = dtrain.randn(2, 4, generator=g) * k, dtrain.randn(4, 4, generator=g)
    return [x.double(), w.double(), k]


def answers(program, runtime, k):
    """What the file and the function answer."""
    names = {value.name for value in runtime.get_inputs()}
    given = [a for name, a in zip("xwk", arguments(k)) if name in names]
    return run(runtime, given), flat(program(*arguments(k)))


def check_programs(folder, count):
    @examples(count)
    @given(text=programs(has_writes=False))
    def check(text):
        program = load_program(folder, text)
        runtime = session(export(dtrain.jit.script(program), arguments(0.5)))
        for k in (0.5, 2.0, 3.0):
            for mine, right in zip(*answers(program, runtime, k), strict=True):
                assert mine.shape == right.shape, text
                np.testing.assert_allclose(mine, right, rtol=1e-6, atol=1e-9, err_msg=text)

    check()


def test_random_scripts_answer_the_same_in_onnx_runtime(tmp_path):
    check_programs(tmp_path, 12)


@pytest.mark.slow
def test_many_random_scripts_answer_the_same_in_onnx_runtime(tmp_path):
    check_programs(tmp_path, 100)
