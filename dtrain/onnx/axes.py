"""Dynamic axes: which sizes of the inputs may change, and inputs of other sizes to record with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.jit.arguments import argument_names, graph_inputs, is_graph_input
from dtrain.jit.graph import rebuild
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.recording import Recording
from dtrain.onnx.sizes import Dim

#: For each dynamic axis in turn, how its size changes in the second and the third recording: these
#: are added to the size, or multiply it. Axes have different numbers, so that their sizes differ.
_ADDED = [(1, 3), (2, 5), (4, 9), (7, 12), (11, 17), (13, 23)]


class DynamicAxes:
    """The inputs of a function, and those of their axes whose size may change.

    Parameters
    ----------
    function, args : the function, and example arguments
    names : names of the inputs, or None
    dynamic : as in `export`
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], names: Sequence[str] | None,
        dynamic: Any,
    ):  # fmt: skip
        self._args = args
        leaves = graph_inputs(args, {})
        own = argument_names(function, args, {})
        self.names: list[str] = list(names or itertools.islice(own, len(leaves)))
        if len(self.names) != len(leaves):
            raise ValueError(
                f"onnx.export: expected {len(leaves)} input_names, one for each tensor and float "
                f"among the example inputs, got {len(self.names)}"
            )
        #: name of an axis: (input, axis) of each that has it
        self._axes: dict[str, list[tuple[int, int]]] = {}
        self._given: list[str] = list(dynamic or {})
        self._read(dynamic or {}, leaves)
        self._sizes: dict[str, tuple[int, ...]] = {}

    def _read(self, dynamic: Any, leaves: list[Any]) -> None:
        for name, axes in dynamic.items():
            if name not in self.names:
                continue  # an output's, which follow from those of the inputs
            place = self.names.index(name)
            if not isinstance(axes, dict):
                axes = {axis: f"{name}_{axis}" for axis in axes}
            leaf = leaves[place]
            ndim = leaf.ndim if isinstance(leaf, Tensor) else 0
            for axis, label in axes.items():
                if not -ndim <= axis < ndim:
                    raise ValueError(
                        f"onnx.export: dynamic_axes[{name!r}] has axis {axis}, and the input has "
                        f"{ndim} dimensions"
                    )
                self._axes.setdefault(str(label), []).append((place, axis % ndim))

    @property
    def are_given(self) -> bool:
        """Whether any axis is dynamic."""
        return bool(self._axes)

    def try_sizes(self, run: Callable[[tuple[Any, ...]], Recording]) -> list[Recording]:
        """Run with the example inputs, or with dynamic axes with inputs of three sizes.

        Raises
        ------
        Exception
            What the function raised, if it takes none of the sizes that were tried.
        """
        if not self._axes:
            return [run(self._with_sizes({}, 0))]
        failure: Exception | None = None
        for sizes in self._candidates():
            try:
                recordings = [run(self._with_sizes(sizes, i)) for i in range(3)]
            except Unsupported:
                raise
            except Exception as error:
                failure = failure or error
                continue
            self._sizes = sizes
            return recordings
        raise ValueError(
            "onnx.export: the function takes no other sizes for the dynamic axes "
            f"{', '.join(self._axes)}: {type(failure).__name__}: {failure}"
        ) from failure

    def _candidates(self) -> Iterator[dict[str, tuple[int, ...]]]:
        """Sizes to try for each axis: larger ones, multiples, smaller ones."""
        leaves = graph_inputs(self._args, {})
        given = {}
        for label, places in self._axes.items():
            sizes = {leaves[i].shape[axis] for i, axis in places}
            if len(sizes) > 1:
                raise ValueError(f"onnx.export: the axes {label!r} have the sizes {sorted(sizes)}")
            given[label] = sizes.pop()
        pairs = list(zip(given.items(), itertools.cycle(_ADDED)))
        # a size of 1 may be a special case
        yield {k: tuple(max(n, 2) + x for x in (0, *add)) for (k, n), add in pairs}
        yield {k: (n, n * (1 + add[0]), n * (1 + add[1])) for (k, n), add in pairs}
        yield {k: (n, n - 1, n - 2) for k, n in given.items()}
        yield {k: (n, n // 2, n // 4) for k, n in given.items()}

    def _with_sizes(self, sizes: dict[str, tuple[int, ...]], which: int) -> tuple[Any, ...]:
        """Copies of the example inputs with other sizes: cut, or their elements repeated."""
        wanted: dict[int, dict[int, int]] = {}
        for label, places in self._axes.items():
            for place, axis in places:
                wanted.setdefault(place, {})[axis] = sizes[label][which]
        count = itertools.count()

        def leaf(value: Any) -> Any:
            if not is_graph_input(value):
                return value
            changes = wanted.get(next(count), {})
            if not isinstance(value, Tensor):
                return value
            array = value.array.copy()  # the function may write to it
            for axis, size in changes.items():
                array = array.take(np.arange(size) % max(array.shape[axis], 1), axis)
            return wrap(array)

        return rebuild(self._args, leaf)

    def check_names(self, outputs: Sequence[str]) -> None:
        """Refuse names in `dynamic_axes` that neither an input nor an output has."""
        for name in self._given:
            if name not in (*self.names, *outputs):
                raise ValueError(
                    f"onnx.export: dynamic_axes has {name!r}, expected the name of an input or "
                    f"output: {', '.join([*self.names, *outputs])}"
                )

    def label(self, shape: Sequence[Any]) -> list[Any]:
        """A shape with names of dynamic axes, None for other sizes that are dynamic."""
        labels = {Dim(sizes): label for label, sizes in self._sizes.items()}
        return [labels.get(size) if isinstance(size, Dim) else int(size) for size in shape]
