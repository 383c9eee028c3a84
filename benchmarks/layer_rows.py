"""The rows of layers.py: the calls that are timed, as functions of `T`, the module dtrain or torch.

ROWS: name -> context manager of T. It yields {direction: function}; the function is one call.
"""

import contextlib
import functools
import os
import tempfile

ROWS = {}


def add(name, prepare):
    """Add a row; prepare(T) returns {direction: function}."""

    @contextlib.contextmanager
    def row(T):
        T.manual_seed(0)
        yield prepare(T)

    ROWS[name] = row


def both_ways(T, call, wanted, arguments):
    """Forward with the graph, and forward and backward to `wanted`."""
    with T.no_grad():
        gradient = T.randn(tuple(call(*arguments).shape))

    def both():
        out = call(*arguments)
        out.backward(gradient)
        for x in wanted:
            x.grad = None

    return {"forward": lambda: call(*arguments), "both": both}


def operation(name, shapes, call, indices=()):
    """A function of tensors; indices: (shape, limit) of integer tensors after them."""

    def prepare(T):
        tensors = [T.randn(*shape).requires_grad_() for shape in shapes]
        integers = [T.randint(0, limit, shape) for shape, limit in indices]
        return both_ways(T, functools.partial(call, T), tensors, (*tensors, *integers))

    add(name, prepare)


def function(name, *shapes, label="", **options):
    """A function of torch.nn.functional."""
    size = "x".join(map(str, shapes[0]))
    operation(
        f"{label or name} {size}",
        shapes,
        lambda T, *xs: getattr(T.nn.functional, name)(*xs, **options),
    )


def layer(name, make, shape, first=lambda out: out):
    """A module on an input of a shape; the gradients go to the input and to the parameters."""

    def prepare(T):
        module, x = make(T.nn), T.randn(*shape).requires_grad_()
        return both_ways(T, lambda x: first(module(x)), [x, *module.parameters()], (x,))

    add(f"{name} {'x'.join(map(str, shape))}", prepare)


def first_of(out):
    return out[0]


# --- activations ---

for _name in ("relu", "gelu", "silu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus",
              "hardswish", "mish", "hardtanh", "logsigmoid"):  # fmt: skip
    function(_name, (512, 1024))
for _name in ("relu", "gelu", "silu", "leaky_relu", "sigmoid", "tanh", "elu"):
    function(_name, (16, 64))
function("softmax", (4096, 256), dim=-1)
function("softmax", (32, 10), dim=-1)
function("log_softmax", (512, 1024), dim=-1)
function("glu", (512, 1024), dim=-1)

# --- normalization ---

for _shape in ((1024, 256), (16, 32)):
    layer("layer_norm", lambda nn, n=_shape[1]: nn.LayerNorm(n), _shape)
    layer("rms_norm", lambda nn, n=_shape[1]: nn.RMSNorm(n), _shape)
layer("batch_norm1d", lambda nn: nn.BatchNorm1d(32), (64, 32))
layer("batch_norm1d", lambda nn: nn.BatchNorm1d(512), (256, 512))
layer("batch_norm2d", lambda nn: nn.BatchNorm2d(64), (16, 64, 32, 32))
layer("batch_norm2d", lambda nn: nn.BatchNorm2d(256), (32, 256, 4, 4))
layer("group_norm", lambda nn: nn.GroupNorm(8, 64), (8, 64, 32, 32))
layer("instance_norm", lambda nn: nn.InstanceNorm2d(32), (8, 32, 32, 32))

# --- convolutions ---

layer("conv 3x3", lambda nn: nn.Conv2d(64, 64, 3, padding=1), (8, 64, 28, 28))
layer("conv 3x3 first", lambda nn: nn.Conv2d(3, 32, 3, padding=1), (16, 3, 32, 32))
layer("conv 3x3 wide", lambda nn: nn.Conv2d(512, 512, 3, padding=1), (4, 512, 7, 7))
layer("conv 3x3 tiny", lambda nn: nn.Conv2d(8, 8, 3, padding=1), (4, 8, 8, 8))
layer("conv 3x3 stride 2", lambda nn: nn.Conv2d(64, 128, 3, 2, padding=1), (8, 64, 28, 28))
layer("conv 7x7 stride 2", lambda nn: nn.Conv2d(3, 64, 7, 2, padding=3), (4, 3, 112, 112))
layer("conv 5x5", lambda nn: nn.Conv2d(32, 32, 5, padding=2), (8, 32, 28, 28))
layer("conv 1x1", lambda nn: nn.Conv2d(64, 128, 1), (8, 64, 28, 28))
layer("conv dilated", lambda nn: nn.Conv2d(32, 32, 3, padding=2, dilation=2), (8, 32, 32, 32))
layer("conv groups 4", lambda nn: nn.Conv2d(64, 64, 3, padding=1, groups=4), (8, 64, 28, 28))
layer("depthwise 3x3", lambda nn: nn.Conv2d(64, 64, 3, padding=1, groups=64), (8, 64, 28, 28))
layer("depthwise 3x3 stride 2", lambda nn: nn.Conv2d(64, 64, 3, 2, 1, groups=64), (8, 64, 28, 28))
layer("depthwise 7x7", lambda nn: nn.Conv2d(64, 64, 7, padding=3, groups=64), (8, 64, 28, 28))
layer("patches 16x16", lambda nn: nn.Conv2d(3, 128, 16, 16), (8, 3, 64, 64))
layer("depthwise 3x3", lambda nn: nn.Conv2d(256, 256, 3, padding=1, groups=256), (8, 256, 7, 7))
layer("conv 3x3", lambda nn: nn.Conv2d(128, 128, 3, padding=1), (8, 128, 14, 14))
layer("conv 1x1 stride 2", lambda nn: nn.Conv2d(64, 128, 1, 2), (8, 64, 56, 56))
layer("conv 1x1 expand", lambda nn: nn.Conv2d(16, 96, 1), (8, 16, 56, 56))
layer("conv 3x3 groups 32", lambda nn: nn.Conv2d(128, 128, 3, 1, 1, groups=32), (8, 128, 14, 14))
layer("conv 3x3 stem", lambda nn: nn.Conv2d(3, 32, 3, 2, padding=1), (8, 3, 112, 112))
layer("patches 4x4", lambda nn: nn.Conv2d(3, 96, 4, 4), (8, 3, 64, 64))
layer("patches 2x2", lambda nn: nn.Conv2d(96, 192, 2, 2), (8, 96, 28, 28))
layer("conv1d stem", lambda nn: nn.Conv1d(1, 64, 10, 5), (8, 1, 16000))
layer("conv1d stride 2", lambda nn: nn.Conv1d(64, 64, 3, 2), (8, 64, 3200))
layer("conv1d", lambda nn: nn.Conv1d(32, 64, 3, padding=1), (8, 32, 256))
layer("conv1d long", lambda nn: nn.Conv1d(1, 32, 15, 4, padding=7), (8, 1, 8000))
layer("conv3d", lambda nn: nn.Conv3d(8, 16, 3, padding=1), (2, 8, 12, 16, 16))
layer("conv transpose", lambda nn: nn.ConvTranspose2d(64, 32, 2, 2), (8, 64, 14, 14))
layer("conv transpose 4x4", lambda nn: nn.ConvTranspose2d(64, 32, 4, 2, 1), (8, 64, 14, 14))

# --- pooling, padding, resampling ---

layer("max_pool 2x2", lambda nn: nn.MaxPool2d(2), (16, 64, 32, 32))
layer("max_pool 3x3", lambda nn: nn.MaxPool2d(3, 2, 1), (8, 64, 56, 56))
layer("max_pool1d", lambda nn: nn.MaxPool1d(4), (8, 32, 2000))
layer("avg_pool 2x2", lambda nn: nn.AvgPool2d(2), (16, 64, 32, 32))
layer("adaptive_avg_pool", lambda nn: nn.AdaptiveAvgPool2d(1), (16, 128, 8, 8))
layer("upsample nearest", lambda nn: nn.Upsample(scale_factor=2), (8, 32, 16, 16))
layer("upsample bilinear", lambda nn: nn.Upsample(scale_factor=2, mode="bilinear"), (8, 32, 16, 16))
function("pad", (16, 32, 32, 32), pad=(1, 1, 1, 1))

# --- recurrent layers, linear layers, attention ---

layer("lstm 2x256", lambda nn: nn.LSTM(128, 256, 2), (64, 16, 128), first_of)
layer("lstm bidirectional", lambda nn: nn.LSTM(64, 64, bidirectional=True), (32, 8, 64), first_of)
layer("lstm small", lambda nn: nn.LSTM(16, 32), (20, 4, 16), first_of)
layer("gru 256", lambda nn: nn.GRU(128, 256), (64, 16, 128), first_of)
layer("gru small", lambda nn: nn.GRU(16, 32), (20, 4, 16), first_of)
layer("rnn 128", lambda nn: nn.RNN(64, 128), (32, 16, 64), first_of)
layer("lstm_cell", lambda nn: nn.LSTMCell(32, 32), (8, 32), first_of)
layer("gru_cell", lambda nn: nn.GRUCell(32, 32), (8, 32))
layer("linear", lambda nn: nn.Linear(512, 512), (128, 512))
layer("linear tiny", lambda nn: nn.Linear(8, 8), (4, 8))
operation("attention", [(8, 8, 128, 32)] * 3,
          lambda T, q, k, v: T.nn.functional.scaled_dot_product_attention(q, k, v))  # fmt: skip
operation("attention causal", [(8, 8, 128, 32)] * 3, lambda T, q, k, v:
          T.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))  # fmt: skip
layer("transformer layer", lambda nn: nn.TransformerEncoderLayer(128, 4, 256, 0.0),
      (64, 8, 128))  # fmt: skip
operation("matmul 256", [(256, 256)] * 2, lambda T, x, y: x @ y)
operation("bmm small", [(64, 8, 8)] * 2, lambda T, x, y: T.bmm(x, y))
operation("einsum small", [(16, 8, 8), (16, 8, 8)], lambda T, x, y: T.einsum("bij,bjk->bik", x, y))
operation("dropout 512x1024", [(512, 1024)], lambda T, x: T.nn.functional.dropout(x, 0.1))

# --- losses ---

operation("cross_entropy 1024x1000", [(1024, 1000)],
          lambda T, x, y: T.nn.functional.cross_entropy(x, y), [((1024,), 1000)])  # fmt: skip
operation("cross_entropy 32x10", [(32, 10)],
          lambda T, x, y: T.nn.functional.cross_entropy(x, y), [((32,), 10)])  # fmt: skip
for _name in (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy_with_logits",
):
    function(_name, (256, 1024), (256, 1024))
function("mse_loss", (16, 8), (16, 8))
operation("kl_div 256x1024", [(256, 1024)] * 2, lambda T, x, y: T.nn.functional.kl_div(
    x.log_softmax(-1), y.softmax(-1), reduction="batchmean"))  # fmt: skip

# --- indexing, joining, moving ---

operation("embedding 64x128", [(10000, 128)], lambda T, w, i: T.nn.functional.embedding(i, w),
          [((64, 128), 10000)])  # fmt: skip
operation("gather 512x256", [(512, 1024)], lambda T, x, i: x.gather(1, i), [((512, 256), 1024)])
operation("scatter_add 512x256", [(512, 1024), (512, 256)],
          lambda T, x, v, i: x.scatter_add(1, i, v), [((512, 256), 1024)])  # fmt: skip
operation("index_select 0", [(2048, 256)], lambda T, x, i: x.index_select(0, i), [((1024,), 2048)])
operation("index_select 1", [(256, 2048)], lambda T, x, i: x.index_select(1, i), [((1024,), 2048)])
operation("index_add 0", [(2048, 256), (1024, 256)], lambda T, x, v, i: x.index_add(0, i, v),
          [((1024,), 2048)])  # fmt: skip
operation("x[index]", [(2048, 256)], lambda T, x, i: x[i], [((1024,), 2048)])
operation("topk 256x4096", [(256, 4096)], lambda T, x: x.topk(10)[0])
operation("sort 256x1024", [(256, 1024)], lambda T, x: x.sort(-1)[0])
operation("cumsum 512x1024", [(512, 1024)], lambda T, x: x.cumsum(1))
operation("cumsum 0", [(512, 1024)], lambda T, x: x.cumsum(0))
operation("cat 8x64x256", [(64, 256)] * 8, lambda T, *xs: T.cat(xs, 1))
operation("cat 0", [(64, 256)] * 8, lambda T, *xs: T.cat(xs, 0))
operation("stack 8x64x256", [(64, 256)] * 8, lambda T, *xs: T.stack(xs))
operation("split 512x1024", [(512, 1024)], lambda T, x: sum(T.split(x, 128, 1)[1:]))
operation("transpose contiguous", [(1024, 512)], lambda T, x: x.t().contiguous())
operation("permute contiguous", [(8, 128, 8, 32)], lambda T, x: x.permute(0, 2, 1, 3).contiguous())
operation("where 512x1024", [(512, 1024)] * 2, lambda T, x, y: T.where(x > 0, x, y))
operation("masked_fill 512x1024", [(512, 1024)], lambda T, x: x.masked_fill(x > 0, 0.0))
operation("repeat 128x256", [(128, 256)], lambda T, x: x.repeat(2, 2))
operation("max 512x1024", [(512, 1024)], lambda T, x: x.max(1)[0])

# --- arithmetic ---

operation("add tiny", [(10, 10)] * 2, lambda T, x, y: x + y)
operation("mul tiny", [(10, 10)] * 2, lambda T, x, y: x * y)
operation("add 512x1024", [(512, 1024)] * 2, lambda T, x, y: x + y)
operation("add row 512x1024", [(512, 1024), (1024,)], lambda T, x, y: x + y)
operation("mul 512x1024", [(512, 1024)] * 2, lambda T, x, y: x * y)
operation("div 512x1024", [(512, 1024)] * 2, lambda T, x, y: x / (y * y + 1))
operation("exp 512x1024", [(512, 1024)], lambda T, x: x.exp())
operation("sqrt 512x1024", [(512, 1024)], lambda T, x: (x * x + 1).sqrt())
operation("pow 512x1024", [(512, 1024)], lambda T, x: x**3)
operation("sum 512x1024", [(512, 1024)], lambda T, x: x.sum())
operation("mean dim 512x1024", [(512, 1024)], lambda T, x: x.mean(0))
operation("var 512x1024", [(512, 1024)], lambda T, x: x.var(1))
operation("clamp 512x1024", [(512, 1024)], lambda T, x: x.clamp(-1, 1))

# --- optimizers and clipping ---


def parameters(T, count, size):
    made = [T.randn(*size).requires_grad_() for _ in range(count)]
    for x in made:
        x.grad = T.randn(*size)
    return made


def optimizer(name, make, count, size):
    def prepare(T):
        return {"step": make(T, parameters(T, count, size)).step}

    add(f"{name} {count}x{'x'.join(map(str, size))}", prepare)


for _count, _size in ((200, (32, 32)), (2, (1024, 1024))):
    optimizer("SGD", lambda T, p: T.optim.SGD(p, 1e-3, momentum=0.9), _count, _size)
    optimizer("Adam", lambda T, p: T.optim.Adam(p, 1e-3), _count, _size)
    optimizer("AdamW", lambda T, p: T.optim.AdamW(p, 1e-3), _count, _size)
    optimizer("RMSprop", lambda T, p: T.optim.RMSprop(p, 1e-3), _count, _size)


def clipping(count, size, in_optimizer):
    def prepare(T):
        params = parameters(T, count, size)
        owner = T.optim.SGD(params, 0.1) if in_optimizer else None
        return {"step": lambda: (owner, T.nn.utils.clip_grad_norm_(params, 1.0))}

    add(
        f"clip_grad_norm_ {count}x{'x'.join(map(str, size))}{'' if in_optimizer else ' alone'}",
        prepare,
    )


for _in_optimizer in (True, False):
    clipping(200, (32, 32), _in_optimizer)
    clipping(4, (1024, 1024), _in_optimizer)

# --- the loader, files ---


def loader(T):
    data = T.utils.data
    dataset = data.TensorDataset(T.randn(10000, 16), T.randint(0, 10, (10000,)))

    def epoch():
        for _ in data.DataLoader(dataset, batch_size=64, shuffle=True):
            pass

    return {"epoch": epoch}


add("loader 10000", loader)


@contextlib.contextmanager
def files(T):
    """A state of 64 MB, saved and loaded."""
    state = {f"layer{i}": T.randn(1024, 1024) for i in range(16)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.pt")
        T.save(state, path)
        yield {"save": lambda: T.save(state, path), "load": lambda: T.load(path)}


ROWS["files 64 MB"] = files
