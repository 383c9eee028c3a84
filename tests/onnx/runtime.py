"""ONNX Runtime as the oracle: exports, runs the file there, and compares with dtrain."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import dtrain
from dtrain import nn


def flat(value: Any) -> list[np.ndarray]:
    """The tensors and numbers in nested outputs, in order."""
    if isinstance(value, dtrain.Tensor):
        return [value.detach().numpy()]
    if value is None:
        return []
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, (bool, int, float)):
        return [np.asarray(value)]
    return [array for item in value for array in flat(item)]


def session(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def export(f: Callable[..., Any], args: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    dtrain.onnx.export(f, args, file, **options)
    return file.getvalue()


def require_equal(got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> None:
    assert len(got) == len(want)
    for mine, right in zip(got, want):
        assert (mine.shape, mine.dtype) == (right.shape, right.dtype)
        if right.dtype.kind == "f":
            size = max(1.0, np.nanmax(np.abs(right), initial=0, where=np.isfinite(right)))
            np.testing.assert_allclose(mine, right, rtol=1e-5, atol=1e-5 * size)
        else:
            np.testing.assert_array_equal(mine, right)


def run(runtime: Any, args: Sequence[Any]) -> list[np.ndarray]:
    """What the runtime answers."""
    arrays = [
        x.detach().numpy() if isinstance(x, dtrain.Tensor) else np.asarray(x, np.float32)
        for x in args
        if isinstance(x, (dtrain.Tensor, float))
    ]
    return runtime.run(None, {x.name: a for x, a in zip(runtime.get_inputs(), arrays)})


def check(f: Any, *samples: Sequence[Any], **options: Any) -> Any:
    """Export with the first sample; the runtime's answers for all of them are dtrain's."""
    runtime = session(export(f, tuple(samples[0]), **options))
    plain = f.eval() if isinstance(f, nn.Module) else f
    for args in samples:
        got = run(runtime, args)  # first, as `f` may write to its arguments
        with dtrain.no_grad():
            require_equal(got, flat(plain(*args)))
    return runtime
