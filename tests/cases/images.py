"""The rows of the table for convolution: references for any number of axes."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.cases.case import Case


def every(axes, value):
    """One number for each axis."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def function(name):
    return lambda t: getattr(t.nn.functional, name)


# --- convolution ---


def windows(x, kernel, stride, padding, dilation, value=0.0):
    """(n, c, *size) to (n, c, *windows, *kernel)."""
    x = np.pad(x, [(0, 0)] * 2 + [(p, p) for p in padding], constant_values=value)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    views = sliding_window_view(x, reach, tuple(range(2, x.ndim)))
    return views[(..., *(slice(None, None, s) for s in stride), *(slice(None),) * len(kernel))][
        (..., *(slice(None, None, d) for d in dilation))
    ]


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    axes = x.ndim - 2
    how = [every(axes, option) for option in (stride, padding, dilation)]
    inner = tuple(range(axes + 2, 2 * axes + 2))
    parts = [
        np.tensordot(windows(part, w.shape[2:], *how), w, ((1, *inner), range(1, axes + 2)))
        for part, w in zip(np.split(x, groups, 1), np.split(weight, groups))
    ]
    out = np.moveaxis(np.concatenate(parts, -1), -1, 1)
    return out if bias is None else out + bias.reshape(-1, *[1] * axes)


def conv_transpose(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """What each element of x adds to the output, for each element of the kernel."""
    axes, kernel = x.ndim - 2, weight.shape[2:]
    options = [every(axes, v) for v in (stride, padding, output_padding, dilation)]
    size = [
        (n - 1) * s + d * (k - 1) + 1 + o for n, k, s, p, o, d in zip(x.shape[2:], kernel, *options)
    ]
    stride, _, _, dilation = options
    out = np.zeros((len(x), weight.shape[1] * groups, *size))
    for place in np.ndindex(kernel):
        parts = [
            np.einsum("nc...,cm->nm...", part, w[(..., *place)])
            for part, w in zip(np.split(x, groups, 1), np.split(weight, groups))
        ]
        to = [
            slice(i * d, i * d + (n - 1) * s + 1, s)
            for i, n, s, d in zip(place, x.shape[2:], stride, dilation)
        ]
        out[(..., *to)] += np.concatenate(parts, 1)
    kept = [
        slice(p, (n - 1) * s - p + d * (k - 1) + 1 + o)
        for n, k, s, p, o, d in zip(x.shape[2:], kernel, *options)
    ]
    out = out[(..., *kept)]
    return out if bias is None else out + bias.reshape(-1, *[1] * axes)


def row(name, label, samples, reference, **options):
    call = function(name)
    return Case(
        f"F.{name}",
        [samples],
        lambda *xs: reference(*xs, **options),
        lambda t, *xs: call(t)(*xs, **options),
        label,
    )


def unbatched(reference):
    return lambda x, *rest, **options: reference(x[None], *rest, **options)[0]


def same_even(x, w):
    return conv(np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 2))), w)


CONVOLUTION = [
    row("conv2d", "bias", [(2, 3, 5, 6), (4, 3, 3, 2), (4,)], conv),
    row("conv2d", "stride", [(2, 2, 6, 7), (3, 2, 3, 3)], conv, stride=(2, 3)),
    row("conv2d", "padding", [(2, 2, 3, 4), (3, 2, 3, 3)], conv, padding=(2, 1)),
    row("conv2d", "dilation", [(1, 2, 6, 7), (2, 2, 2, 3)], conv, dilation=(3, 2)),
    row("conv2d", "groups", [(2, 4, 4, 4), (6, 2, 3, 3), (6,)], conv, groups=2, padding=1),
    row("conv2d", "depthwise", [(1, 3, 4, 4), (3, 1, 3, 3)], conv, groups=3, stride=2, padding=1),
    row("conv2d", "one by one", [(2, 3, 4, 4), (2, 3, 1, 1)], conv),
    row("conv2d", "empty batch", [(0, 3, 4, 4), (2, 3, 3, 3), (2,)], conv),
    row("conv2d", "3-d", [(2, 4, 5), (3, 2, 3, 3)], unbatched(conv)),
    Case(
        "F.conv2d",
        [[(1, 2, 4, 5), (2, 2, 3, 3)]],
        lambda x, w: conv(x, w, padding=1),
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding="same"),
        "same",
    ),
    Case(
        "F.conv2d",
        [[(1, 2, 4, 5), (2, 2, 2, 4)]],
        same_even,
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding="same"),
        "same, even kernel",
    ),
    Case(
        "F.conv2d",
        [[(1, 2, 4, 5), (2, 2, 3, 3)]],
        conv,
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding="valid"),
        "valid",
    ),
    row("conv1d", "bias", [(2, 3, 7), (4, 3, 3), (4,)], conv),
    row("conv1d", "2-d", [(3, 5), (2, 3, 2)], unbatched(conv)),
    row("conv1d", "options", [(1, 4, 7), (4, 2, 3)], conv, stride=2, padding=2, dilation=2, groups=2),
    row("conv3d", "bias", [(2, 2, 3, 3, 4), (2, 2, 2, 2, 3), (2,)], conv),
    row("conv3d", "4-d", [(2, 3, 3, 2), (2, 2, 2, 2, 2)], unbatched(conv)),
    row(
        "conv3d", "options", [(1, 2, 4, 3, 4), (4, 1, 2, 2, 1), (4,)], conv, stride=(2, 1, 2),
        padding=(1, 0, 1), dilation=(2, 1, 1), groups=2,
    ),
    row("conv_transpose2d", "bias", [(2, 3, 2, 3), (3, 4, 3, 2), (4,)], conv_transpose),
    row(
        "conv_transpose2d", "options", [(1, 4, 2, 3), (4, 2, 3, 2)], conv_transpose, stride=(2, 3),
        padding=(1, 0), output_padding=(1, 2), dilation=(2, 1), groups=2,
    ),
    row(
        "conv_transpose2d", "output padding beyond the stride", [(1, 1, 2, 3), (1, 2, 3, 2)],
        conv_transpose, stride=(1, 2), padding=2, output_padding=(1, 3), dilation=(2, 4),
    ),
    row("conv_transpose2d", "3-d", [(2, 2, 3), (2, 1, 2, 2)], unbatched(conv_transpose)),
    row("conv_transpose2d", "empty batch", [(0, 2, 2, 3), (2, 1, 2, 2)], conv_transpose),
    row(
        "conv_transpose1d", "options", [(2, 2, 4), (2, 3, 3), (3,)], conv_transpose, stride=2,
        padding=1, output_padding=1,
    ),
    row("conv_transpose1d", "2-d", [(2, 4), (2, 1, 3)], unbatched(conv_transpose)),
    row("conv_transpose3d", "bias", [(2, 2, 2, 2, 1), (2, 2, 2, 2, 2), (2,)], conv_transpose),
    row(
        "conv_transpose3d", "options", [(1, 2, 3, 2, 2), (2, 1, 2, 2, 1), (2,)], conv_transpose,
        stride=(2, 1, 2), padding=(1, 0, 0), output_padding=(1, 0, 1), dilation=(2, 1, 1), groups=2,
    ),
]  # fmt: skip
