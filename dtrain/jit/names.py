"""What a file of a program may name: functions, methods and attributes that compute, no others.

Programs in files are made of these names alone, so that loading and running one cannot touch
anything but tensors and numbers.
"""

from __future__ import annotations

import builtins
import functools
import math
import operator
import sys
from types import FunctionType
from typing import Any

import numpy as np

from dtrain import linalg, special
from dtrain.autograd import grad_mode
from dtrain.autograd.op import OPS
from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes
from dtrain.backend.size import Size
from dtrain.errors import CompileError
from dtrain.functions.operators import OPERATORS
from dtrain.functions.table import PUBLIC_FUNCTIONS
from dtrain.jit import calls, scripting
from dtrain.nn import functional
from dtrain.nn.module import Module


def _words(text: str) -> list[str]:
    return text.split()


_BUILTINS = _words(
    "abs all any bool dict enumerate float int isinstance len list max min pow print range "
    "reversed round set sorted str sum tuple zip ArithmeticError AssertionError IndexError "
    "KeyError NotImplementedError RuntimeError TypeError ValueError"
)

#: Attributes of Tensors that give away more than values, or call what they are given.
_NOT_OF_TENSORS = _words(
    "apply_ array data_ptr hooks map_ map2_ numpy register_hook "
    "register_post_accumulate_grad_hook share_memory_ storage untyped_storage"
)

#: Methods of lists, tuples, dicts and strings, and fields of named tuples.
_OF_CONTAINERS = _words(
    "append clear copy count endswith extend get index insert is_integer items join keys lower pop "
    "popitem remove replace reverse setdefault sort split startswith strip update upper "
    "H L LU P Q R S U V Vh eigenvalues eigenvectors hist bin_edges indices info logabsdet pivots "
    "residuals rank sign singular_values solution values training"
)

_UNSAFE_FUNCTIONS = {"from_file", "save", "load", "set_printoptions"}


@functools.cache
def functions() -> dict[str, Any]:
    """The functions, types and constants that a program may name, by a name of each."""
    found: dict[str, Any] = {f"builtins.{name}": getattr(builtins, name) for name in _BUILTINS}
    found["Tensor"] = Tensor
    found["jit.is_scripting"] = _true
    found["Size"] = Size
    for name in ("no_grad", "enable_grad", "set_grad_enabled", "inference_mode"):
        found[name] = getattr(grad_mode, name)
    found |= dict(PUBLIC_FUNCTIONS)
    for name, value in vars(dtypes).items():
        if isinstance(value, np.dtype):
            found[f"dtypes.{name}"] = value
    spaces = {"nn.functional": functional, "linalg": linalg, "special": special, "math": math}
    for space, module in spaces.items():
        for name, value in vars(module).items():
            if callable(value) and not name.startswith("_") and not isinstance(value, type):
                found[f"{space}.{name}"] = value
    return {name: value for name, value in found.items() if name not in _UNSAFE_FUNCTIONS}


def _true() -> bool:
    """What `jit.is_scripting` is in programs of files."""
    return True


@functools.cache
def _names_by_id() -> dict[int, str]:
    names: dict[int, str] = {id(scripting.is_scripting): "jit.is_scripting"}
    for name, value in functions().items():
        names.setdefault(id(value), name)
    for name in PUBLIC_FUNCTIONS:  # dtrain's own name of a function may be bound anew
        value = getattr(sys.modules["dtrain"], name, None)
        names.setdefault(id(value), name)
    return names


def name_of(value: Any) -> str | None:
    """The name of a function, type or dtype; None if it has none."""
    return _names_by_id().get(id(value))


def find_function(name: str) -> Any:
    """What a name of `functions` stands for."""
    try:
        return functions()[name]
    except KeyError:
        raise CompileError(
            f"load: the file names {name!r}, which is no function of dtrain"
        ) from None


@functools.cache
def attribute_names() -> frozenset[str]:
    """The attributes that any program may read."""
    of_tensors = {name for name in dir(Tensor) if not name.startswith("_")}
    return frozenset(of_tensors.difference(_NOT_OF_TENSORS).union(_OF_CONTAINERS))


def class_name(kind: type) -> str:
    """The name of a class in files."""
    return f"{kind.__module__}.{kind.__qualname__}"


def module_classes() -> dict[str, type[Module]]:
    """dtrain's own layers and models by name."""
    found: dict[str, type[Module]] = {}
    new: list[type[Module]] = [Module]
    while new:
        kind = new.pop()
        new += kind.__subclasses__()
        if kind.__module__.startswith(("dtrain.nn.", "dtrain.models.")):
            found[class_name(kind)] = kind
    return found


#: Functions of NumPy that graphs may call on arrays; ufuncs may be called, too.
_ARRAY_FUNCTIONS = _words(
    "all amax amin any arange argmax argmin argsort argwhere array array_equal asarray "
    "ascontiguousarray average bincount broadcast_to clip column_stack concatenate copy copyto "
    "count_nonzero cumprod cumsum diag diagonal diff dot einsum empty_like expand_dims "
    "flatnonzero flip full_like histogram interp isin lexsort matmul max mean median min "
    "moveaxis nonzero ones_like pad partition prod put put_along_axis putmask quantile ravel "
    "repeat reshape roll searchsorted sort split squeeze stack std sum swapaxes take "
    "take_along_axis tensordot tile trace transpose tril triu unique var vstack where "
    "zeros_like"
)
_ARRAY_METHODS = _words(
    "T all any argmax argmin argpartition argsort astype clip copy cumprod cumsum diagonal dot "
    "fill flatten getitem imag item max mean min nonzero partition prod put ravel real repeat "
    "reshape round searchsorted setitem sort squeeze std sum swapaxes take tolist trace transpose "
    "var view"
)
#: ``+=`` and the like, on Tensors.
_INPLACE_OPERATORS = {f"__i{name[2:]}" for name in OPERATORS} & OPERATORS.keys()
_OPERATORS = _words("abs add eq floordiv ge gt le lt mod mul ne neg pos pow sub truediv")


def find_call(name: str) -> Any:
    """What a call of a recorded graph with this name in a file calls.

    Raises
    ------
    CompileError
        If no graph of dtrain's has calls of this name.
    """
    space, _, short = name.rpartition(".")
    if not space and name in OPS:
        return OPS[name]
    if name in calls.BY_NAME:
        return calls.BY_NAME[name]
    is_inplace = not space and name.endswith("_") and not name.startswith("_")
    if (is_inplace and name not in _NOT_OF_TENSORS) or name in _INPLACE_OPERATORS:
        method = getattr(Tensor, name, None)
        if isinstance(method, FunctionType):
            return method
    if space == "operator" and short in _OPERATORS:
        return getattr(operator, short)
    if space == "array" and short in _ARRAY_METHODS:
        return calls.array_call(short)
    ufunc, _, way = name.removeprefix("numpy.").partition(".")
    found = getattr(np, ufunc, None)
    if name.startswith("numpy.") and isinstance(found, np.ufunc):
        if way in ("reduce", "accumulate", "at", "outer", "reduceat"):
            return getattr(found, way)
        if not way:
            return found
    if space == "numpy" and short in _ARRAY_FUNCTIONS:
        return getattr(np, short)
    if space == "numpy.linalg" and short in ("det", "inv", "norm", "slogdet", "svd", "eigh"):
        return getattr(np.linalg, short)
    raise CompileError(f"{name} has no form in files of graphs")
