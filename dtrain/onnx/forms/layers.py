"""Products of matrices, convolutions, dropout."""

from __future__ import annotations

from typing import Any

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.table import Form
from dtrain.onnx.sizes import same_in_all


def linear(b: Builder, x: Wire, weight: Wire, bias: Wire | None = None) -> Wire:
    """x @ weight.T + bias."""
    if x.ndim == 2:
        return b.Gemm(x, weight, *([] if bias is None else [bias]), transB=1)
    out = b.MatMul(x, b.transpose(weight, (1, 0)))
    return out if bias is None else b.Add(out, bias)


def matmul(b: Builder, x: Wire, y: Wire) -> Wire:
    """The product over the last two axes."""
    x, y = b.promoted(x, y)
    return b.MatMul(x, y)


def conv2d(
    b: Builder, x: Wire, weight: Wire, bias: Wire | None = None, *, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Wire:  # fmt: skip
    """Cross-correlation."""
    return b.Conv(
        *_given(x, weight, bias), strides=list(stride), pads=[*padding, *padding],
        dilations=list(dilation), group=groups, kernel_shape=list(weight.shape[2:]),
    )  # fmt: skip


def conv_transpose2d(
    b: Builder, x: Wire, weight: Wire, bias: Wire | None = None, *, hw: Any, stride: Any,
    padding: Any, dilation: Any, groups: int,
) -> Wire:  # fmt: skip
    """The transpose of conv2d, with an output of size hw."""
    kernel = weight.shape[2:]
    extra = [
        same_in_all(
            lambda size, n, i=i: (
                size - (n - 1) * stride[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1
            ),
            hw[i],
            x.shape[2 + i],
        )
        for i in range(2)
    ]
    return b.ConvTranspose(
        *_given(x, weight, bias), strides=list(stride), pads=[*padding, *padding],
        dilations=list(dilation), group=groups, output_padding=extra,
        kernel_shape=[int(n) for n in kernel],
    )  # fmt: skip


def _given(*inputs: Wire | None) -> list[Wire]:
    return [x for x in inputs if x is not None]


def dropout(b: Builder, x: Wire, *, mask: Any) -> Wire:
    """x * mask."""
    return b.Mul(*b.promoted(x, mask))


FORMS: dict[str, Form] = {
    "linear": linear,
    "matmul": matmul,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "dropout": dropout,
}
