"""Assertions about tensors, and tensors to test with (torch.testing)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import to_host
from dtrain.backend.dtypes import DTypeLike, complex64, is_complex, is_floating, is_inexact
from dtrain.functions import creation

__all__ = ["assert_close", "make_tensor"]

_Path = tuple[Any, ...]

#: rtol and atol by dtype; 0 and 0 for the others.
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert that values are equal within tolerances (torch.testing.assert_close).

    |actual - expected| <= atol + rtol |expected|, for each element.

    Parameters
    ----------
    actual, expected : tensors, arrays, numbers, None, or sequences and mappings of these
    allow_subclasses : whether two different classes of tensors may be compared
    rtol, atol : the tolerances, both or none; default: those of the dtype, 0 for integers
    equal_nan : whether NaN is equal to NaN
    check_device, check_dtype, check_stride : whether these have to be the same, too
    check_layout : without effect: tensors have one layout
    msg : the message of the error, or a function that makes it of the ordinary one

    Raises
    ------
    AssertionError
        If values are not close; names how many, and the greatest differences.
    ValueError
        If only one of the tolerances is given.

    Examples
    --------
    >>> import dtrain
    >>> assert_close(dtrain.tensor([1.0, 2.0]), dtrain.tensor([1.0, 2.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        given, missing = ("rtol", "atol") if atol is None else ("atol", "rtol")
        raise ValueError(
            f"assert_close: expected both tolerances or none, got {given}, no {missing}"
        )
    compare = _Comparison(
        allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_stride
    )
    problem = compare.find_problem(actual, expected, ())
    if problem is not None:
        raise AssertionError(problem if msg is None else msg(problem) if callable(msg) else msg)


class _Comparison:
    """One call of assert_close; its methods return what is wrong, or None."""

    def __init__(
        self,
        allow_subclasses: bool,
        rtol: float | None,
        atol: float | None,
        equal_nan: bool,
        check_device: bool,
        check_dtype: bool,
        check_stride: bool,
    ):
        self._allow_subclasses, self._rtol, self._atol = allow_subclasses, rtol, atol
        self._equal_nan = equal_nan
        checks = (("device", check_device), ("dtype", check_dtype), ("stride", check_stride))
        self._checked = ["shape", *(name for name, wanted in checks if wanted)]

    def find_problem(self, actual: Any, expected: Any, path: _Path) -> str | None:
        """What is wrong with two values, at a place in the containers around them."""
        if isinstance(actual, Mapping) and isinstance(expected, Mapping):
            return self._compare_mappings(actual, expected, path)
        if _is_sequence(actual) and _is_sequence(expected):
            if len(actual) != len(expected):
                return _at(path, f"The lengths do not match: {len(actual)} != {len(expected)}")
            pairs = ((i, *pair) for i, pair in enumerate(zip(actual, expected)))
            problems = (self.find_problem(a, b, (*path, i)) for i, a, b in pairs)
            return next((problem for problem in problems if problem), None)
        problem = self._compare_leaves(actual, expected)
        return None if problem is None else _at(path, problem)

    def _compare_mappings(self, actual: Any, expected: Any, path: _Path) -> str | None:
        missing, more = expected.keys() - actual.keys(), actual.keys() - expected.keys()
        if missing or more:
            return _at(
                path,
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
                f"Additional keys in the actual mapping: {sorted(more, key=str)}",
            )
        problems = (self.find_problem(actual[k], expected[k], (*path, k)) for k in expected)
        return next((problem for problem in problems if problem), None)

    def _compare_leaves(self, actual: Any, expected: Any) -> str | None:
        if actual is None or expected is None:
            same = actual is expected
            return None if same else f"None mismatch: {actual} is not {expected}"
        kinds = (Tensor, np.ndarray) if not _is_number(actual) else ()
        for kind in kinds:
            if isinstance(actual, kind) and isinstance(expected, kind):
                if not self._allow_subclasses and type(actual) is not type(expected):
                    return f"The types do not match: {type(actual)} != {type(expected)}"
                return self._compare_tensors(_as_tensor(actual), _as_tensor(expected))
        if _is_number(actual) and _is_number(expected):
            if "dtype" in self._checked and type(actual) is not type(expected):
                return f"The (d)types do not match: {type(actual)} != {type(expected)}."
            dtypes = ["float64" if isinstance(n, float) else "int" for n in (actual, expected)]
            return self._compare_arrays(np.asarray(actual), np.asarray(expected), dtypes)
        raise TypeError(
            "assert_close: expected two tensors, arrays, numbers or containers of them, got "
            f"{type(actual).__name__} and {type(expected).__name__}"
        )

    def _compare_tensors(self, actual: Tensor, expected: Tensor) -> str | None:
        for name in self._checked:
            own, other = getattr(actual, name), getattr(expected, name)
            if name == "stride":
                own, other = own(), other()
            if own != other:
                return f"The values for attribute {name!r} do not match: {own} != {other}."
        a, b = (to_host(x.detach().array) for x in (actual, expected))
        return self._compare_arrays(a, b, [str(x.dtype) for x in (actual, expected)])

    def _compare_arrays(
        self, actual: np.ndarray, expected: np.ndarray, dtypes: list[str]
    ) -> str | None:
        defaults = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
        rtol = max(d[0] for d in defaults) if self._rtol is None else self._rtol
        atol = max(d[1] for d in defaults) if self._atol is None else self._atol
        a, b = _widen(actual), _widen(expected)
        with np.errstate(all="ignore"):
            difference = np.abs(a - b)
            close = (a == b) | (np.isfinite(difference) & (difference <= atol + rtol * np.abs(b)))
            if self._equal_nan:
                close |= np.isnan(a) & np.isnan(b)
            if close.all():
                return None
            difference = np.where(close & ~np.isfinite(difference), 0, difference)
            relative = np.where(difference == 0, 0, difference / np.abs(b))
        word = "equal" if rtol == atol == 0 else "close"
        kept = difference.max().item(), float(relative.max())
        allowed = ["" if word == "equal" else f" (up to {tol} allowed)" for tol in (atol, rtol)]
        if not a.ndim:
            return (
                f"Scalars are not {word}!\n\nExpected {expected} but got {actual}.\n"
                f"Absolute difference: {kept[0]}{allowed[0]}\n"
                f"Relative difference: {kept[1]}{allowed[1]}"
            )
        wrong = int((~close).sum())
        places = [_index_of_greatest(x) for x in (difference, relative)]
        return (
            f"Tensor-likes are not {word}!\n\n"
            f"Mismatched elements: {wrong} / {a.size} ({100 * wrong / a.size:.1f}%)\n"
            f"Greatest absolute difference: {kept[0]} at index {places[0]}{allowed[0]}\n"
            f"Greatest relative difference: {kept[1]} at index {places[1]}{allowed[1]}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, np.number, np.bool_))


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(value)


def _widen(array: np.ndarray) -> np.ndarray:
    """The array in a type that holds all differences of its values."""
    if is_complex(array.dtype):
        return array.astype(np.complex128)
    return array.astype(np.float64 if is_floating(array.dtype) else np.int64)


def _index_of_greatest(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(values.argmax()), values.shape))


def _at(path: _Path, problem: str) -> str:
    where = "".join(f"[{key!r}]" for key in path)
    return f"{problem}\n\nThe failure occurred for item {where}" if path else problem


def make_tensor(
    *shape: Any,
    dtype: DTypeLike,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Random numbers to test with, uniform in [low, high) (torch.testing.make_tensor).

    Default: -9 to 9 for floats and both parts of complex numbers, -9 to 10 for integers (0 to 10
    for uint8), both bools.
    `noncontiguous` leaves a gap between elements, `exclude_zero` puts 1 in place of 0.

    >>> make_tensor(2, 3, dtype="int64", device="cpu").shape
    dtrain.Size([2, 3])
    """
    kind = np.dtype(dtype)
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    stored = (*sizes[:-1], 2 * sizes[-1]) if noncontiguous and sizes else sizes
    if is_inexact(kind):
        lowest, highest = (-9 if low is None else low), (9 if high is None else high)
        drawn = creation.rand(stored, dtype=complex64 if is_complex(kind) else None, device=device)
        made = drawn * (highest - lowest) + (
            complex(lowest, lowest) if is_complex(kind) else lowest
        )
    else:
        unsigned = kind.kind in "bu"
        lowest = (0 if unsigned else -9) if low is None else low
        highest = (2 if kind.kind == "b" else 10) if high is None else high
        made = creation.randint(int(lowest), int(highest), stored, device=device)
    made = made.to(kind)
    if exclude_zero:
        made = made.masked_fill(made == 0, 1)
    if noncontiguous and sizes:
        made = made[..., ::2]
    return made.requires_grad_() if requires_grad else made
