"""The rows of the table for pooling: references for any number of axes."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.images import every, function, unbatched, windows


def pooled(x, kernel, stride, padding, dilation, ceil_mode, inside, beyond=None):
    """What windows see, (n, c, *windows, elements): `inside` is the padding's value."""
    axes = x.ndim - 2
    kernel, padding, dilation = (every(axes, v) for v in (kernel, padding, dilation))
    stride = every(axes, kernel if stride is None else stride)
    counts, widths = [], []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation):
        reach = d * (k - 1) + 1
        count, rest = divmod(n + 2 * p - reach, s)
        more = ceil_mode and rest and (count + 1) * s < n + p
        counts.append(count + 1 + bool(more))
        widths.append((0, (counts[-1] - 1) * s + reach - min(n + 2 * p, s * count + reach)))
    x = np.pad(x, [(0, 0)] * 2 + [(p, p) for p in padding], constant_values=inside)
    x = np.pad(x, [(0, 0)] * 2 + widths, constant_values=inside if beyond is None else beyond)
    out = windows(x, kernel, stride, (0,) * axes, dilation)
    out = out[(slice(None), slice(None), *(slice(count) for count in counts))]
    return out.reshape(*out.shape[: 2 + axes], int(np.prod(kernel)))


def max_pool(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    how = kernel, stride, padding, dilation, ceil_mode
    seen = pooled(x, *how, -np.inf)
    if not return_indices:
        return seen.max(-1)
    places = np.broadcast_to(np.arange(np.prod(x.shape[2:])).reshape(x.shape[2:]), x.shape)
    best = seen.argmax(-1)[..., None]
    return seen.max(-1), np.take_along_axis(pooled(places, *how, -1), best, -1)[..., 0]


def avg_pool(
    x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    how = kernel, stride, padding, 1, ceil_mode
    count = pooled(np.ones_like(x), *how, int(count_include_pad), 0).sum(-1)
    return pooled(x, *how, 0).sum(-1) / (divisor_override or count)


def lp_pool(x, p, kernel, stride=None, ceil_mode=False):
    seen = pooled(x, kernel, stride, 0, 1, ceil_mode, 0)
    return (abs(seen) ** p).sum(-1) ** (1 / p)


def adaptive(reduce):
    def reference(x, size):
        size = [n if o is None else o for n, o in zip(x.shape[2:], every(x.ndim - 2, size))]
        out = np.empty((*x.shape[:2], *size))
        for place in np.ndindex(*size):
            seen = [
                slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(place, x.shape[2:], size)
            ]
            out[(..., *place)] = reduce(x[(..., *seen)], tuple(range(2, x.ndim)))
        return out

    return reference


def row(name, label, shape, reference, *args, smooth=False, low=-2.0, **options):
    call = function(name)
    return Case(
        f"F.{name}",
        [[shape]],
        lambda x: reference(x, *args, **options),
        lambda t, x: call(t)(x, *args, **options),
        label,
        smooth=smooth,
        low=low,
    )


PLACES = np.array([[[0, 5], [8, 11]], [[4, 3], [13, 14]]])  # in planes of (3, 5)


def unpooled(x):
    out = np.zeros((2, 15))
    np.put_along_axis(out, PLACES.reshape(2, 4), x.reshape(2, 4), 1)
    return out.reshape(2, 3, 5)


LINE, IMAGE, VOLUME = (2, 3, 7), (2, 2, 5, 6), (2, 1, 3, 4, 3)
MAXIMA = [
    row("max_pool2d", "2x2", IMAGE, max_pool, 2),
    row("max_pool2d", "overlapping", IMAGE, max_pool, (3, 2), stride=(2, 1), padding=1),
    row("max_pool2d", "dilation", IMAGE, max_pool, 2, stride=1, dilation=(2, 3)),
    row("max_pool2d", "3-d", (3, 4, 4), unbatched(max_pool), 2),
    row("max_pool2d", "empty batch", (0, 3, 4, 4), max_pool, 2),
    row("max_pool2d", "ceil", IMAGE, max_pool, (2, 3), stride=(2, 4), padding=1, ceil_mode=True),
    row(
        "max_pool2d", "places", IMAGE, max_pool, (3, 2), stride=2, padding=1, dilation=(1, 2),
        ceil_mode=True, return_indices=True,
    ),
    row("max_pool1d", "options", LINE, max_pool, 3, stride=2, padding=1, ceil_mode=True),
    row("max_pool1d", "places", LINE, max_pool, 2, stride=3, return_indices=True),
    row("max_pool3d", "2x2x2", VOLUME, max_pool, 2, stride=1),
    row("max_pool3d", "options", VOLUME, max_pool, (1, 3, 2), padding=(0, 1, 1), dilation=(2, 1, 1)),
    row("max_pool3d", "places", VOLUME, max_pool, 2, padding=1, return_indices=True),
    row("adaptive_max_pool1d", "", LINE, adaptive(np.max), 3),
    row("adaptive_max_pool2d", "", IMAGE, adaptive(np.max), (3, 4)),
    row("adaptive_max_pool2d", "whole", (2, 1, 4, 6), adaptive(np.max), (2, None)),
    row("adaptive_max_pool3d", "", VOLUME, adaptive(np.max), (2, 3, None)),
    Case(
        "F.adaptive_max_pool2d",
        [[(2, 1, 4, 6)]],
        lambda x: max_pool(x, (2, 3), return_indices=True),
        lambda t, x: t.nn.functional.adaptive_max_pool2d(x, 2, return_indices=True),
        "places",
        smooth=False,
    ),
    Case(
        "F.max_unpool1d",
        [[(2, 4)]],
        lambda x: unpooled(x).reshape(2, 15),
        lambda t, x: t.nn.functional.max_unpool1d(
            x, t.tensor(PLACES).reshape(2, 4), 4, output_size=[15]
        ),
    ),
    Case(
        "F.max_unpool2d",
        [[(2, 2, 2)]],
        unpooled,
        lambda t, x: t.nn.functional.max_unpool2d(x, t.tensor(PLACES), 2, (1, 3)),
    ),
    Case(
        "F.max_unpool3d",
        [[(1, 2, 2, 2, 1)]],
        lambda x: unpooled(x).reshape(1, 2, 3, 5, 1),
        lambda t, x: t.nn.functional.max_unpool3d(
            x, t.tensor(PLACES)[None, ..., None], (2, 2, 1), (1, 3, 1)
        ),
    ),
]  # fmt: skip
STARTS = [0, 2, 4]  # of windows of 2 in a line of 6, with draws of 0.5


def fractional(x):
    """The maxima of windows of 2 x 2 that begin at STARTS."""
    rows = np.maximum(x[:, :, STARTS], x[:, :, [i + 1 for i in STARTS]])
    return np.maximum(rows[..., STARTS], rows[..., [i + 1 for i in STARTS]])


FRACTIONAL = [
    Case(
        "F.fractional_max_pool2d",
        [[(2, 3, 6, 6)]],
        fractional,
        lambda t, x: t.nn.functional.fractional_max_pool2d(
            x, 2, output_size=3, _random_samples=t.full((2, 3, 2), 0.5, dtype=x.dtype)
        ),
        smooth=False,
    ),
    Case(
        "F.fractional_max_pool3d",
        [[(2, 3, 3, 6, 6)]],
        lambda x: fractional(x[:, :, 1:].max(2))[:, :, None],
        lambda t, x: t.nn.functional.fractional_max_pool3d(
            x, 2, output_ratio=(0.4, 0.5, 0.5),
            _random_samples=t.full((2, 3, 3), 0.5, dtype=x.dtype),
        ),
        smooth=False,
    ),
]  # fmt: skip
MEANS = [
    row("avg_pool2d", "2x2", IMAGE, avg_pool, 2, smooth=True),
    row("avg_pool2d", "overlapping", IMAGE, avg_pool, (3, 2), stride=(2, 1), padding=(1, 0)),
    row("avg_pool2d", "3-d", (3, 4, 4), unbatched(avg_pool), 2),
    row("avg_pool2d", "ceil", IMAGE, avg_pool, (2, 3), stride=(2, 4), padding=1, ceil_mode=True),
    row(
        "avg_pool2d", "padding not counted", IMAGE, avg_pool, 3, stride=2, padding=1,
        ceil_mode=True, count_include_pad=False,
    ),
    row("avg_pool2d", "divisor", IMAGE, avg_pool, 2, padding=1, divisor_override=3),
    row("avg_pool1d", "options", LINE, avg_pool, 3, stride=2, padding=1, ceil_mode=True),
    row("avg_pool3d", "2x2x2", VOLUME, avg_pool, 2, stride=1),
    row(
        "avg_pool3d", "options", VOLUME, avg_pool, (2, 3, 2), stride=(2, 1, 2), padding=1,
        ceil_mode=True, count_include_pad=False,
    ),
    row("lp_pool1d", "", LINE, lp_pool, 2, 3, stride=2, ceil_mode=True, low=0.1),
    row("lp_pool2d", "", IMAGE, lp_pool, 3, (2, 3), low=0.1),
    row("lp_pool3d", "", VOLUME, lp_pool, 1.5, 2, low=0.1),
    row("lp_pool2d", "infinite", IMAGE, lambda x, *_: max_pool(abs(x), 2), np.inf, 2),
    row("adaptive_avg_pool1d", "", LINE, adaptive(np.mean), 3),
    row("adaptive_avg_pool2d", "", IMAGE, adaptive(np.mean), (3, 4)),
    row("adaptive_avg_pool2d", "whole", (2, 1, 4, 6), adaptive(np.mean), (2, None)),
    row("adaptive_avg_pool2d", "larger", (1, 1, 3, 2), adaptive(np.mean), (1, 5)),
    row("adaptive_avg_pool2d", "of all", IMAGE, adaptive(np.mean), 1),
    row("adaptive_avg_pool3d", "", VOLUME, adaptive(np.mean), (2, None, 1)),
]  # fmt: skip
POOLING = [*MAXIMA, *FRACTIONAL, *MEANS]
