"""`ArrayLayouts`: how the values of generated code lie in memory, in every run.

Sums depend on the order of elements, and calls in blocks of rows on where a row begins. NumPy
decides the order of a result by that of the arguments; here it is asked with made-up arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_places import Place, c_strides, has_ordered_batch, place_view
from dtrain.jit.flat_items import is_product, makes_arrays
from dtrain.jit.graph import Ref, rebuild


class ArrayLayouts:
    """The strides of the values for which they are known.

    Parameters
    ----------
    examples : of each value its shape and dtype
    assumable : given arrays that may be taken to lie in C order; `assumed` gets those that are
    """

    def __init__(self, examples: Mapping[int, Example], assumable: Collection[int] = ()):
        self._examples, self._assumable = examples, assumable
        self.strides: dict[int, tuple[int, ...]] = {}
        self.assumed: set[int] = set()

    def is_ordered(self, value: int) -> bool:
        """Whether the elements of an array lie in C order, in every run."""
        return self.strides.get(value) == self._ordered_strides(value)

    def _ordered_strides(self, value: int) -> tuple[int, ...] | None:
        example = self._examples.get(value)
        if example is None or example.dtype is None:
            return None
        return c_strides(example.shape, example.dtype)

    def place(self, value: int) -> Place | None:
        """A value as a memory of its own; None if its strides are not known."""
        example, strides = self._examples.get(value), self.strides.get(value)
        if example is None or example.dtype is None or strides is None:
            return None
        return Place(value, 0, tuple(example.shape), strides, example.dtype)

    def _assumed(self, value: int) -> Place | None:
        """A value as a Place; an `assumable` array of unknown strides is taken to be in C order."""
        if value not in self.strides and value in self._assumable:
            self._note(value, self._ordered_strides(value))
            self.assumed.add(value)
        return self.place(value)

    def note(self, call: ArrayCall) -> None:
        """Note how the outputs of a call lie."""
        if call.shared or call.name == "array.reshape":
            self._note_view(call)
            return
        outputs = [value for _, value in call.outputs]
        args = {r.value for r in call.refs() if self._examples[r.value].shape}
        is_ufunc = isinstance(call.function, np.ufunc)
        if is_product(call):
            is_known = all(map(self._has_ordered_batch, args))
        elif not is_ufunc and makes_arrays(call):  # a kernel
            shapes = [self._examples[value].shape for value in outputs]
            args = {value for value in args if self._examples[value].shape in shapes}
            is_known = all(map(self.is_ordered, args))
        elif is_ufunc or call.function is np.concatenate:
            is_known = all(map(self.is_ordered, args))
        else:
            is_known = call.function in (np.empty, np.zeros)
        depends = is_ufunc or makes_arrays(call) or call.function is np.concatenate
        if not is_known and depends and not call.width and len(outputs) == 1:
            self._note_result(call, outputs[0])
        for value in outputs if is_known else ():
            if self._examples[value].is_ordered:
                self._note(value, self._ordered_strides(value))

    def _note(self, value: int, strides: tuple[int, ...] | None) -> None:
        if strides is not None:
            self.strides[value] = strides

    def is_copy(self, call: ArrayCall) -> bool:
        """Whether a call reshapes an array that cannot be viewed so, in every run."""
        return call.name == "array.reshape" and self._view(call) is None

    def _view(self, call: ArrayCall) -> Place | bool | None:
        """Where the result of a call lies that views an array; False if that is not known, None if
        it is a copy."""
        refs = list(call.refs())
        source = self._assumed(refs[0].value) if len(refs) == 1 else None
        if source is None or len(call.outputs) != 1:
            return False
        args, kwargs = rebuild(
            (tuple(call.args), call.kwargs), lambda x: source if isinstance(x, Ref) else x
        )
        return place_view(ArrayCall(call.name, call.function, args, kwargs, [], False, ""), source)

    def _note_view(self, call: ArrayCall) -> None:
        view = self._view(call)
        if isinstance(view, Place):
            self._note(call.outputs[0][1], view.strides)
        elif view is None and call.name == "array.reshape":
            self._note(call.outputs[0][1], self._ordered_strides(call.outputs[0][1]))

    def _has_ordered_batch(self, value: int) -> bool:
        """Whether the matrices of an array lie one after the other: a product's then do, too."""
        place = self.place(value)
        return len(self._examples[value].shape) < 4 or (
            place is not None and has_ordered_batch(place)
        )

    def _note_result(self, call: ArrayCall, made: int) -> None:
        """Note the order of a result of arguments that do not all lie in C order."""
        if call.kwargs or is_product(call):
            return
        places: dict[int, Any] = {ref.value: self._assumed(ref.value) for ref in call.refs()}
        if None in places.values():
            return
        form = rebuild(
            (call.name, call.function, tuple(call.args)),
            lambda x: places[x.value]._replace(memory=0) if isinstance(x, Ref) else x,
        )
        try:
            strides = _result_strides(*form)
        except TypeError:  # an argument that has no hash
            return
        example = self._examples[made]
        if strides is not None and len(strides) == len(example.shape):
            self._note(made, strides)


@functools.lru_cache(256)
def _result_strides(
    name: str, function: Any, args: tuple[Any, ...]
) -> tuple[int, ...] | None:  # fmt: skip
    def stand_in(place: Any) -> Any:
        if not isinstance(place, Place):
            return place
        size = sum((n - 1) * s for n, s in zip(place.shape, place.strides))
        return np.ndarray(
            place.shape, place.dtype, np.zeros(size + place.dtype.itemsize, np.uint8), 0,
            place.strides,
        )  # fmt: skip

    def leaf(item: Any) -> Any:
        if isinstance(item, Place):
            return stand_in(item)
        return [leaf(x) for x in item] if type(item) in (list, tuple) else item

    with np.errstate(all="ignore"):
        made = function(*map(leaf, args))
    return made.strides if isinstance(made, np.ndarray) else None
