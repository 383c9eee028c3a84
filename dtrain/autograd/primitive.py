"""`Primitive`: what the vjps of a primitive keep, found by the identity of their closure cells.

A vjp may keep an input or the output of its primitive, under any name. Autograd must know: a kept
value that is modified in place makes the gradient wrong, and for second derivatives the vjps run
again with the kept values linked to the graph. So at the first call, and at later ones as long as
another call may keep something else, the objects in the cells are compared with the inputs and the
output. A vjp that keeps another floating array makes the primitive `recomputed`: for second
derivatives it is run again on its inputs.
"""

from __future__ import annotations

import dis
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_inexact

#: The gradient of the output -> the gradient of one input (a vector-Jacobian product).
VJP: TypeAlias = Callable[..., Array]

#: What a primitive returns: its output, and one vjp for each positional argument.
OutputAndVJPs: TypeAlias = tuple[Array, Sequence[VJP]]

#: The place of the output among a primitive's values, and that of static arrays; inputs have
#: their index.
OUTPUT = -1
STATIC = -2


class Primitive:
    """A differentiable function of arrays, and what is known of its vjps.

    Parameters
    ----------
    function : takes arrays, returns the output and one vjp for each positional argument
    inputs : the names of the positional arguments; empty if it takes any number
    recomputed : for second derivatives it is run again, whatever its vjps keep
    adds : its vjps take a second argument, an array to which they add the gradient
    into_memory : the index of the input whose vjp takes a second argument, host memory in which it
        returns the gradient
    """

    def __init__(
        self, function: Callable[..., Any], inputs: Sequence[str] = (), recomputed: bool = False,
        adds: bool = False, into_memory: int | None = None,
    ):  # fmt: skip
        self.function = function
        self.name: str = function.__name__
        self.inputs: tuple[str, ...] = tuple(inputs)
        self.is_recomputed: bool = recomputed
        #: whether the output may share the memory of the first input
        self.is_view: bool = False
        self.adds: bool = adds
        self.into_memory: int | None = into_memory
        #: the inputs, by index, and the output, that some vjp keeps
        self.kept: set[int] = set()
        #: the same for each vjp, by its code
        self.kept_by: dict[CodeType, set[int]] = {}
        #: the place of what a variable of a vjp holds, by the code that names it
        self.places: dict[tuple[CodeType, str], int] = {}
        #: the vjps, by their codes, that need not be inspected again
        self._settled: set[tuple[CodeType, ...]] = set()
        self._inner = frozenset(_inner_codes(function.__code__))
        self._unseen = set(self._inner)

    @functools.cached_property
    def _static(self) -> set[str]:
        """The variables of vjps that hold a static argument in every call."""
        code = self.function.__code__
        inner = {name for code in self._inner for name in code.co_cellvars}
        return _keyword_only(code) - _reassigned(code) - inner

    def value_name(self, index: int) -> str:
        """The name of an input, or of the output, for messages."""
        if index == OUTPUT:
            return "output"
        return self.inputs[index] if self.inputs else f"input {index}"

    @property
    def is_settled(self) -> bool:
        """Whether every call keeps what `kept` says, so that none need be inspected."""
        return bool(self._settled) and not self._unseen

    def inspect(
        self,
        vjps: Iterable[Callable[..., Any]],
        inputs: Sequence[Any],
        out: Array,
        static: Iterable[Any],
    ) -> bool:
        """Note what these vjps keep; returns whether to run the primitive again instead."""
        vjps = tuple(vjps)
        codes = tuple([vjp.__code__ for vjp in vjps])
        if codes in self._settled:
            return self.is_recomputed
        values = [*inputs, out]
        constants = {id(array) for array in _arrays_in(static)}
        reassigned = _reassigned(self.function.__code__)
        settled, recomputed, reached = True, self.is_recomputed, set()
        for vjp, code in zip(vjps, codes):
            kept_by = self.kept_by.setdefault(code, set())
            for owner, name, value in _closure(vjp):
                reached.add(owner)
                settled = settled and name not in reassigned
                is_static = name in self._static and owner in self._inner
                if is_static and not _is_array(value):
                    self.places.setdefault((owner, name), STATIC)
                if name in self.inputs and value is values[self.inputs.index(name)]:
                    places = [self.inputs.index(name)]
                elif value is None:  # unless static, it may be an array in another call
                    settled = settled and is_static
                    continue
                elif not _is_array(value):
                    places = []
                else:
                    places = [i for i, other in enumerate(values) if other is value]
                    settled = settled and places in ([], [len(inputs)])
                    places = [OUTPUT if i == len(inputs) else i for i in places]
                    if not places and is_inexact_array(value) and id(value) in constants:
                        places = [STATIC]
                if len(places) == 1 and name:
                    if places[0] != STATIC:
                        kept_by.update(places)
                    known = self.places.setdefault((owner, name), places[0])
                    recomputed = recomputed or known != places[0]
                    continue
                for array in _arrays_in([value]):
                    sharing = [i for i, other in enumerate(values) if _share_memory(array, other)]
                    kept_by.update(OUTPUT if i == len(inputs) else i for i in sharing)
                    if is_inexact_array(array) and id(array) not in constants:
                        recomputed = True
            self.kept |= kept_by
        if settled:
            self._settled.add(codes)
            self._unseen -= _with_parents(reached.union(codes), self.function.__code__)
            self.is_recomputed = recomputed
        return recomputed

    def keeps(
        self, index: int, vjps: Iterable[Callable[..., Any]], inputs: Sequence[Any] | None
    ) -> bool:
        """Whether one of these vjps keeps the value; `inputs` are given where it is run again."""
        if inputs is not None and index != OUTPUT:
            values = [value for vjp in vjps for _, _, value in _closure(vjp)]
            return any(_share_memory(array, inputs[index]) for array in _arrays_in(values))
        return any(index in self.kept_by.get(vjp.__code__, ()) for vjp in vjps)

    def kept_name(self, vjps: Iterable[Callable[..., Any]], array: Array) -> str | None:
        """The name of the value that one of these vjps keeps and that shares memory with `array`;
        None if none does."""
        for vjp in vjps:
            for code, name, value in _closure(vjp):
                if any(_share_memory(array, other) for other in _arrays_in([value])):
                    place = self.places.get((code, name), STATIC)
                    return name if place == STATIC else self.value_name(place)
        return None


def _closure(function: Any) -> Iterator[tuple[CodeType, str, Any]]:
    """The variables that a function, and the functions it can call by its closure, keep.

    Each with the code that names it; without a name those that are kept as a default. A variable
    that this call has not assigned is None.
    """
    for each in reachable_functions([function]):
        if isinstance(each, functools.partial):
            yield _closure.__code__, "", (*each.args, *each.keywords.values())
            continue
        code = each.__code__
        yield code, "", (*(each.__defaults__ or ()), *(each.__kwdefaults__ or {}).values())
        for name, cell in zip(code.co_freevars, each.__closure__ or ()):
            value = cell_value(cell)
            if not isinstance(value, (FunctionType, functools.partial)):
                yield code, name, value


def reachable_functions(functions: Iterable[Any]) -> Iterator[FunctionType | functools.partial]:
    """Functions, and the functions that they can call by their closures, each once."""
    new, seen = list(functions), set()
    while new:
        function = new.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        if isinstance(function, functools.partial):
            yield function
            new.append(function.func)
        elif isinstance(function, FunctionType):
            yield function
            new += map(cell_value, function.__closure__ or ())


def cell_value(cell: CellType) -> Any:
    """What a variable of a closure holds; None if it is not assigned."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _arrays_in(values: Iterable[Any]) -> Iterator[Any]:
    """The arrays, and numbers of an array's type, in a structure of lists, tuples and dicts."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays_in(value)
        elif isinstance(value, dict):
            yield from _arrays_in(value.values())
        elif _is_array(value):
            yield value


def _is_array(value: Any) -> bool:
    """Whether this is an array, or a number of an array's type."""
    return (
        hasattr(value, "dtype") and hasattr(value, "ndim") and not isinstance(value, ModuleType)
    )  # numpy and cupy have functions of these names


def is_inexact_array(value: Any) -> bool:
    """Whether this is an array, or a number of an array's type, that could have a gradient."""
    return _is_array(value) and is_inexact(value.dtype)


def _share_memory(array: Any, other: Any) -> bool:
    if array is other:
        return True
    if not _is_array(other) or isinstance(array, np.generic):
        return False
    if isinstance(array, np.ndarray) != isinstance(other, np.ndarray):
        return False
    return bool(array_module(array).may_share_memory(array, other))


def _inner_codes(code: CodeType) -> Iterator[CodeType]:
    """The codes of the functions that are defined in a function, at any depth."""
    for constant in code.co_consts:
        # __annotate__: of a function's annotations, since Python 3.14
        if isinstance(constant, CodeType) and constant.co_name != "__annotate__":
            if constant.co_name == "<lambda>" or not constant.co_name.startswith("<"):
                yield constant  # rather than a comprehension
            yield from _inner_codes(constant)


def _with_parents(codes: set[CodeType], outermost: CodeType) -> set[CodeType]:
    """Those codes, and the codes that they are defined in."""
    return {c for c in _inner_codes(outermost) if c in codes or codes & set(_inner_codes(c))}


def _keyword_only(code: CodeType) -> set[str]:
    """The names of a function's keyword-only parameters."""
    first = code.co_argcount
    return set(code.co_varnames[first : first + code.co_kwonlyargcount])


@functools.cache
def _reassigned(code: CodeType) -> frozenset[str]:
    """The variables, used by inner functions, that are assigned twice: two calls may differ."""
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_DEREF":
            names.append(instruction.argval)
    return frozenset(name for name, count in Counter(names).items() if count > 1)
