"""The rows of the table for other sizes, columns of windows, and grids: references by the element."""

from __future__ import annotations

import itertools
import math

import numpy as np

from tests.cases.case import Case
from tests.cases.images import function, windows

# --- interpolate ---


def tent(x):
    return max(1 - abs(x), 0)


def cubic(a):
    """Keys 1981, equation 15."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    return kernel


def lanczos(x):
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0


def center(i, n, o, align, scale):
    """Where the element i of o is among n."""
    if align:
        return i * (n - 1) / (o - 1) if o > 1 else 0.0
    return (i + 0.5) * (1 / scale if scale else n / o) - 0.5


def resizing(kernel, reach, align=False, scale=None, smooth=False):
    """A matrix (o, n): a kernel about the place of each element, outside of which is the edge.

    With `smooth` the kernel is as wide as elements of the output are, and weights sum to 1.
    """

    def matrix(n, o):
        out = np.zeros((o, n))
        wide = max(n / o, 1) if smooth else 1
        for i in range(o):
            x = center(i, n, o, align, scale)
            x = x if smooth or kernel is not tent else max(x, 0)
            for j in range(math.floor(x - reach * wide), math.ceil(x + reach * wide) + 1):
                if not smooth:
                    out[i, min(max(j, 0), n - 1)] += kernel(x - j)
                elif 0 <= j < n:
                    out[i, j] += kernel((x - j) / wide)
        return out / out.sum(1, keepdims=True) if smooth else out

    return matrix


def nearest(exact=False, scale=None):
    def matrix(n, o):
        step = 1 / scale if scale else n / o
        places = [min(math.floor((i + 0.5 * exact) * step), n - 1) for i in range(o)]
        return np.eye(n)[places]

    return matrix


def resized(matrix, size):
    def reference(x):
        for axis, o in enumerate(size, 2):
            x = np.moveaxis(np.tensordot(matrix(x.shape[axis], o), x, (1, axis)), 0, axis)
        return x

    return reference


def resize(label, shape, size, matrix, **options):
    how = options if "scale_factor" in options else {"size": size, **options}
    return Case(
        "F.interpolate",
        [[shape]],
        resized(matrix, size),
        lambda t, x: t.nn.functional.interpolate(x, **how),
        label,
    )


LINE, IMAGE, VOLUME = (2, 1, 5), (1, 2, 4, 5), (1, 1, 2, 3, 4)
SIZES = [
    resize("nearest", IMAGE, (7, 3), nearest()),
    resize("nearest factor", LINE, (8,), nearest(scale=1.7), scale_factor=1.7),
    resize("nearest exact", IMAGE, (6, 3), nearest(True), mode="nearest-exact"),
    resize("nearest volume", VOLUME, (3, 2, 8), nearest()),
    resize("linear", LINE, (8,), resizing(tent, 1), mode="linear"),
    resize("bilinear", IMAGE, (9, 3), resizing(tent, 1), mode="bilinear"),
    resize(
        "bilinear corners", IMAGE, (7, 1), resizing(tent, 1, True), mode="bilinear",
        align_corners=True,
    ),
    resize(
        "bilinear factor", IMAGE, (6, 7), resizing(tent, 1, scale=1.5), mode="bilinear",
        scale_factor=1.5,
    ),
    resize(
        "bilinear factor again", IMAGE, (6, 7), resizing(tent, 1), mode="bilinear",
        scale_factor=1.5, recompute_scale_factor=True,
    ),
    resize("trilinear", VOLUME, (3, 3, 2), resizing(tent, 1), mode="trilinear"),
    resize("bicubic", IMAGE, (6, 3), resizing(cubic(-0.75), 2), mode="bicubic"),
    resize(
        "bicubic corners", IMAGE, (6, 3), resizing(cubic(-0.75), 2, True), mode="bicubic",
        align_corners=True,
    ),
    resize(
        "bilinear smooth", IMAGE, (2, 7), resizing(tent, 1, smooth=True), mode="bilinear",
        antialias=True,
    ),
    resize(
        "bicubic smooth", IMAGE, (3, 2), resizing(cubic(-0.5), 2, smooth=True), mode="bicubic",
        antialias=True,
    ),
    resize(
        "lanczos", IMAGE, (3, 2), resizing(lanczos, 3, smooth=True), mode="lanczos",
        antialias=True,
    ),
    Case(
        "F.interpolate",
        [[(1, 2, 4, 6)]],
        lambda x: x.reshape(1, 2, 2, 2, 3, 2).mean((3, 5)),
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=0.5, mode="area"),
        "area",
    ),
    Case(
        "F.upsample",
        [[LINE]],
        resized(nearest(), (10,)),
        lambda t, x: t.nn.functional.upsample(x, scale_factor=2),
    ),
    Case(
        "F.upsample_nearest",
        [[IMAGE]],
        resized(nearest(), (8, 10)),
        lambda t, x: t.nn.functional.upsample_nearest(x, scale_factor=2),
    ),
    Case(
        "F.upsample_bilinear",
        [[IMAGE]],
        resized(resizing(tent, 1, True), (6, 7)),
        lambda t, x: t.nn.functional.upsample_bilinear(x, (6, 7)),
    ),
]  # fmt: skip

# --- fold, unfold ---


def unfold(x, kernel, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    seen = windows(x, kernel, stride, padding, dilation)
    n, c, h, w = seen.shape[:4]
    return seen.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kernel[0] * kernel[1], h * w)


def fold(x, size, kernel, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    """Each place of an image of places is where the columns of `unfold` have it."""
    n, rows = x.shape[:2]
    c = rows // (kernel[0] * kernel[1])
    places = np.arange(1, 1 + c * size[0] * size[1], dtype=float).reshape(1, c, *size)
    columns = unfold(places, kernel, dilation, padding, stride)[0].astype(int)
    out = np.zeros((n, 1 + c * size[0] * size[1]))  # the first is for the padding
    for i in range(n):
        np.add.at(out[i], columns, x[i])
    return out[:, 1:].reshape(n, c, *size)


def columns(name, label, shape, reference, *args, **options):
    call = function(name)
    return Case(
        f"F.{name}",
        [[shape]],
        lambda x: reference(x, *args, **options),
        lambda t, x: call(t)(x, *args, **options),
        label,
    )


HOW = {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
COLUMNS = [
    columns("unfold", "", (2, 2, 3, 4), unfold, (2, 3)),
    columns("unfold", "options", (1, 2, 4, 5), unfold, (3, 2), **HOW),
    columns("unfold", "empty batch", (0, 2, 3, 4), unfold, (2, 2)),
    columns("unfold", "3-d", (2, 3, 4), lambda x, k: unfold(x[None], k)[0], (2, 2)),
    columns("fold", "", (2, 12, 4), fold, (3, 4), (2, 3)),
    columns("fold", "options", (1, 12, 14), fold, (4, 5), (3, 2), **HOW),
    columns("fold", "2-d", (4, 6), lambda x, *how: fold(x[None], *how)[0], (3, 4), (2, 2)),
]

# --- grids ---


def reflected(x, low, high):
    """x mirrored at the two ends until it is between them."""
    if low == high:
        return 0.0
    while not low <= x <= high:
        x = 2 * low - x if x < low else 2 * high - x
    return x


def bounded(x, n, padding, align):
    if padding == "reflection":
        x = reflected(x, 0, n - 1) if align else reflected(x, -0.5, n - 0.5)
    return x if padding == "zeros" else min(max(x, 0), n - 1)


def sampled(x, grid, mode="bilinear", padding="zeros", align=False):
    """The formula of each element by itself."""
    size, axes = x.shape[2:], x.ndim - 2
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n, *place in np.ndindex(grid.shape[:-1]):
        taps = []
        for m, at in zip(size, grid[(n, *place)][::-1]):
            at = (at + 1) * (m - 1) / 2 if align else ((at + 1) * m - 1) / 2
            if mode == "bicubic":
                first = math.floor(at)
                weights = [cubic(-0.75)(at - first - i) for i in (-1, 0, 1, 2)]
                taps.append(
                    [(int(bounded(first + i, m, padding, align)), w)
                     for i, w in zip((-1, 0, 1, 2), weights)]
                )  # fmt: skip
                continue
            at = bounded(at, m, padding, align)
            first = math.floor(at)
            near = [(round(at), 1.0)]
            pair = [(first, 1 - at + first), (first + 1, at - first)]
            taps.append(near if mode == "nearest" else pair)
        assert len(taps) == axes
        for corner in itertools.product(*taps):
            if all(0 <= i < m for (i, _), m in zip(corner, size)):
                weight = math.prod(w for _, w in corner)
                out[(n, slice(None), *place)] += (
                    x[(n, slice(None), *(i for i, _ in corner))] * weight
                )
    return out


def grid(label, *shapes, **options):
    names = {"padding": "padding_mode", "align": "align_corners"}
    how = {names.get(name, name): value for name, value in options.items()}
    return Case(
        "F.grid_sample",
        [shapes],
        lambda x, g: sampled(x, g, **options),
        lambda t, x, g: t.nn.functional.grid_sample(x, g, **{"align_corners": False, **how}),
        label,
        low=-1.7,
        high=1.7,
    )


PLANE = (2, 2, 4, 3), (2, 2, 3, 2)
SPACE = (1, 2, 2, 3, 3), (1, 1, 2, 3, 3)
PLACES = np.random.default_rng(3).uniform(-1.5, 1.5, (2, 2, 3, 2))


def affine(theta, size, align):
    ends = [np.linspace(-1, 1, n) * (1 if align else (n - 1) / n) for n in size]
    places = np.stack([*np.meshgrid(*ends, indexing="ij")][::-1], -1)
    ones = np.ones((*size, 1))
    return np.einsum("...j,nij->n...i", np.concatenate([places, ones], -1), theta)


GRIDS = [
    grid("", *PLANE),
    grid("corners", *PLANE, align=True),
    grid("border", *PLANE, padding="border"),
    grid("reflection", *PLANE, padding="reflection"),
    grid("reflection corners", *PLANE, padding="reflection", align=True),
    grid("volume", *SPACE),
    grid("volume reflection", *SPACE, padding="reflection"),
    grid("bicubic", *PLANE, mode="bicubic"),
    grid("bicubic border", *PLANE, mode="bicubic", padding="border", align=True),
    grid("bicubic reflection", *PLANE, mode="bicubic", padding="reflection"),
    Case(
        "F.grid_sample",
        [[(2, 2, 4, 3)]],
        lambda x: sampled(x, PLACES, "nearest", "border"),
        lambda t, x: t.nn.functional.grid_sample(
            x, t.tensor(PLACES, dtype=x.dtype), "nearest", "border", align_corners=False
        ),
        "nearest",
    ),
    Case(
        "F.affine_grid",
        [[(2, 2, 3)]],
        lambda theta: affine(theta, (3, 2), False),
        lambda t, theta: t.nn.functional.affine_grid(theta, (2, 1, 3, 2), align_corners=False),
    ),
    Case(
        "F.affine_grid",
        [[(1, 3, 4)]],
        lambda theta: affine(theta, (2, 3, 2), True),
        lambda t, theta: t.nn.functional.affine_grid(theta, (1, 1, 2, 3, 2), align_corners=True),
        "volume",
    ),
]
RESAMPLING = [*SIZES, *COLUMNS, *GRIDS]
