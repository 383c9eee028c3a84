"""Autocast against PyTorch's on a CPU: the dtype of what each function of the table returns."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from tests.cases.table import CASES  # noqa: E402

pytestmark = pytest.mark.oracle


#: Rows in which dtrain keeps float32 where PyTorch rounds to the lower precision, or refuses
#: tensors of two dtypes, as both do without autocast.
MORE_EXACT = ("linalg.pinv", "F.max_pool3d places", "F.mse_loss weight", "F.l1_loss weight")
REFUSED = ("index_put mask", "linalg.solve_triangular")


def dtype_name(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def output_dtypes(t, case, arrays, dtypes, lower):
    """The dtypes of the outputs, by dtrain or torch; the error if it refuses."""
    tensors = [t.from_numpy(a.copy()).to(getattr(t, d)) for a, d in zip(arrays, dtypes)]
    try:
        with t.autocast("cpu", dtype=getattr(t, lower)):
            return [dtype_name(out) for out in case.run(t, *tensors)]
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        return error


def input_dtypes(kind, lower, count):
    if kind == "mixed":
        return [lower if i % 2 else "float32" for i in range(count)]
    return [lower if kind == "half" else kind] * count


@pytest.mark.parametrize(
    ("lower", "kind"),
    [("bfloat16", "float32"), ("bfloat16", "half"), ("bfloat16", "mixed"), ("float16", "float32")],
)
def test_outputs_have_the_dtypes_of_pytorch(lower, kind):
    different, compared = {}, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in CASES:
            sample = case.samples[0]
            if not case.in_torch or (kind == "mixed" and len(sample) < 2):
                continue
            arrays = [a.astype(np.float32) for a in case.arrays(sample)]
            dtypes = input_dtypes(kind, lower, len(arrays))
            expected = output_dtypes(torch, case, arrays, dtypes, lower)
            if isinstance(expected, Exception):
                continue
            compared += 1
            ours = output_dtypes(dtrain, case, arrays, dtypes, lower)
            if str(case).startswith(MORE_EXACT):
                expected = [name.replace(lower, "float32") for name in expected]
            if isinstance(ours, Exception) and kind == "mixed" and str(case).startswith(REFUSED):
                continue
            if isinstance(ours, Exception) or ours != expected:
                different[str(case)] = ours, expected
    assert compared > 100
    assert not different
