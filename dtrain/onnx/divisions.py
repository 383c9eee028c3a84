"""Divisions of dynamic sizes, with a warning of each line whose result was the same for all sizes
that were tried: with other sizes it may be another, and the file has the one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from dtrain.jit.places import find_place
from dtrain.jit.tracer_warning import warn_of_places

#: The divisions in the order of their execution: (file and line, exact quotient, dividend, result).
Divided: TypeAlias = list[tuple[str, Any, Any, Any]]

#: Functions that round a quotient.
ROUNDING = (int, round, math.floor, math.ceil, math.trunc)

#: The operators of Python's that round one.
DIVIDING: dict[str, Callable[[Any, Any], Any]] = {
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "RShift": operator.rshift,
}  # fmt: skip


class Divisions:
    """The divisions of numbers in functions that call this."""

    def __init__(self) -> None:
        self.divided: Divided = []

    def divide(self, kind: str, first: Any, second: Any) -> Any:
        """``first // second``, ``first % second``, ``first >> second``."""
        result = DIVIDING[kind](first, second)
        if type(first) is type(second) is int:
            quotient = Fraction(first, 1 << second if kind == "RShift" else second)
            self.divided.append((find_place(), quotient, first, result))
        return result

    def divisor(self, kind: str, first: Any, second: Any) -> Any:
        """The second number, of ``first //= second``."""
        if type(first) is type(second) is int:
            self.divide(kind, first, second)
        return second

    def note_rounding(self, function: Any, args: Sequence[Any], result: Any) -> None:
        """Note a call of a function that rounds a number."""
        if function in ROUNDING and len(args) == 1 and type(args[0]) is float:
            self.divided.append((find_place(), args[0], args[0], result))


def warn_of_divisions(divided: Sequence[Divided]) -> None:
    """Warn of divisions of dynamic sizes that had one result, or left all that was divided, in all
    recordings."""
    places = []
    for rows in zip(*divided):
        first_places, quotients, dividends, results = zip(*rows)
        is_dynamic = len(set(first_places)) == 1 and len(set(quotients)) > 1
        is_exact = all(quotient == int(quotient) for quotient in quotients)
        if is_dynamic and not is_exact and (len(set(results)) == 1 or results == dividends):
            places.append(first_places[0])
    warn_of_places(
        "onnx.export",
        places,
        "a dynamic size is divided, and the sizes that were tried have one result; the file has "
        "that, and may be wrong for other sizes",
    )
