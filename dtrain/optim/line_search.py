"""A line search for the strong Wolfe conditions (Nocedal and Wright, section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from dtrain.autograd import Tensor

#: How much of the promised descent is enough, and how much of the slope may be left.
_DESCENT, _SLOPE = 1e-4, 0.9
_MOST_CALLS = 25
_SMALLEST_CHANGE = 1e-9


class Point(NamedTuple):
    """A place on the line: the length of the way, and what the loss does there."""

    length: float
    loss: float
    grad: Tensor
    slope: float  # of the loss along the line


def search_strong_wolfe(
    measure: Callable[[float], Point], start: Point, length: float, largest: float
) -> tuple[Point, int]:
    """A point of enough descent and little slope, and how often `measure` was called.

    Parameters
    ----------
    measure : gives the point of a length
    start : the point of length 0
    length : the length to try first
    largest : the largest element of the direction
    """
    new, previous = measure(length), start
    calls, tries = 1, 0
    while tries < _MOST_CALLS:  # until two points bracket a good one
        if _is_too_high(new, start) or (tries > 1 and new.loss >= previous.loss):
            break
        if abs(new.slope) <= -_SLOPE * start.slope:
            return new, calls
        if new.slope >= 0:
            break
        bounds = new.length + 0.01 * (new.length - previous.length), new.length * 10
        longer = _cubic_minimum(previous, new, bounds)
        previous, new = new, measure(longer)
        calls, tries = calls + 1, tries + 1
    else:
        previous = start
    low, high = (previous, new) if previous.loss <= new.loss else (new, previous)
    stalled = False
    while tries < _MOST_CALLS and abs(high.length - low.length) * largest >= _SMALLEST_CHANGE:
        length, stalled = _choose_within(low, high, stalled)
        new = measure(length)
        calls, tries = calls + 1, tries + 1
        if _is_too_high(new, start) or new.loss >= low.loss:
            high = new
            continue
        if abs(new.slope) <= -_SLOPE * start.slope:
            return new, calls
        if new.slope * (high.length - low.length) >= 0:
            high = low
        low = new
    return low, calls


def _is_too_high(new: Point, start: Point) -> bool:
    return new.loss > start.loss + _DESCENT * new.length * start.slope


def _choose_within(low: Point, high: Point, stalled: bool) -> tuple[float, bool]:
    """A length between two points, and whether it lies close to one of them.

    The second time in a row that it would, it is moved a tenth of the way inwards.
    """
    left, right = sorted((low.length, high.length))
    length = _cubic_minimum(low, high, (left, right))
    margin = 0.1 * (right - left)
    if min(right - length, length - left) >= margin:
        return length, False
    if not stalled and left < length < right:
        return length, True
    near_right = abs(length - right) < abs(length - left)
    return (right - margin if near_right else left + margin), False


def _cubic_minimum(one: Point, other: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through two points with their slopes has its minimum, within the bounds."""
    left, right = (one, other) if one.length <= other.length else (other, one)
    low, high = bounds
    secant = 3 * (left.loss - right.loss) / (left.length - right.length)
    first = left.slope + right.slope - secant
    square = first * first - left.slope * right.slope
    if not square >= 0:  # NaN, too
        return (low + high) / 2
    root = math.sqrt(square)
    divisor = right.slope - left.slope + 2 * root
    if divisor == 0:  # a straight line
        return high if right.slope < 0 else low
    part = (right.slope + root - first) / divisor
    return min(max(right.length - (right.length - left.length) * part, low), high)
