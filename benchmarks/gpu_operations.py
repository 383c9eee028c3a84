"""The operations that gpu.py checks and times, each written once for a module `T` that is dtrain or
torch: a name, a function of T and the inputs, their shapes for a check, and for a timing."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from gpu_device import device_of, is_timed, judge, milliseconds, modules

#: dtype -> the largest relative error, of the norm, that is right
LIMITS = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}


class Operation(NamedTuple):
    name: str
    run: Any
    small: tuple
    large: tuple


def _f(T):
    return T.nn.functional


def _classes(T, x, count):
    """Class numbers for the rows of x."""
    return T.arange(x.shape[0], device=x.device) * 7 % count


def _seen(T, q, k):
    """A mask: which keys a query sees."""
    i, j = (T.arange(x.shape[-2], device=x.device) for x in (q, k))
    return (i[:, None] + j) % 3 > 0


_ROWS, _WIDTH = 8192, 768
_HEADS = (8, 12, 1024, 64)
_IMAGES = (64, 64, 56, 56)


OPERATIONS = (
    Operation(
        "linear", lambda T, x, w, b: _f(T).linear(x, w, b),
        ((65, 33), (17, 33), (17,)), ((_ROWS, _WIDTH), (4 * _WIDTH, _WIDTH), (4 * _WIDTH,)),
    ),
    Operation(
        "matmul of batches", lambda T, x, y: x @ y.transpose(-2, -1),
        ((2, 3, 33, 20), (2, 3, 31, 20)), ((8, 12, 1024, 64), (8, 12, 1024, 64)),
    ),
    Operation(
        "conv 3x3", lambda T, x, w: _f(T).conv2d(x, w, padding=1),
        ((2, 3, 9, 7), (4, 3, 3, 3)), (_IMAGES, (64, 64, 3, 3)),
    ),
    Operation(
        "conv 1x1", lambda T, x, w: _f(T).conv2d(x, w),
        ((2, 3, 9, 7), (4, 3, 1, 1)), (_IMAGES, (256, 64, 1, 1)),
    ),
    Operation(
        "conv 3x3 stride 2", lambda T, x, w, b: _f(T).conv2d(x, w, b, 2, 1),
        ((2, 3, 9, 7), (4, 3, 3, 3), (4,)), (_IMAGES, (128, 64, 3, 3), (128,)),
    ),
    Operation(
        "conv depthwise", lambda T, x, w: _f(T).conv2d(x, w, padding=1, groups=x.shape[1]),
        ((2, 3, 9, 7), (3, 1, 3, 3)), (_IMAGES, (64, 1, 3, 3)),
    ),
    Operation(
        "batch_norm", lambda T, x, w, b: _f(T).batch_norm(x, None, None, w, b, True),
        ((4, 3, 5, 5), (3,), (3,)), (_IMAGES, (64,), (64,)),
    ),
    Operation(
        "layer_norm", lambda T, x, w, b: _f(T).layer_norm(x, w.shape, w, b),
        ((33, 40), (40,), (40,)), ((_ROWS, _WIDTH), (_WIDTH,), (_WIDTH,)),
    ),
    Operation(
        "rms_norm", lambda T, x, w: _f(T).rms_norm(x, w.shape, w),
        ((33, 40), (40,)), ((_ROWS, _WIDTH), (_WIDTH,)),
    ),
    Operation(
        "group_norm", lambda T, x, w, b: _f(T).group_norm(x, 2, w, b),
        ((4, 6, 5, 5), (6,), (6,)), (_IMAGES, (64,), (64,)),
    ),
    Operation("relu", lambda T, x: _f(T).relu(x), ((700,),), ((_ROWS, 4 * _WIDTH),)),
    Operation("gelu", lambda T, x: _f(T).gelu(x), ((700,),), ((_ROWS, 4 * _WIDTH),)),
    Operation("silu", lambda T, x: _f(T).silu(x), ((700,),), ((_ROWS, 4 * _WIDTH),)),
    Operation("softmax", lambda T, x: _f(T).softmax(x, -1), ((70, 33),), ((96, 1024, 1024),)),
    Operation(
        "attention, causal",
        lambda T, q, k, v: _f(T).scaled_dot_product_attention(q, k, v, is_causal=True),
        ((2, 2, 33, 8),) * 3, (_HEADS,) * 3,
    ),
    Operation(
        "attention with a mask",
        lambda T, q, k, v, mask: _f(T).scaled_dot_product_attention(q, k, v, mask),
        (*((2, 2, 33, 8),) * 3, (33, 33)), (*(_HEADS,) * 3, (1024, 1024)),
    ),
    Operation(
        "attention, bool mask",
        lambda T, q, k, v: _f(T).scaled_dot_product_attention(q, k, v, _seen(T, q, k)),
        ((2, 2, 33, 80),) * 3, (_HEADS,) * 3,
    ),
    Operation(
        "attention, shared heads",
        lambda T, q, k, v: _f(T).scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=True
        ),
        ((2, 4, 33, 128), *((2, 2, 33, 128),) * 2), ((4, 32, 1024, 128), *((4, 8, 1024, 128),) * 2),
    ),
    Operation(
        "max_pool", lambda T, x: _f(T).max_pool2d(x, 3, 2, 1),
        ((2, 3, 9, 7),), ((64, 64, 112, 112),),
    ),
    Operation("avg_pool", lambda T, x: _f(T).avg_pool2d(x, 2), ((2, 3, 8, 6),), (_IMAGES,)),
    Operation(
        "cross_entropy", lambda T, x: _f(T).cross_entropy(x, _classes(T, x, x.shape[1])),
        ((64, 33),), ((_ROWS, 50257),),
    ),
    Operation(
        "embedding", lambda T, w: _f(T).embedding(_classes(T, T.ones(900, device=w.device), 20), w),
        ((20, 33),), ((50257, _WIDTH),),
    ),
    Operation(
        "x[index]", lambda T, x: x[_classes(T, T.ones(900, device=x.device), 20)],
        ((20, 33),), ((_ROWS, _WIDTH),),
    ),
    Operation(
        "chunk and cat", lambda T, x: T.cat(x.chunk(3, -1)[::-1], 0),
        ((33, 60),), ((_ROWS, 3 * _WIDTH),),
    ),
    Operation("sum and mean", lambda T, x: x.sum(0) + x.mean(), ((300, 33),), ((_ROWS, _WIDTH),)),
    Operation(
        "x * y + z", lambda T, x, y, z: x * y + z,
        ((33, 40), (40,), (33, 1)), ((_ROWS, _WIDTH), (_WIDTH,), (_ROWS, 1)),
    ),
)  # fmt: skip


def operations(dtype):
    """The results and gradients of each operation beside those in float64 on the CPU, and its
    times, forward and both ways, beside PyTorch's."""
    dtrain, torch = modules()
    for operation in OPERATIONS:
        print(f"{dtype:9}{operation.name:24}", end="", flush=True)
        try:
            expected = run_operation(torch or dtrain, operation, operation.small, dtype, "float64")
            given = run_operation(dtrain, operation, operation.small, dtype)
            print(judge(relative_error(given, expected), LIMITS[dtype]), end="")
            if torch and is_timed(torch):
                print("  ms" + "".join(times_beside(operation, dtype)), end="")
        except Exception as error:
            print(f"FAILED {type(error).__name__}: {str(error)[:120]!r}", end="")
        print(flush=True)


def times_beside(operation, dtype):
    """The times of dtrain and PyTorch with large inputs, and their difference."""
    dtrain, torch = modules()
    inputs = {T: make_inputs(T, operation.large, dtype) for T in (dtrain, torch)}

    def forward(T):
        return operation.run(T, *inputs[T])

    def both_ways(T):
        out = forward(T)
        out.backward(T.ones_like(out))

    for work in forward, both_ways:
        ours, theirs = (milliseconds(T, partial(work, T)) for T in inputs)
        yield f" {ours:8.3f} / {theirs:8.3f} = {ours / theirs:5.1f}"
    results = [run_operation(T, operation, operation.large, dtype) for T in (dtrain, torch)]
    yield "  large " + judge(relative_error(*results), 10 * LIMITS[dtype])
    dtrain.cuda.empty_cache()
    torch.cuda.empty_cache()


def make_inputs(T, shapes, dtype, computed_in=None):
    """Inputs that `dtype` holds exactly; in another dtype, on the CPU, if `computed_in`."""
    dtrain, _ = modules()
    rng, inputs = np.random.default_rng(0), []
    for shape in shapes:
        values = rng.standard_normal(shape).astype("float32")
        values = dtrain.from_numpy(values).to(getattr(dtrain, dtype)).to(dtrain.float32).numpy()
        x = T.from_numpy(values).to(getattr(T, computed_in or dtype))
        inputs.append(x.to("cpu" if computed_in else device_of(T)).requires_grad_())
    return inputs


def run_operation(T, operation, shapes, dtype, computed_in=None):
    """The output and the gradients of the inputs: arrays of float64."""
    inputs = make_inputs(T, shapes, dtype, computed_in)
    out = operation.run(T, *inputs)
    values = T.arange(out.numel(), device=out.device) % 7 - 3
    out.backward(values.reshape(out.shape).to(out.dtype))
    tensors = [out.detach(), *(x.grad for x in inputs)]
    return [x.to("cpu").to(T.float64).numpy() for x in tensors]


def relative_error(given, expected):
    norm = np.linalg.norm
    return max(norm((a - b).ravel()) / (norm(b.ravel()) or 1) for a, b in zip(given, expected))
