"""The fused kernels, inputs for them, and how closely their bodies must agree.

A case has shapes; `None` stands for an array that is left out. Each sample of arrays is ordinary
numbers, contiguous or with strides, or has NaN, infinities, zeros and large numbers among them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.backend import kernels, to_host


@dataclass(frozen=True)
class Case:
    """A kernel `family.name`, called as kernel(*arrays, *static)."""

    family: str
    name: str
    shapes: tuple
    static: tuple = ()
    prepare: Any = None  # from the arrays and the dtype to what the kernel takes
    special: bool = True  # NaN and infinities are to come out as from the reference
    written: Sequence[int] = ()  # the arguments that are written to
    integers: bool = False  # the results are integers, and equal
    slack: float = 1  # times the tolerance

    def __str__(self) -> str:
        return f"{self.name} {self.shapes} {self.static}"

    def samples(self, dtype: Any) -> Iterator[list]:
        """Lists of arrays."""
        rng = np.random.default_rng(len(str(self)))

        def drawn(edit: Any) -> list:
            arrays = [
                None if shape is None else edit(rng.normal(size=shape).astype(dtype))
                for shape in self.shapes
            ]
            with np.errstate(all="ignore"):
                return arrays if self.prepare is None else self.prepare(arrays, dtype)

        yield drawn(lambda x: x)
        if not self.written:
            yield drawn(_strided)
            if dtype == np.float32:  # Numba compiles once more for it
                yield drawn(_readonly)
        yield drawn(lambda x: x * dtype(30))
        if self.special:
            for value in (0, 1e4, -1e4, 1e30, np.nan, np.inf, -np.inf):
                yield drawn(lambda x, value=value: _sprinkled(x, value))


def _strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x[..., None], 2, -1)[..., 0] if x.ndim else x


def _readonly(x: np.ndarray) -> np.ndarray:
    x.flags.writeable = False
    return x


def _sprinkled(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x.reshape(-1)[::7] = value
    return x


def results(case: Case, body: str, arrays: list) -> list:
    """What a body computes: its results, and the arrays that it wrote to."""
    arrays = [x.copy() if x is not None and i in case.written else x for i, x in enumerate(arrays)]
    with np.errstate(all="ignore"):
        out = find_body(case, body)(*arrays, *case.static)
    out = out if isinstance(out, tuple) else () if out is None else (out,)
    return [to_host(x) for x in (*out, *(arrays[i] for i in case.written)) if x is not None]


def find_body(case: Case, body: str) -> Any:
    """The kernel of a body; the reference where it has none, as for CUDA of some."""
    reference = importlib.import_module(f"dtrain.backend.kernels.reference.{case.family}")
    module = reference if body == "reference" else kernels._import_body(body, case.family)
    return getattr(module, case.name, getattr(reference, case.name))


def assert_close(case: Case, arrays: list, given: list, expected: list) -> None:
    """Equal within rounding of the largest number; NaN and infinity are at the same places."""
    assert len(given) == len(expected)
    dtype = arrays[0].dtype
    summed = [arrays[0]] if "backward" in case.name or "grad" in case.name else []
    for a, b in zip(given, expected):
        if case.integers or b.dtype == np.int32:
            assert (a.shape, a.dtype, a.tolist()) == (b.shape, b.dtype, b.tolist())
            continue
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert b.dtype in (dtype, np.float64)  # float64: sums of rounded squares
        largest = max(np.abs(x[np.isfinite(x)]).max(initial=0) for x in (b, *summed))
        tolerance = case.slack * 32 * np.finfo(dtype).eps
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(largest))


# --- the table ---


def after(first: str, *static: Any) -> Any:
    """Arrays (g, x) become those of the backward kernel: with what softmax's `first` gives for x."""

    def prepare(arrays: list, dtype: Any) -> list:
        module = importlib.import_module("dtrain.backend.kernels.reference.softmax")
        return [arrays[0], getattr(module, first)(arrays[1], *static)]

    return prepare


def with_targets(arrays: list, dtype: Any) -> list:
    return [arrays[0], np.arange(len(arrays[0])) * 3 % max(arrays[0].shape[1], 1)]


def after_cross_entropy(arrays: list, dtype: Any) -> list:
    from dtrain.backend.kernels.reference.softmax import cross_entropy

    g, x = arrays
    x, target = with_targets([x], dtype)
    _, top, log_sum = cross_entropy(x, target)
    return [g, x, target, top, log_sum]


def with_class_weights(arrays: list, dtype: Any) -> list:
    x, weight = arrays
    return [*with_targets([x], dtype), None if weight is None else abs(weight) + dtype(0.1)]


def after_mean_cross_entropy(reduction: str) -> Any:
    """Arrays (g, x, weight) become those of the backward kernel; target 6 is ignored."""

    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.softmax import mean_cross_entropy

        g, *rest = arrays
        x, target, weight = with_class_weights(rest, dtype)
        kept = mean_cross_entropy(x, target, weight, 6, reduction)[1:]
        return [g, x, target, *(None if a is None else np.asarray(a) for a in kept)]

    return prepare


def after_attention(*how: Any) -> Any:
    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.attention import attention

        return [*arrays, *attention(*arrays[1:], *how)]

    return prepare


def contiguous(arrays: list, dtype: Any) -> list:
    return list(map(np.ascontiguousarray, arrays))


def abs_last(arrays: list, dtype: Any) -> list:
    return [*arrays[:-1], np.asarray(abs(arrays[-1]))]


def with_rows(arrays: list, dtype: Any) -> list:
    values, out = arrays
    return [values, np.arange(len(values)) * 5 % len(out), out]


def after_layer_norm(arrays: list, dtype: Any) -> list:
    from dtrain.backend.kernels.reference.norm import layer_norm

    g, x, weight = arrays
    return [g, x, weight, *layer_norm(x, weight, None, 1e-5)[1:]]


def after_rms_norm(arrays: list, dtype: Any) -> list:
    from dtrain.backend.kernels.reference.norm import rms_norm

    g, x, weight = arrays
    return [g, x, weight, rms_norm(x, weight, 1e-5)[1]]


def after_norm_and_before(prepare: Any) -> Any:
    """The last of the arrays is the gradient to which that of x is added."""

    def prepare_all(arrays: list, dtype: Any) -> list:
        *arrays, before = arrays
        return [*prepare(arrays, dtype), before]

    return prepare_all


def after_group_norm(groups: int) -> Any:
    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.norm import group_norm

        g, x, weight = arrays
        return [g, x, weight, *group_norm(x, weight, None, groups, 1e-5)[1:]]

    return prepare


def after_statistics(arrays: list, dtype: Any) -> list:
    from dtrain.backend.kernels.reference.norm import channel_statistics

    *g, x, weight = arrays
    return [*g, x, *channel_statistics(x), weight]


def after_batch_norm_relu(arrays: list, dtype: Any) -> list:
    from dtrain.backend.kernels.reference.norm import batch_norm

    g, x, weight = arrays
    out, mean, var = batch_norm(x, weight, None, *[None] * 3, 0.0, 1.0, 1e-5, True)
    return [g, x, mean, var, weight, out]


def with_running_statistics(arrays: list, dtype: Any) -> list:
    """They are far from 0: their update does not cancel."""
    *others, mean, var = arrays
    return arrays if var is None else [*others, np.abs(mean) + 100, np.abs(var) + 100]


def with_bias_and_statistics(arrays: list, dtype: Any) -> list:
    x, weight, bias = arrays
    return [*after_statistics([x, weight], dtype), bias]


def with_index(arrays: list, dtype: Any) -> list:
    return [arrays[0], np.arange(len(arrays[0])) ** 2 % 5]


def with_index_along(axis: int, shape: tuple) -> Any:
    """The index of `gather` and `add_along_axis`: any of the positions of an axis, negative ones
    too, some twice."""

    def prepare(arrays: list, dtype: Any) -> list:
        length = (arrays[-1] if len(arrays) > 1 else arrays[0]).shape[axis]
        index = (np.arange(np.prod(shape, dtype=int)) ** 2 % (2 * max(length, 1))).reshape(shape)
        return [arrays[0], index - length, *arrays[1:]]

    return prepare


def rounded(arrays: list, dtype: Any) -> list:
    """Many elements are equal."""
    return [np.rint(x) for x in arrays]


def swapped(arrays: list, dtype: Any) -> list:
    """The last two axes change places, without a copy."""
    return [x.swapaxes(-1, -2) if x.ndim > 1 else x for x in arrays]


def squares(arrays: list, dtype: Any) -> list:
    """Adam's second moments are not negative."""
    return [x if i < 3 or x is None else x * x for i, x in enumerate(arrays)]


def squares_above(arrays: list, dtype: Any) -> list:
    """RMSprop's mean square is above the square of its mean."""
    *two, square, mean, buffer = arrays
    return [*two, square * square + dtype(1), None if mean is None else mean / dtype(10), buffer]


def all_squares(arrays: list, dtype: Any) -> list:
    """No state is negative."""
    return [x if i < 2 else x * x for i, x in enumerate(arrays)]


FLAT = [(1000,), (1,), (0,), (3, 5, 7)]
ROWS = [(5, 65), (1, 1), (0, 3), (3, 300)]

PAIRS = [(5, 2, 65), (1, 2, 1), (0, 2, 3), (3, 2, 0)]

#: activations and the numbers that they take
ACTIVATION_NUMBERS = {
    "silu": (), "gelu": (), "gelu_tanh": (), "relu": (), "sigmoid": (), "hardswish": (),
    "leaky_relu": (0.1,), "softplus": (1.5, 20.0), "elu": (1.1, 1.3, 0.7), "huber": (0.8,),
}  # fmt: skip

ACTIVATIONS = [
    Case("activation", "relu", ((20_000,),)),
    *(
        Case("activation", name, (shape,), numbers)
        for shape in FLAT
        for name, numbers in ACTIVATION_NUMBERS.items()
    ),
    *(
        Case("activation", "bias_activation", (shape, shape[1:]), (name,))
        for shape in ((5, 3), (1, 40), (0, 4))
        for name in ("relu", "silu", "gelu", "gelu_tanh")
    ),
    *(
        Case(
            "activation", "bias_activation_backward", ((4, 3), (4, 3), (3,)), (name,), special=False
        )
        for name in ("relu", "silu", "gelu", "gelu_tanh")
    ),
    *(Case("activation", "glu", (shape,)) for shape in PAIRS),
    *(
        Case("activation", "glu_backward", ((shape[0], shape[2]), shape), special=False)
        for shape in PAIRS
    ),
    Case("activation", "softplus", ((1000,),), (1.0, np.inf)),
    *(Case("activation", "bce_with_logits", (shape, shape), special=False) for shape in FLAT),
    *(
        Case("activation", "bce_with_logits_backward", (shape,) * 3, special=False)
        for shape in FLAT
    ),
    *(Case("activation", "tanh_backward", (shape, shape), special=False) for shape in FLAT),
    *(
        Case("activation", "hardtanh_backward", (shape, shape), (-0.5, 0.7), special=False)
        for shape in FLAT
    ),
    # beyond exp's range, or at relu's 0, a fused gradient is the limit, the reference's inf * 0
    *(
        Case("activation", f"{name}_backward", (shape, shape), numbers, special=False)
        for shape in FLAT
        for name, numbers in ACTIVATION_NUMBERS.items()
    ),
]

WEIGHTED = (((65,), "mean"), (None, "sum"), ((65,), "none"))

SOFTMAX = [
    *(Case("softmax", name, (shape,), (axis,)) for shape, axis in (*((s, -1) for s in ROWS), ((4, 6, 5), 1))
      for name in ("softmax", "log_softmax")),
    *(Case("softmax", f"{name}_backward", (shape, shape), (axis,), after(name, axis))
      for shape, axis in (*((s, -1) for s in ROWS), ((4, 6, 5), 1)) for name in ("softmax", "log_softmax")),
    *(Case("softmax", "cross_entropy", (shape,), (), with_targets) for shape in ROWS),
    *(Case("softmax", "cross_entropy_backward", (shape[:1], shape), (), after_cross_entropy) for shape in ROWS),
    *(Case("softmax", "mean_cross_entropy", ((5, 65), weight), (6, reduction), with_class_weights, special=False)
      for weight, reduction in WEIGHTED),
    *(Case("softmax", "mean_cross_entropy_backward", ((1 if reduction != "none" else 5,), (5, 65), weight), (6,),
           after_mean_cross_entropy(reduction), special=False)
      for weight, reduction in WEIGHTED),
]  # fmt: skip

SCORES = [(2, 5, 5), (1, 40, 33), (3, 2, 70), (1, 1, 1), (0, 3, 3), (2, 3, 0), (2, 0, 3)]

#: shapes of q, k and v, and whether the attention is causal
HEADS = [
    (((2, 3, 5, 4), (2, 3, 40, 4), (2, 3, 40, 6)), False), (((1, 2, 40, 9),) * 3, True),
    (((1, 1, 40, 64), (1, 1, 5, 64), (1, 1, 5, 3)), True), (((1, 1, 1, 1),) * 3, False),
    (((2, 4, 20, 9), (2, 2, 33, 9), (2, 2, 33, 70)), False),
]  # fmt: skip

#: seed, stream, call, microbatch, step
RANDOM_KEY = np.array([5, 0, 3, 2, 1], np.uint64)

ATTENTION = [
    *(Case("dropout", "keyed_dropout", (shape,), (p, RANDOM_KEY)) for shape in ((3, 35), (1,), (0, 2))
      for p in (0.3, 1.0)),
    *(Case("attention", "causal_softmax", (shape,), special=False) for shape in SCORES),
    *(Case("attention", "causal_softmax", (shape,), (3,), special=False) for shape in SCORES[:3]),
    *(Case("attention", "attention", shapes, (0.02, causal), special=False, slack=4) for shapes, causal in HEADS),
    *(Case("attention", "attention_backward", ((*shapes[0][:3], shapes[2][3]), *shapes), (0.02, causal),
           after_attention(0.02, causal), special=False, slack=8)
      for shapes, causal in HEADS),
]  # fmt: skip

#: a matrix (4, 3): columns, weights, NaN where a row has one entry alone
MATRIX = (
    np.array([[0, 1], [1, 2], [2, 0], [0, 2]]),
    np.array([[0.25, 0.75], [1, 0], [2, np.nan], [-1, 3]]),
)

RESAMPLINGS = [
    Case("resampling", "resample", (shape,), (axis, MATRIX))
    for shape, axis in (((2, 4, 3), 2), ((2, 3, 35), 1), ((3,), 0), ((3, 0), 0), ((0, 3), 1))
]  # fmt: skip

#: arrays (n, channels, inner) and their numbers of groups
GROUPS = [((3, 4, 35), 2), ((2, 6, 5), 3), ((4, 8, 1), 2), ((0, 4, 3), 2)]
IMAGES = [(3, 4, 35), (2, 3, 5), (1, 1, 8), (4, 3, 1)]

NORMS = [
    *(Case("norm", "layer_norm", (shape, *affine), (1e-5,))
      for shape in ROWS for affine in ((shape[1:], shape[1:]), (None, None))),
    *(Case("norm", "layer_norm_backward", (shape, shape, weight), (), after_layer_norm, special=False, slack=4)
      for shape in ROWS[:1] + ROWS[2:] for weight in (shape[1:], None)),
    *(Case("norm", "rms_norm", (shape, weight), (1e-5,)) for shape in ROWS for weight in (shape[1:], None)),
    *(Case("norm", "rms_norm_backward", (shape, shape, weight), (), after_rms_norm, special=False, slack=4)
      for shape in ROWS[:1] + ROWS[2:] for weight in (shape[1:], None)),
    *(Case("norm", f"add_{name}_backward", (shape, shape, weight, shape), (), after_norm_and_before(after),
           special=False, slack=4)
      for name, after in (("layer_norm", after_layer_norm), ("rms_norm", after_rms_norm))
      for shape in ROWS[:1] + ROWS[2:] for weight in (shape[1:], None)),
    *(Case("norm", "group_norm", (shape, *affine), (groups, 1e-5), special=False)
      for shape, groups in GROUPS for affine in ((shape[1:2],) * 2, (None, None))),
    *(Case("norm", "group_norm_backward", (shape, shape, weight), (groups,), after_group_norm(groups),
           special=False, slack=4)
      for shape, groups in GROUPS for weight in (shape[1:2], None)),
    *(Case("norm", "channel_statistics", (shape,)) for shape in IMAGES),
    *(Case("norm", "batch_norm", (shape, *affine, running, running), (None, 0.3, 1.25, 1e-5, rectified),
           with_running_statistics, special=False, written=(3, 4) if running else ())
      for shape in IMAGES for rectified in (True, False)
      for affine, running in (((shape[1:2],) * 2, shape[1:2]), ((None, None), None))),
    *(Case("norm", "batch_norm_relu_backward", (shape, shape, weight), (1e-5,), after_batch_norm_relu,
           special=False, slack=4)
      for shape in IMAGES for weight in (shape[1:2], None)),
    Case("norm", "update_running", ((5,),) * 4, (0.3, 1.25, None), written=(0, 1)),
    *(Case("norm", "channel_norm", (shape, *affine), (1e-5,), with_bias_and_statistics, special=False)
      for shape in IMAGES for affine in ((shape[1:2],) * 2, (None, None))),
    *(Case("norm", "channel_norm_backward", (shape, shape, weight), (1e-5, from_batch), after_statistics,
           special=False, slack=4)
      for shape in IMAGES for weight in (shape[1:2], None) for from_batch in (True, False)),
]  # fmt: skip

#: kernel, stride, padding, dilation
WINDOWS = [
    ((2, 2), (2, 2), (0, 0), (1, 1)), ((3, 2), (2, 1), (1, 1), (1, 1)), ((2, 2), (1, 1), (0, 0), (2, 3)),
    ((1, 3), (3, 2), (0, 1), (1, 2)),
]  # fmt: skip
PICTURES = [(2, 3, 9, 8), (1, 1, 5, 7), (0, 2, 6, 6)]

POOLS = [
    *(Case("window", "max_pool", (shape,), how) for shape in PICTURES for how in WINDOWS),
    *(Case("window", "avg_pool", (shape,), how[:3]) for shape in PICTURES for how in WINDOWS[:2]),
]  # fmt: skip


def pool_gradient(name: str, shape: tuple, how: tuple) -> Case:
    from dtrain.backend.kernels.reference.window import window_counts

    out = (*shape[:2], *window_counts(shape[2:], *how))
    if name == "avg_pool":
        return Case("window", "avg_pool_backward", (out,), (shape[2:], *how))
    return Case("window", "max_pool_backward", (out, shape), (shape[2:], *how), after_pool(how))


def after_pool(how: tuple) -> Any:
    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.window import max_pool

        g, x = arrays
        return [g, max_pool(x, *how)[1]]

    return prepare


POOLS += [
    *(pool_gradient("max_pool", shape, how) for shape in PICTURES for how in WINDOWS),
    *(pool_gradient("avg_pool", shape, how[:3]) for shape in PICTURES for how in WINDOWS[:2]),
]


def convolutions(x: tuple, weight: tuple, *how: Any, slack: float = 1) -> list[Case]:
    """A convolution and its gradients; how: stride, padding, dilation, groups."""
    from dtrain.backend.kernels.reference.window import window_counts

    out = (x[0], weight[0], *window_counts(x[2:], weight[2:], *how[:3]))
    more = {"special": False, "slack": slack}
    return [
        Case("conv", "conv", (x, weight, weight[:1]), how, **more),
        Case("conv", "conv", (x, weight, None), how, **more),
        Case("conv", "conv_grad_x", (out, weight), (x[2:], *how), **more),
        Case("conv", "add_conv_grad_x", (out, weight, x), (x[2:], *how), **more),
        Case("conv", "conv_grad_weight", (out, x), (weight[2:], *how), **more),
    ]


ONE = (1, 1)
CONVOLUTIONS = [
    *convolutions((2, 3, 7, 8), (4, 3, 3, 2), ONE, ONE, ONE, 1),
    *convolutions((2, 4, 9, 8), (6, 2, 3, 3), (2, 1), (1, 0), (1, 2), 2),
    *convolutions((2, 16, 5, 6), (32, 16, 1, 1), ONE, (0, 0), ONE, 1),
    *convolutions((3, 32, 9, 6), (16, 32, 1, 1), (2, 2), (0, 0), ONE, 1),
    *convolutions((2, 16, 9, 7), (32, 16, 3, 3), (2, 2), ONE, ONE, 1),
    *convolutions((2, 16, 9, 9), (16, 16, 5, 3), ONE, (2, 1), (1, 2), 1),
    # few channels in a group: sums of shifted images
    *convolutions((2, 6, 9, 8), (6, 1, 3, 3), ONE, ONE, ONE, 6),
    *convolutions((2, 3, 30, 21), (6, 1, 7, 5), (2, 3), (3, 1), ONE, 3),
    *convolutions((1, 4, 6, 5), (8, 2, 2, 2), (3, 3), (2, 2), (2, 1), 2),
    *convolutions((2, 5, 9, 70), (5, 1, 1, 3), ONE, (0, 0), (1, 2), 5),
    *convolutions((2, 3, 20, 13), (5, 3, 5, 5), (2, 2), (2, 2), ONE, 1),
    *convolutions((2, 2, 9, 16), (3, 2, 5, 5), ONE, (2, 2), ONE, 1),
    *convolutions((2, 2, 4, 30), (6, 2, 1, 3), ONE, (0, 1), ONE, 1),
    *convolutions((2, 16, 17, 16), (16, 16, 5, 5), ONE, (2, 2), ONE, 1),
    # sums over taps in parts, images in bands and several at a time, rows of a tile left empty
    *convolutions((2, 24, 9, 21), (8, 24, 4, 5), ONE, (1, 2), ONE, 1),
    *convolutions((1, 48, 80, 80), (4, 48, 3, 3), ONE, ONE, ONE, 1),
    *convolutions((7, 8, 7, 7), (8, 1, 3, 3), ONE, ONE, ONE, 8),
    *convolutions((5, 16, 9, 9), (13, 16, 3, 3), (2, 1), ONE, (1, 2), 1),
    # windows that tile the images
    *convolutions((2, 3, 17, 25), (4, 3, 8, 8), (8, 8), (0, 0), ONE, 1),
    # few windows for the weight
    *convolutions((1, 48, 4, 4), (32, 48, 3, 3), ONE, ONE, ONE, 1),
    *convolutions((2, 70, 9, 35), (70, 70, 3, 2), (3, 2), (2, 1), (1, 2), 1),
    *convolutions((1, 32, 5, 6), (40, 32, 2, 3), (1, 3), (1, 2), ONE, 1),
    *convolutions((0, 16, 6, 6), (16, 16, 3, 3), ONE, ONE, ONE, 1),
    # Winograd's: its intermediate numbers are larger than its results
    *convolutions((3, 32, 8, 8), (32, 32, 3, 3), ONE, ONE, ONE, 1, slack=10),
    *convolutions((4, 32, 5, 7), (32, 32, 3, 3), ONE, (0, 2), ONE, 1, slack=10),
    *convolutions((33, 32, 32, 32), (32, 32, 3, 3), ONE, ONE, ONE, 1, slack=10),
    *convolutions((1, 64, 50, 50), (32, 64, 3, 3), ONE, ONE, ONE, 1, slack=10),
    *convolutions((2, 512, 6, 6), (32, 512, 3, 3), ONE, ONE, ONE, 1, slack=10),
]

EMBEDDINGS = [
    Case("embedding", "embedding_backward", (shape,), (5,), with_index)
    for shape in ((40, 7), (1, 1), (0, 3), (300, 33))
]

INDEXED = [  # the last index is shorter than the array along another axis
    ((4, 6, 3), (4, 5, 3), 1), ((5, 7), (5, 9), 1), ((7, 4), (2, 4), 0), ((8,), (12,), 0), ((4, 6), (3, 2), 1),
]  # fmt: skip
INDEXINGS = [
    *(Case("indexing", "take", (shape,), (axis,), with_index_along(axis, index))
      for shape, axis in (((4, 6), 1), ((2, 3, 5, 1), 2), ((7, 4), 0), ((8,), 0))
      for index in ((9,), (2, 3))),
    *(Case("indexing", "gather", (shape,), (axis,), with_index_along(axis, index))
      for shape, index, axis in INDEXED),
    *(Case("indexing", "add_along_axis", (index, shape), (axis,), with_index_along(axis, index), written=(2,))
      for shape, index, axis in INDEXED),
    Case("indexing", "add_at", ((9, 4), (4, 4)), (), with_rows, written=(2,)),
    *(Case("indexing", "add_slices", ((*shape[:axis], 9, *shape[axis + 1 :]), shape), (axis,),
           with_index_along(axis, (9,)), written=(2,))
      for shape, _, axis in INDEXED),
]  # fmt: skip


def with_flat(arrays: list, dtype: Any) -> list:
    flat, *parts = arrays
    return [flat, np.stack(parts)]


def in_float64(arrays: list, dtype: Any) -> list:
    return [np.abs(x).astype(np.float64) for x in arrays]


JOININGS = [
    Case("joining", "sums_of_squares", ((9000,), (0,), (3, 5), (1,)), prepare=contiguous),
    Case("joining", "root_of_sum", ((9000,),), ("float64",), in_float64),
    Case("joining", "clip_all", ((9000,), (0,), (3, 5), ()), (1.5,), abs_last, written=(0, 1, 2)),
    Case("joining", "clip_all", ((70,), ()), (1e9,), abs_last, written=(0,)),
    Case(
        "joining",
        "write_parts",
        ((9500,), (4100,), (4100,)),
        ((5200, 10),),
        with_flat,
        written=(0,),
    ),
]

SORTINGS = [
    Case("sorting", "topk_indices", (shape,), (k, largest), rounded, integers=True)
    for shape, k in (
        ((5, 65), 7),
        ((3, 4), 4),
        ((2, 300), 1),
        ((2, 300), 200),
        ((0, 3), 2),
        ((4, 1), 0),
    )
    for largest in (True, False)
]

#: the sizes of the batch at each step of packed sequences
BATCHES = [((3, 3, 3), False), ((5, 4, 4, 1), False), ((5, 4, 1), True), ((1,), False)]


def lstm_case(sizes: tuple, reverse: bool, n: int, projection: int | None) -> list[Case]:
    rows, width = sum(sizes), projection or n
    weights = ((4 * n, width), None if projection is None else (projection, n))
    shapes = ((rows, 4 * n), (sizes[0], width), (sizes[0], n), *weights)
    return [
        Case("lstm", "lstm", shapes, (sizes, reverse), special=False, slack=4),
        Case("lstm", "lstm_backward", ((rows, width + n), *shapes), (sizes, reverse),
             after_lstm(sizes, reverse), special=False, slack=4),
    ]  # fmt: skip


def after_lstm(sizes: tuple, reverse: bool) -> Any:
    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.lstm import lstm

        g, *inputs = arrays
        return [g, *inputs[3:], *lstm(*inputs, sizes, reverse)[1:]]

    return prepare


def gru_case(sizes: tuple, reverse: bool, n: int, bias: bool) -> list[Case]:
    rows = sum(sizes)
    shapes = ((rows, 3 * n), (sizes[0], n), (3 * n, n), (3 * n,) if bias else None)
    # of numbers 30 times as large sums of up to 10,000 are rounded, whose sigmoids are not yet 0 or 1
    return [
        Case("gru", "gru", shapes, (sizes, reverse), special=False, slack=32),
        Case("gru", "gru_backward", ((rows, n), *shapes), (sizes, reverse),
             after_gru(sizes, reverse), special=False, slack=4),
    ]  # fmt: skip


def after_gru(sizes: tuple, reverse: bool) -> Any:
    def prepare(arrays: list, dtype: Any) -> list:
        from dtrain.backend.kernels.reference.gru import gru

        g, *inputs = arrays
        return [g, inputs[2], *gru(*inputs, sizes, reverse)[1:]]

    return prepare


LAYOUTS = [
    Case("layout", "contiguous", (shape,), (), swapped)
    for shape in ((40, 33), (2, 16, 35), (3, 2), (7,), (0, 3))
]

CASTS = [  # NaN: test_half_precision.py
    Case("casts", "to_bfloat16", (shape,), special=False, integers=True)
    for shape in ((300, 70), (5,), (0, 3))
]

RECURRENT = (
    [
        case
        for sizes, reverse in BATCHES
        for n, projection in ((16, None), (5, None), (4, 3))
        for case in lstm_case(sizes, reverse, n, projection)
    ]
    + [
        case
        for sizes, reverse in BATCHES
        for n, bias in ((16, False), (5, True))
        for case in gru_case(sizes, reverse, n, bias)
    ]
    + [  # tiles of 8, 4 and 1 rows, several panels, sums in two parts
        *lstm_case((13, 6), False, 70, None),
        *gru_case((13, 6), False, 90, True),
    ]
)

STEPS = [
    *(Case("optimizer", "follow_param", (n, n, n), written=(2,)) for n in ((1000,), (1,), (0,))),
    *(Case("optimizer", "sgd", (n, n, n if momentum else None),
           (0.1, momentum, dampening, decay, nesterov, maximize, first), written=range(3))
      for n in ((1000,), (1,), (0,))
      for momentum, dampening, decay, nesterov, maximize, first in (
          (0, 0, 0, False, False, True), (0.9, 0, 0.01, True, False, False), (0.9, 0.3, 0, False, True, False),
          (0.9, 0, 0.1, False, False, True))),
    *(Case("optimizer", "adam", (n, n, n, n, n if amsgrad else None),
           (1e-3, (0.9, 0.999), 1e-8, decay, decoupled, maximize, step), squares, written=range(5))
      for n in ((1000,), (1,), (0,))
      for amsgrad, decay, decoupled, maximize, step in (
          (False, 0, False, False, 1), (True, 0.1, False, True, 3), (False, 0.1, True, False, 100))),
    *(Case("optimizer", "rmsprop", (n, n, n, n if centered else None, n if momentum else None),
           (0.1, 0.9, 1e-8, decay, momentum, maximize), squares_above, written=range(5))
      for n in ((1000,), (1,), (0,))
      for centered, momentum, decay, maximize in (
          (False, 0, 0, False), (False, 0.9, 0.1, True), (True, 0.5, 0.1, False))),
    *(Case("optimizer", name, (n,) * arrays, static, all_squares, written=range(arrays))
      for n in ((1000,), (1,), (0,))
      for name, arrays, static in (
          ("adagrad", 3, (0.1, 1e-10, 0, False)), ("adagrad", 3, (0.1, 1e-3, 0.1, True)),
          ("adadelta", 4, (1.0, 0.9, 1e-6, 0, False)), ("adadelta", 4, (0.5, 0.5, 1e-6, 0.1, True)),
          ("adamax", 4, (0.02, (0.9, 0.999), 1e-8, 0, False)),
          ("adamax", 4, (0.02, (0.5, 0.9), 1e-8, 0.1, True)),
          ("nadam", 4, ((0.01, 0.002), (0.9, 0.999), 1e-8, 0.1, 1, 0.3, False)),
          ("nadam", 4, ((0.01, 0.002), (0.9, 0.999), 1e-8, 0, 0.9, 0.3, True)),
          ("radam", 4, (0.01, (0.9, 0.999), 1e-8, 0.1, 1, 0.0, False)),
          ("radam", 4, (0.01, (0.9, 0.999), 1e-8, 0, 0.9, 0.4, True)),
          ("rprop", 4, ((0.5, 1.2), (1e-6, 50), False)), ("rprop", 4, ((0.3, 1.5), (0.5, 0.8), True)),
          ("asgd", 3, (0.1, 0.99, 1, 0, False)), ("asgd", 3, (0.1, 0.99, 0.25, 0.1, True)))),
]  # fmt: skip

REDUCTIONS = [
    *(Case("reduction", "mean_of_both", (n, n), (scale,), written=range(2))
      for n in ((1000,), (1,), (0,))
      for scale in (1.0, 0.125)),
    *(Case("reduction", "row_means", (shape,), special=False) for shape in ROWS),
]  # fmt: skip

SCANS = [
    Case("scan", "cumsum", (shape,), (axis, reverse), slack=4)
    for shape, axis in (((4, 9), 1), ((70, 9), -1), ((3, 9, 70), 1), ((9, 4), 0), ((7,), 0), ((0, 3), 1))
    for reverse in (False, True)
]  # fmt: skip

REGRESSIONS = [
    Case(
        "losses",
        f"regression_loss{end}",
        (*first, shape, shape),
        (kind, 0.8, 0.25),
        special=not end,
    )
    for shape in (*FLAT, (9000,))
    for kind in ("square", "abs", "huber")
    for end, first in (("", ()), ("_backward", ((),)))
]

SUMS = [
    *(Case("sums", "sum_rows", (shape,), slack=4) for shape in (*ROWS, (2, 9000))),
    *(Case("sums", "column_sums", (shape,)) for shape in (*ROWS, (303, 77), (300, 1))),
]

CASES = [
    *ACTIVATIONS,
    *SOFTMAX,
    *ATTENTION,
    *NORMS,
    *RESAMPLINGS,
    *POOLS,
    *CONVOLUTIONS,
    *EMBEDDINGS,
    *INDEXINGS,
    *JOININGS,
    *SORTINGS,
    *SCANS,
    *REGRESSIONS,
    *SUMS,
    *LAYOUTS,
    *CASTS,
    *RECURRENT,
    *STEPS,
    *REDUCTIONS,
]
