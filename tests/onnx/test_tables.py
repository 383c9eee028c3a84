"""Every row of the tables of layers and operations in ONNX Runtime, or refused by name."""

import functools
import io
import re

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.errors import CompileError
from tests.cases import table
from tests.cases.layer_cases import MODULES
from tests.onnx.runtime import check

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

#: Layers whose output, or what they compute on the way, has a size that depends on values; that
#: draw numbers; or that change their weights.
REFUSED = {
    "AdaptiveLogSoftmaxWithLoss", "AdaptiveLogSoftmaxWithLoss of the head",
    "AdaptiveLogSoftmaxWithLoss of one", "AdaptiveLogSoftmaxWithLoss.predict", "CTCLoss",
    "Embedding max_norm", "Embedding norm_type", "EmbeddingBag max", "EmbeddingBag max_norm",
    "EmbeddingBag of offsets", "EmbeddingBag weighted", "FractionalMaxPool2d",
    "FractionalMaxPool2d drawn", "FractionalMaxPool3d", "GRU packed", "LSTM packed",
    "MultiLabelMarginLoss", "RNN packed",
}  # fmt: skip

#: Primitives without an ONNX form.
NO_FORM = {
    "bincount", "bitwise_left_shift", "bitwise_right_shift", "cholesky", "ctc_loss", "det",
    "draw_bits", "eigh", "erfinv", "exponent", "gammainc", "gammaincc", "gcd", "histogram", "i0",
    "i0e", "i1", "i1e", "inv", "lcm", "lgamma", "log_gamma_quantile", "lu", "mantissa",
    "mode_indices", "nextafter", "pinv", "polygamma", "qr",
    "qr_complete", "sign_of_det", "solve", "solve_triangular", "svd", "svdvals",
}  # fmt: skip

#: Primitives of complex numbers, which ONNX's operators do not take.
OF_COMPLEX = {
    "conj", "fft_c2c", "fft_c2r", "fft_r2c", "imag", "make_complex", "modulus", "real",
    "view_as_complex", "view_as_real",
}  # fmt: skip

#: Why else an operation may be refused.
OTHER_REASONS = (
    "depends on values", "depends on numbers that are read", "different lengths",
    "differ from sample to sample", "random generator", "from outside of the function",
    "values were read by code",
)  # fmt: skip


def make_layer(name):
    """The layer of a row, or a function that calls it as the row says, and its inputs."""
    row = MODULES[name]
    module = row.make(nn)
    if isinstance(module, nn.Module):
        module.eval()
    f = module if row.call is None else lambda *tensors: row.call(nn, module, *tensors)
    return f, [dtrain.from_numpy(np.array(array)) for array in row.arrays()]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in REFUSED])
def test_a_layer_answers_the_same_in_onnx_runtime(name):
    check(*make_layer(name))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_layer_without_an_onnx_form_is_refused(name):
    f, inputs = make_layer(name)
    with pytest.raises(CompileError, match=r"onnx.export: .*\.py:\d+: "):
        check(f, inputs)


CASES = {str(case): case for case in table.CASES}


def test_dynamic_axes_of_what_is_not_there_are_refused():
    model, file = dtrain.nn.Linear(3, 2), io.BytesIO()
    dtrain.onnx.export(model, dtrain.zeros(1, 3), file, output_names=["y"],
                       dynamic_axes={"input": {0: "n"}, "y": {0: "n"}})  # fmt: skip
    size = file.tell()
    with pytest.raises(ValueError, match=r"dynamic_axes has 'x', .*: input, output$"):
        dtrain.onnx.export(model, dtrain.zeros(1, 3), file, dynamic_axes={"x": {0: "n"}})
    assert 0 < size == file.tell()


def test_a_number_of_numpy_is_a_constant_and_takes_no_name():
    import onnx

    file = io.BytesIO()
    dtrain.onnx.export(lambda k, x, s: x * k + s, (np.float64(2), dtrain.ones(2), 3.0), file)
    model = onnx.load_from_string(file.getvalue())
    assert [value.name for value in model.graph.input] == ["x", "s"]


@pytest.mark.parametrize("start", range(8))
def test_an_operation_answers_the_same_in_onnx_runtime(start):
    refused, of_complex = set(), 0
    for case in list(CASES.values())[start::8]:
        tensors = [dtrain.from_numpy(a.astype(np.float32)) for a in case.arrays(case.samples[0])]
        try:
            check(functools.partial(case.run, dtrain), tensors)
        except CompileError as error:
            refused.add((str(case), str(error)))
    for case, error in refused:
        name = re.search(r"\.py:\d+: (\S+): it has no ONNX form", error)
        of_complex += bool(name and name[1] in OF_COMPLEX)
        named = name and (
            name[1] in NO_FORM | OF_COMPLEX or name[1].startswith(("numpy.", "array."))
        )
        assert named or any(reason in error for reason in OTHER_REASONS), (case, error)
    assert len(refused) - of_complex <= len(CASES) // 8 // 4
