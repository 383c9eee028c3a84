"""Where the `onnx` package is used: nodes, tensors, types, and names that are taken once."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.optional_packages import import_optional


class Unsupported(Exception):
    """A call has no ONNX form; says why. The exporter adds the name and the line."""


def import_onnx() -> Any:
    """The `onnx` package."""
    return import_optional("onnx", "onnx", "onnx", "onnx.export needs")


def onnx_type(dtype: Any) -> int:
    """ONNX's number of a dtype."""
    dtype, proto = np.dtype(dtype), import_onnx().TensorProto
    if dtype.name == "bfloat16":
        return int(proto.BFLOAT16)
    try:
        return int(import_onnx().helper.np_dtype_to_tensor_dtype(dtype))
    except (KeyError, ValueError):
        raise Unsupported(f"ONNX has no dtype {dtype.name}") from None


def make_node(kind: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]) -> Any:
    """A node."""
    return import_onnx().helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes)


def make_tensor(array: np.ndarray, name: str) -> Any:
    """An initializer."""
    onnx = import_onnx()
    data = np.asarray(array).astype(array.dtype.newbyteorder("<"), order="C").tobytes()
    return onnx.helper.make_tensor(name, onnx_type(array.dtype), array.shape, data, raw=True)


class Names:
    """Names of values, each given once in a file."""

    def __init__(self) -> None:
        self._taken: set[str] = {""}
        self._counts: dict[str, int] = {}

    def take(self, name: str) -> str:
        """A name, with a number behind it if it is taken."""
        if name not in self._taken:
            self._taken.add(name)
            return name
        return self.new(name)

    def new(self, kind: str) -> str:
        """The next free name of a kind."""
        while True:
            self._counts[kind] = self._counts.get(kind, -1) + 1
            name = f"{kind}_{self._counts[kind]}"
            if name not in self._taken:
                self._taken.add(name)
                return name


def make_value(name: str, dtype: Any, shape: Any = None) -> Any:
    """The type of an input or output; `shape` has numbers, and names of dynamic sizes."""
    helper = import_onnx().helper
    return helper.make_tensor_value_info(name, onnx_type(dtype), shape)


def make_graph(
    name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], initializers: list[Any]
) -> Any:
    """A graph, or the body of a Scan."""
    return import_onnx().helper.make_graph(nodes, name, inputs, outputs, initializers)
