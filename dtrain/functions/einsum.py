"""`einsum`: a sum of products in Einstein's notation, made of diagonals, sums and matmul."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from dtrain.autograd import autocast_mode
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import promote
from dtrain.functions.autocast import autocasts
from dtrain.functions.diagonals import diagonal
from dtrain.functions.joining import broadcast_shapes
from dtrain.functions.operands import to
from dtrain.functions.products import matmul
from dtrain.functions.shapes import reshape

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@autocasts
def einsum(equation: Any, *operands: Any) -> Tensor:
    """A sum of products, such as "ij,jk->ik"; operands are taken from left to right (torch.einsum).

    A letter that is repeated in a term is a diagonal; `...` stands for dimensions that broadcast;
    without `->` the letters that occur once are kept, in alphabetical order.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists(equation, *operands)
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    if len({x.dtype for x in operands}) > 1 and not autocast_mode.get_mode().devices:
        raise RuntimeError(f"einsum: expected one dtype, got {[str(x.dtype) for x in operands]}")
    spelled, output = _parse(equation, tuple(tuple(x.shape) for x in operands))
    pairs = list(zip(spelled, operands))
    names, out = _tidy(*pairs[0], output, pairs[1:])
    for i, (other, x) in enumerate(pairs[1:], 2):
        kept = frozenset(output).union(*(n for n, _ in pairs[i:]))
        other, x = _tidy(other, x, names + output, pairs[i:])
        dtype = promote(out.dtype, x.dtype)  # sums of small integers are int64
        names, out = _contract(names, to(out, dtype), other, to(x, dtype), kept)
        names, out = _tidy(names, out, output, pairs[i:])
    if names == output and len(pairs) > 1:
        return out
    return out.permute([names.index(c) for c in output])


@functools.lru_cache(256)
def _parse(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[str, ...], str]:
    """The letters of each operand's dimensions and of the output's."""
    given, arrow, output = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise RuntimeError(f"einsum: {equation!r} has {len(terms)} terms, got {len(shapes)}")
    wide = max(len(_dots(t, shape, equation)) for t, shape in zip(terms, shapes))
    dots = [c for c in _LETTERS if c not in equation][:wide]  # letters for `...`
    spelled = tuple(_spelled(t, shape, dots, equation) for t, shape in zip(terms, shapes))
    if arrow:
        output = output.replace("...", "".join(dots))
    else:
        every = "".join(spelled)
        once = [c for c in every if every.count(c) == 1 and c not in dots]
        output = "".join(dots) + "".join(sorted(once))
    if set(output) - set("".join(spelled)) or len(set(output)) < len(output):
        raise RuntimeError(f"einsum: the output of {equation!r} must name each letter once")
    _check_sizes(spelled, shapes, equation)
    return spelled, output


def _from_lists(*mixed: Any) -> tuple[str, tuple[Tensor, ...]]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as an equation and its operands."""

    def spell(dims: Any) -> str:
        if not all(p is Ellipsis or 0 <= p < len(_LETTERS) for p in dims):
            raise ValueError(f"einsum: expected numbers from 0 to {len(_LETTERS) - 1}, got {dims}")
        return "".join("..." if p is Ellipsis else _LETTERS[p] for p in dims)

    count = len(mixed) // 2
    equation = ",".join(spell(mixed[2 * i + 1]) for i in range(count))
    if len(mixed) % 2:
        equation += "->" + spell(mixed[-1])
    return equation, mixed[0 : 2 * count : 2]


def _dots(term: str, shape: tuple[int, ...], equation: str) -> range:
    """How many dimensions `...` stands for."""
    named = len(term.replace("...", "", 1))
    if named > len(shape) or ("..." not in term and named != len(shape)):
        raise RuntimeError(f"einsum: {term!r} of {equation!r} does not fit shape {shape}")
    return range(len(shape) - named)


def _spelled(term: str, shape: tuple[int, ...], dots: list[str], equation: str) -> str:
    own = len(_dots(term, shape, equation))
    names = term.replace("...", "".join(dots[len(dots) - own :]), 1)
    if not all(c in _LETTERS for c in names):
        raise RuntimeError(f"einsum: expected letters, commas, '...' and '->', got {equation!r}")
    return names


def _check_sizes(
    spelled: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], equation: str
) -> None:
    sizes: dict[str, int] = {}
    for names, shape in zip(spelled, shapes):
        for name, size in zip(names, shape):
            try:
                (sizes[name],) = broadcast_shapes((sizes.get(name, 1),), (size,))
            except RuntimeError:
                raise RuntimeError(
                    f"einsum: {name!r} in {equation!r} is {sizes[name]} long and {size} long"
                ) from None


def _tidy(
    names: str, x: Tensor, needed: str, later: list[tuple[str, Tensor]]
) -> tuple[str, Tensor]:
    """Diagonals of repeated letters taken, and what is needed nowhere else summed."""
    for name in dict.fromkeys(names) if len(set(names)) < len(names) else ():
        while names.count(name) > 1:
            a = names.index(name)
            b = names.index(name, a + 1)
            if x.shape[a] != x.shape[b]:
                raise RuntimeError(f"einsum: {name!r} is repeated, with sizes {x.shape}")
            x = diagonal(x, 0, a, b)
            names = names[:a] + names[a + 1 : b] + names[b + 1 :] + name
    wanted = set(needed).union(*(n for n, _ in later))
    alone = [d for d, name in enumerate(names) if name not in wanted]
    if alone:
        x = x.sum(alone)
        names = "".join(name for name in names if name in wanted)
    return names, x


class _Factor(NamedTuple):
    """How an operand becomes a factor: the order of its dimensions, and then its shape."""

    order: tuple[int, ...]
    shape: tuple[int, ...]

    def arrange(self, x: Tensor) -> Tensor:
        is_ordered = self.order == tuple(range(len(self.order)))
        return _reshaped(x if is_ordered else x.permute(self.order), self.shape)


class _Layout(NamedTuple):
    """The factors of a product, and the letters and the shape of the result."""

    left: _Factor
    right: _Factor
    names: str
    shape: tuple[int, ...]
    sums: bool


@functools.lru_cache(256)
def _lay_out(
    names: str, shape: tuple[int, ...], other: str, other_shape: tuple[int, ...],
    kept: frozenset[str],
) -> _Layout:  # fmt: skip
    """The layout in which the sum over the shared letters that are not kept is a product of
    matrices."""
    size, other_size = dict(zip(names, shape)), dict(zip(other, other_shape))
    shared = [c for c in names if c in other]
    batch = [c for c in shared if c in kept or size[c] != other_size[c]]
    summed = [c for c in shared if c not in batch]
    left = [c for c in names if c not in other]
    right = [c for c in other if c not in names]

    def arranged(own: str, sizes: dict[str, int], groups: list[list[str]]) -> _Factor:
        lead = [sizes[c] for c in batch]
        rest = [math.prod(sizes[c] for c in group) for group in groups]
        order = tuple(own.index(c) for c in (*batch, *groups[0], *groups[1]))
        return _Factor(order, (*lead, *rest))

    one, two = arranged(names, size, [left, summed]), arranged(other, other_size, [summed, right])
    full = broadcast_shapes(one.shape[: len(batch)], two.shape[: len(batch)])
    result = (*full, *(size[c] for c in left), *(other_size[c] for c in right))
    return _Layout(one, two, "".join(batch + left + right), result, bool(summed))


def _contract(
    names: str, x: Tensor, other: str, y: Tensor, kept: frozenset[str]
) -> tuple[str, Tensor]:
    """The product of two operands, summed over the shared letters that are not kept."""
    how = _lay_out(names, tuple(x.shape), other, tuple(y.shape), kept)
    a, b = how.left.arrange(x), how.right.arrange(y)
    return how.names, _reshaped(matmul(a, b) if how.sums else a * b, how.shape)


def _reshaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else reshape(x, shape)
