"""NaN, infinity, zeros and ties against PyTorch: values and gradients."""

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle

NAN, INF = math.nan, math.inf
PRODUCTS = [
    [NAN, 1, 2], [NAN, 0, 2], [0, NAN, 0], [INF, 0, 2], [INF, 0, 0], [0, 0, NAN], [2, -INF, 0],
    [0, 2, 3], [0, 0, 0], [NAN], [INF],
]  # fmt: skip
ROW = [NAN, 1.0, 2.0, INF, -3.0, 0.0]
ROWS, OTHERS = [ROW[:3], ROW[3:], [0.0, 0, 0]], [[1.0, 3, -3], [0.0, 1, 0]]
SEEN = np.array([[True, False, True], [False] * 3, [True] * 3])
TABLE = [[1.0, NAN], [1, 2], [NAN, 2], [-INF, 1]]

#: name: (function of dtrain or torch and tensors, the tensors' values)
CASES = {
    **{
        f"{name} {values}": (call, [values])
        for values in PRODUCTS
        for name, call in {
            "prod": lambda t, x: t.prod(x),
            "prod of a dim": lambda t, x: t.prod(x, 0),
            "prod of a dim beside zeros": lambda t, x: t.prod(t.stack([x, x * 0 + 1, x]), 0),
            "cumprod": lambda t, x: t.cumprod(x, 0),
        }.items()
    },
    "nanmean": (lambda t, x: t.nanmean(x, 1), [[[NAN, NAN], [NAN, 2]]]),
    "lerp": (lambda t, x, y: t.lerp(x, y, 0.75), [[-INF, 1, NAN], [2, INF, 1]]),
    "lerp by tensor": (lambda t, *xs: t.lerp(*xs), [[-INF, 1], [2, INF], [0.75, 0.25]]),
    "quantile": (lambda t, x: t.quantile(x, 0.3), [[-INF, 1, 2, 3]]),
    "renorm": (lambda t, x: t.renorm(x, 2, 0, 1.0), [[[NAN, 1], [3, 4]]]),
    "i1": (lambda t, x: t.special.i1(x), [ROW]),
    "i1e": (lambda t, x: t.special.i1e(x), [ROW]),
    **{
        f"{name} p={p}": (call, [ROWS, OTHERS])
        for p in (0, 0.5, 1, 2, INF)
        for name, call in {
            "cdist": lambda t, x, y, p=p: t.cdist(x, y, p),
            "pdist": lambda t, x, y, p=p: t.nn.functional.pdist(t.cat([x, y]), p),
        }.items()
        if (name, p) != ("pdist", INF)
    },
    **{
        f"searchsorted {right} {row}": (
            lambda t, x, y, right=right: t.searchsorted(x, y, right=right), [row, ROW],
        )
        for right, row in itertools.product((False, True), ([1, 2, NAN], [1, 2, 3], [NAN] * 3))
    },
    "searchsorted in rows": (
        lambda t, x, y: t.searchsorted(t.stack([x, x + 1]), t.stack([y, y])), [[1, 2, NAN], ROW],
    ),
    **{
        f"embedding_bag {mode}": (
            lambda t, x, mode=mode: t.nn.functional.embedding_bag(
                t.tensor([0, 1, 2, 1, 0, 3, 3]), x, t.tensor([0, 3, 3, 5]), mode=mode
            ),
            [TABLE],
        )
        for mode in ("sum", "mean", "max")
    },
    **{
        f"attention {name}, NaN in {which}": (
            lambda t, *xs, mask=mask: t.nn.functional.scaled_dot_product_attention(
                *xs, t.tensor(mask)
            ),
            [np.where(np.arange(9).reshape(3, 3) == 4, NAN, 1.0) if i == which else
             np.arange(9.0).reshape(3, 3) / 9 for i in range(3)],
        )
        for which in range(3)
        for name, mask in {"bool": SEEN, "added": np.where(SEEN, 0, -INF).astype("f4")}.items()
    },
    **{
        f"interpolate {mode} {corners}": (
            lambda t, x, mode=mode, corners=corners: t.nn.functional.interpolate(
                x[(None,) * 2], size=(3, 5, 4)[-x.ndim :], mode=mode, align_corners=corners
            ),
            [np.where(np.arange(6) == 3, NAN, np.arange(6.0)).reshape(shape)],
        )
        for corners in (False, True)
        for mode, shape in {"bilinear": (2, 3), "bicubic": (2, 3), "trilinear": (1, 2, 3)}.items()
    },
    **{
        f"max_pool{axes}d {name}": (
            lambda t, x, axes=axes, call=call: call(t, f"max_pool{axes}d")(x[None], 2),
            [np.where(np.arange(4**axes) % 3 < 2, NAN, 1.0).reshape(1, *[4] * axes)],
        )
        for axes in (1, 2, 3)
        for name, call in {
            "": lambda t, name: getattr(t.nn.functional, name),
            "adaptive": lambda t, name: getattr(t.nn.functional, f"adaptive_{name}"),
        }.items()
    },
    **{
        f"grid_sample {mode} {padding} {axes}": (
            lambda t, x, mode=mode, padding=padding, axes=axes: t.nn.functional.grid_sample(
                t.arange(1.0, 1 + 2**axes * 3).reshape(1, 1, *[2] * (axes - 1), 6), x.detach(),
                mode, padding, True,
            ),
            [np.array([NAN, INF, -INF, 0.5] * axes).reshape(1, *[1] * (axes - 1), 4, axes)],
        )
        for axes in (2, 3)
        for mode in ("bilinear", "nearest")
        for padding in ("zeros", "border", "reflection")
        if axes == 2 or padding == "zeros"  # for volumes PyTorch's CPU and GPU code differ
    },
    **{
        f"{name}_norm by running statistics": (
            lambda t, x, w, b, name=name, options=options: getattr(
                t.nn.functional, f"{name}_norm"
            )(x, t.zeros(2), t.ones(2), w, b, **options),
            [[[[NAN, 1], [2, INF]], [[0, 1], [2, 3]]], [1, 2], [0, 1]],
        )
        for name, options in {"batch": {}, "instance": {"use_input_stats": False}}.items()
    },
    **{
        f"qr {shape}, NaN at {place}": (
            lambda t, x: t.cat([part.flatten() for part in t.linalg.qr(x)]),
            [np.where(np.arange(math.prod(shape)) == math.prod(shape) - place, NAN,
                      np.random.default_rng(1).normal(size=math.prod(shape))).reshape(shape)],
        )
        for shape in ((4, 3), (3, 3), (2, 4), (2, 4, 3))
        for place in (1, 2, 3)
    },
    "binary_cross_entropy_with_logits": (
        lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none"),
        [[INF, -INF, INF, 80, -80, NAN], [0, 1, 1, 0, 0, 1]],
    ),
    **{
        f"poisson_nll_loss {log_input}": (
            lambda t, x, y, log_input=log_input: t.nn.functional.poisson_nll_loss(
                x, y, log_input, full=True, reduction="none"
            ),
            [[1, 0, 0.5, NAN, 2, 3, 1], [0, 1, 0.5, 2, NAN, INF, -1]],
        )
        for log_input in (False, True)
    },
    "gaussian_nll_loss": (
        lambda t, *xs: t.nn.functional.gaussian_nll_loss(*xs, reduction="none"),
        [[1, NAN, 2], [0, 1, INF], [INF, 1, 0]],
    ),
    **{
        f"ctc_loss {zero_infinity}": (
            lambda t, x, zero_infinity=zero_infinity: t.nn.functional.ctc_loss(
                x.detach(), t.tensor([[1, 0], [1, 2], [2, 1]]), t.tensor([3, 1, 3]),
                t.tensor([1, 2, 2]), reduction="none", zero_infinity=zero_infinity,
            ),
            [np.where(np.arange(27).reshape(3, 3, 3) == 9, NAN, -1.0)],
        )
        for zero_infinity in (False, True)
    },
}  # fmt: skip


@pytest.mark.parametrize(("call", "values"), CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_pytorch(call, values):
    results = []
    for t in (dtrain, torch):
        leaves = [t.tensor(np.asarray(v, "f4")).requires_grad_() for v in values]
        out = call(t, *leaves)
        if out.requires_grad:
            out.backward(t.arange(1.0, out.numel() + 1).reshape(out.shape))
        results.append([out.detach().numpy(), *(x.grad for x in leaves)])
    for ours, theirs in zip(*results):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("copies", [1, 9])  # many small matrices are solved row by row
def test_triangular_solves_are_those_of_pytorch(copies):
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(copies, 3, 3)) + 2 * np.eye(3), rng.normal(size=(copies, 3, 2))]
    for upper, unitriangular, left in itertools.product((False, True), repeat=3):
        for value, which, place in itertools.product((NAN, INF, 0), (0, 1), (0, 2, 3, 4)):
            values = [x.copy() for x in given]
            values[which].reshape(copies, -1)[0, place] = value
            results = []
            for t in (dtrain, torch):
                a, b = leaves = [t.tensor(x.astype("f4")).requires_grad_() for x in values]
                out = t.linalg.solve_triangular(
                    a, b if left else b.mT, upper=upper, left=left, unitriangular=unitriangular
                )
                out.backward(t.arange(1.0, out.numel() + 1).reshape(out.shape))
                results.append([x.detach().numpy() for x in (out, *(x.grad for x in leaves))])
            for ours, theirs in zip(*results):
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
