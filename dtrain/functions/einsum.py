"""`einsum`: a sum of products in Einstein's notation, made of diagonals, sums and matmul."""

from __future__ import annotations

import math
from typing import Any

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
    given, arrow, output = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {equation!r} has {len(terms)} terms, got {len(operands)}")
    if len({x.dtype for x in operands}) > 1 and not autocast_mode.get_mode().devices:
        raise RuntimeError(f"einsum: expected one dtype, got {[str(x.dtype) for x in operands]}")
    wide = max(len(_dots(t, x, equation)) for t, x in zip(terms, operands))
    dots = [c for c in _LETTERS if c not in equation][:wide]  # letters for `...`
    pairs = [(_spelled(t, x, dots, equation), x) for t, x in zip(terms, operands)]
    if arrow:
        output = output.replace("...", "".join(dots))
    else:
        every = "".join(names for names, _ in pairs)
        once = [c for c in every if every.count(c) == 1 and c not in dots]
        output = "".join(dots) + "".join(sorted(once))
    unknown = set(output) - {c for names, _ in pairs for c in names}
    if unknown or len(set(output)) < len(output):
        raise RuntimeError(f"einsum: the output of {equation!r} must name each letter once")
    _check_sizes(pairs, equation)
    names, out = _tidy(*pairs[0], output, pairs[1:])
    for i, (other, x) in enumerate(pairs[1:], 2):
        kept = set(output).union(*(n for n, _ in pairs[i:]))
        other, x = _tidy(other, x, names + output, pairs[i:])
        dtype = promote(out.dtype, x.dtype)  # sums of small integers are int64
        names, out = _contract(names, to(out, dtype), other, to(x, dtype), kept)
        names, out = _tidy(names, out, output, pairs[i:])
    return out.permute([names.index(c) for c in output])


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


def _dots(term: str, x: Tensor, equation: str) -> range:
    """How many dimensions `...` stands for."""
    named = len(term.replace("...", "", 1))
    if named > x.ndim or ("..." not in term and named != x.ndim):
        raise RuntimeError(f"einsum: {term!r} of {equation!r} does not fit shape {x.shape}")
    return range(x.ndim - named)


def _spelled(term: str, x: Tensor, dots: list[str], equation: str) -> str:
    own = len(_dots(term, x, equation))
    names = term.replace("...", "".join(dots[len(dots) - own :]), 1)
    if not all(c in _LETTERS for c in names):
        raise RuntimeError(f"einsum: expected letters, commas, '...' and '->', got {equation!r}")
    return names


def _check_sizes(pairs: list[tuple[str, Tensor]], equation: str) -> None:
    sizes: dict[str, int] = {}
    for names, x in pairs:
        for name, size in zip(names, x.shape):
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
    for name in dict.fromkeys(names):
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


def _contract(names: str, x: Tensor, other: str, y: Tensor, kept: set[str]) -> tuple[str, Tensor]:
    """The product of two operands, summed over the shared letters that are not kept."""
    shared = [c for c in names if c in other]
    one = {c for c in shared if x.shape[names.index(c)] != y.shape[other.index(c)]}
    batch = [c for c in shared if c in kept or c in one]
    summed = [c for c in shared if c not in batch]
    left = [c for c in names if c not in other]
    right = [c for c in other if c not in names]

    def arranged(own: str, z: Tensor, order: list[list[str]]) -> Tensor:
        z = z.permute([own.index(c) for group in order for c in group])
        lead = z.shape[: len(batch)]
        rest = [math.prod(z.shape[i] for i in _run(order, k)) for k in (1, 2)]
        return reshape(z, *lead, *rest)

    a, b = arranged(names, x, [batch, left, summed]), arranged(other, y, [batch, summed, right])
    full = broadcast_shapes(a.shape[: len(batch)], b.shape[: len(batch)])
    lengths = [x.shape[names.index(c)] for c in left] + [y.shape[other.index(c)] for c in right]
    product = matmul(a, b) if summed else a * b
    return "".join(batch + left + right), reshape(product, *full, *lengths)


def _run(order: list[list[str]], k: int) -> range:
    """Where the k-th group of dimensions lies."""
    start = sum(len(group) for group in order[:k])
    return range(start, start + len(order[k]))
