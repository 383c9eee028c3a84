"""A stand-in for the package `cudnn` of nvidia-cudnn-frontend 1.16 to 1.18, on host memory.

It has the part of the graph interface that convolutions and attention use, under the bindings' own
names, and computes with NumPy. It refuses what cuDNN refuses: steps out of order, shapes, strides
and types that do not belong together, unaligned or missing pointers, another thread's handle, a
stream that was not set. Each operation has several engines; which one ran shows in `executed`, and
in its results: those of an engine that is not deterministic change from run to run.

    sys.modules["cudnn"] = cudnn_frontend
"""

import ctypes
import enum
import math
import threading

import ml_dtypes
import numpy as np

_Names = "FLOAT HALF BFLOAT16"
data_type = enum.Enum("data_type", ["NOT_SET", *_Names.split()])
heur_mode = enum.Enum("heur_mode", ["A", "B", "FALLBACK"])
build_plan_policy = enum.Enum("build_plan_policy", ["HEURISTICS_CHOICE", "ALL"])
numerical_note = enum.Enum(
    "numerical_note",
    ["TENSOR_CORE", "DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "FFT", "NONDETERMINISTIC",
     "WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13"],
)
_DTYPES = {data_type.FLOAT: np.dtype(np.float32), data_type.HALF: np.dtype(np.float16),
           data_type.BFLOAT16: np.dtype(ml_dtypes.bfloat16)}
_Note = numerical_note
#: name, notes, bytes of workspace: in the order of cuDNN's preference
_ENGINES = [
    ("atomic", {_Note.NONDETERMINISTIC}, 0),
    ("half_sums", {_Note.REDUCED_PRECISION_REDUCTION, _Note.TENSOR_CORE}, 0),
    ("huge", set(), 1 << 40),
    ("winograd", {_Note.WINOGRAD_TILE_6x6}, 1 << 16),
    ("tensor_core", {_Note.TENSOR_CORE}, 4096),
    ("plain", set(), 1000),
]
_STREAM_UNSET = object()
_handles = {}  # handle -> [its thread, its stream]
#: (operation, engine) of each execution; operations that have no engine, which tests fill.
executed, unsupported = [], set()
#: How many graphs were built.
built = []


class cudnnGraphNotSupportedError(Exception):
    """No engine computes the graph."""


def backend_version():
    return 91800


def create_handle():
    handle = 1000 + len(_handles)
    _handles[handle] = [threading.get_ident(), _STREAM_UNSET]
    return handle


def set_stream(handle, stream):
    _own(handle)[1] = int(stream)


def _own(handle):
    state = _handles[handle]
    _require(state[0] == threading.get_ident(), "a handle is used by a thread that did not create it")
    return state


def _require(holds, message):
    if not holds:
        raise RuntimeError(f"cudnn: {message}")


class tensor:
    """A tensor of a graph: its shape, strides, dtype and identifier."""

    def __init__(self, dim=(), stride=(), kind=data_type.NOT_SET, uid=-1, given=False):
        self.dim, self.stride, self.kind, self.uid, self.given = [*dim], [*stride], kind, uid, given
        self.is_output = False

    def set_output(self, value):
        self.is_output = value
        return self

    def set_dim(self, dim):
        assert type(dim) is list and all(type(n) is int for n in dim)
        self.dim = dim
        return self

    def set_stride(self, stride):
        assert type(stride) is list and all(type(n) is int for n in stride)
        self.stride = stride
        return self

    def set_data_type(self, kind):
        assert isinstance(kind, data_type)
        self.kind = kind
        return self

    def set_uid(self, uid):
        self.uid = uid
        return self

    def _check(self):
        _require(len(self.dim) == len(self.stride) > 0, f"dim {self.dim}, stride {self.stride}")
        _require(min(self.dim) > 0 and min(self.stride) > 0, f"{self.dim} in steps {self.stride}")
        _require(self.kind in _DTYPES, f"data type {self.kind}")
        _require(self.uid > 0, "a tensor has no uid")

    def _view(self, pointer):
        """The memory at a device pointer, which is host memory, as an array."""
        _require(type(pointer) is int and pointer > 0, f"pointer {pointer!r}")
        _require(pointer % 16 == 0, "a pointer is not aligned to 16 bytes")
        dtype = _DTYPES[self.kind]
        span = 1 + sum((n - 1) * step for n, step in zip(self.dim, self.stride))
        memory = (ctypes.c_char * (span * dtype.itemsize)).from_address(pointer)
        steps = [step * dtype.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(np.frombuffer(memory, dtype), self.dim, steps)


class pygraph:
    """A graph of one operation."""

    _STEPS = ("defined", "validated", "operation graph", "plans", "supported", "built")

    def __init__(self, name="", io_data_type=data_type.NOT_SET,
                 intermediate_data_type=data_type.NOT_SET, compute_data_type=data_type.NOT_SET,
                 handle=None):
        _own(handle)
        _require(compute_data_type is data_type.FLOAT, "sums are not in float32")
        self.step, self.excluded, self.limit = 0, set(), math.inf
        self.inputs, self.operation = [], None

    def tensor(self, dim, stride, data_type=data_type.NOT_SET, uid=-1):
        made = tensor(uid=uid, given=True)
        self.inputs.append(made.set_dim(dim).set_stride(stride).set_data_type(data_type))
        return made

    def _define(self, name, compute, check, outputs, **ports):
        _require(self.operation is None, "a graph of one operation")
        self.operation = name, compute, check, outputs, ports
        return outputs

    def conv_fprop(self, image, weight, padding=(), stride=(), dilation=()):
        how = _windows(padding, stride, dilation)
        out = tensor(kind=image.kind)
        return self._define("conv_fprop", lambda x, w: [_fprop(x, w, **how)],
                            lambda: _check_conv(image, weight, out, how), [out], x=image, w=weight)[0]

    def conv_dgrad(self, loss, filter, padding=(), stride=(), dilation=()):
        how = _windows(padding, stride, dilation)
        out = tensor(kind=loss.kind)
        return self._define("conv_dgrad", lambda g, w: [_dgrad(g, w, out.dim, **how)],
                            lambda: _check_conv(out, filter, loss, how), [out], g=loss, w=filter)[0]

    def conv_wgrad(self, image, loss, padding=(), stride=(), dilation=()):
        how = _windows(padding, stride, dilation)
        out = tensor(kind=image.kind)
        return self._define("conv_wgrad", lambda x, g: [_wgrad(x, g, out.dim, **how)],
                            lambda: _check_conv(image, out, loss, how), [out], x=image, g=loss)[0]

    def sdpa(self, q, k, v, attn_scale=None, diagonal_band_right_bound=None, generate_stats=None):
        _require(generate_stats is True, "attention without its statistics")
        outputs = [tensor(kind=q.kind), tensor()]
        how = attn_scale, _causal(diagonal_band_right_bound)
        return self._define("sdpa", lambda q, k, v: _attention(q, k, v, *how),
                            lambda: _check_attention(q, k, v, *outputs), outputs, q=q, k=k, v=v)

    def sdpa_backward(self, q, k, v, o, dO, stats, attn_scale=None, diagonal_band_right_bound=None,
                      use_deterministic_algorithm=False):
        _require(use_deterministic_algorithm is True, "a backward pass that is not deterministic")
        outputs = [tensor(kind=q.kind) for _ in range(3)]
        how = attn_scale, _causal(diagonal_band_right_bound)

        def check():
            _check_attention(q, k, v, o, stats)
            _require(dO.dim == o.dim, f"gradient {dO.dim} of an output {o.dim}")
            for x, grad in zip((q, k, v), outputs):
                _require(x.dim == grad.dim, f"gradient {grad.dim} of {x.dim}")

        return self._define(
            "sdpa_backward", lambda *arrays: _attention_backward(*arrays, *how), check, outputs,
            q=q, k=k, v=v, o=o, dO=dO, stats=stats)

    def _advance(self, name):
        after = self._STEPS.index(name)
        _require(self.step == after - 1, f"{name} after {self._STEPS[self.step]}")
        self.step = after

    def validate(self):
        self._advance("validated")
        _, _, check, outputs, ports = self.operation
        _require({*map(id, ports.values())} == {*map(id, self.inputs)}, "a tensor is not used")
        for each in (*self.inputs, *outputs):
            each._check()
            _require(each.given or each.is_output, "a result is not an output of the graph")
        uids = [each.uid for each in (*self.inputs, *outputs)]
        _require(len({*uids}) == len(uids), f"uids {uids}")
        check()

    def build_operation_graph(self):
        self._advance("operation graph")

    def create_execution_plans(self, modes):
        self._advance("plans")
        _require(modes and all(isinstance(mode, heur_mode) for mode in modes), f"modes {modes}")

    def deselect_numeric_notes(self, notes):
        _require(self.step == self._STEPS.index("plans"), "notes before there are plans")
        self.excluded.update(notes)

    def deselect_workspace_greater_than(self, limit):
        self.limit = limit

    def check_support(self):
        self._advance("supported")
        left = [engine for engine in _ENGINES if not engine[1] & self.excluded]
        left = [engine for engine in left if engine[2] <= self.limit]
        if self.operation[0] in unsupported or not left:
            raise cudnnGraphNotSupportedError(f"no engine for {self.operation[0]}")
        self.engine = left[0]

    def build_plans(self, policy):
        self._advance("built")
        _require(policy is build_plan_policy.HEURISTICS_CHOICE, f"policy {policy}")
        built.append(self.operation[0])

    def get_workspace_size(self):
        _require(self.step == self._STEPS.index("built"), "the graph is not built")
        return self.engine[2]

    def execute(self, pointers, workspace, handle=None):
        import cupy

        _require(self.step == self._STEPS.index("built"), "the graph is not built")
        stream = _own(handle)[1]
        _require(stream == cupy.cuda.get_current_stream().ptr, "not on the current stream")
        cupy.cuda.runtime.streamSynchronize(stream)  # what was launched before
        name, compute, _, outputs, ports = self.operation
        uids = {each.uid for each in (*ports.values(), *outputs)}
        _require(uids == {*pointers}, f"pointers of {sorted(pointers)}, tensors {sorted(uids)}")
        engine, notes, size = self.engine
        if size:
            _require(type(workspace) is int and workspace > 0, f"workspace {workspace!r}")
            ctypes.memset(workspace, 0xFF, size)
        given = [_rounded(each._view(pointers[each.uid]), notes) for each in ports.values()]
        for each, result in zip(outputs, compute(*given)):
            if _Note.NONDETERMINISTIC in notes:
                result = result + np.random.default_rng().normal(size=result.shape)
            each._view(pointers[each.uid])[...] = result.astype(_DTYPES[each.kind])
        executed.append((name, engine))


def _rounded(x, notes):
    """An input as an engine reads it, in float32: tensor cores round it to TensorFloat32."""
    x = np.array(x, np.float32)
    if _Note.TENSOR_CORE in notes:
        x = (x.view(np.uint32) + np.uint32(0x1000) & np.uint32(0xFFFFE000)).view(np.float32)
    return x


def _windows(padding, stride, dilation):
    for pair in (padding, stride, dilation):
        assert type(pair) is list and len(pair) == 2 and all(type(n) is int for n in pair)
    return {"padding": padding, "stride": stride, "dilation": dilation}


def _check_conv(x, w, y, how):
    kinds = {x.kind, w.kind, y.kind}
    _require(len(x.dim) == len(w.dim) == len(y.dim) == 4 and len(kinds) == 1, f"types {kinds}")
    _require(x.dim[1] % w.dim[1] == 0 and w.dim[0] % (x.dim[1] // w.dim[1]) == 0, "groups")
    expected = [x.dim[0], w.dim[0]]
    for axis, (pad, step, wide) in enumerate(zip(*how.values()), 2):
        expected.append((x.dim[axis] + 2 * pad - wide * (w.dim[axis] - 1) - 1) // step + 1)
    _require(y.dim == expected, f"output {y.dim}, expected {expected}")


def _fprop(x, w, padding, stride, dilation):
    patches, w = _patches(x, w.shape, padding, stride, dilation), _grouped(w, x.shape[1])
    out = np.einsum("ngcyxij,gmcij->ngmyx", patches, w, optimize=True)
    return out.reshape(len(x), -1, *out.shape[3:])


def _wgrad(x, g, shape, padding, stride, dilation):
    patches = _patches(x, shape, padding, stride, dilation)
    g = g.reshape(len(g), patches.shape[1], -1, *g.shape[2:])
    return np.einsum("ngcyxij,ngmyx->gmcij", patches, g, optimize=True).reshape(shape)


def _dgrad(g, w, shape, padding, stride, dilation):
    (n, c, *hw), (kh, kw) = shape, w.shape[2:]
    w = _grouped(w, c)
    g = g.reshape(n, len(w), -1, *g.shape[2:])
    out = np.zeros((n, c, *(size + 2 * pad for size, pad in zip(hw, padding))), np.float32)
    for i in range(kh):
        for j in range(kw):
            part = np.einsum("ngmyx,gmc->ngcyx", g, w[..., i, j], optimize=True)
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * g.shape[3], stride[0])
            out[:, :, rows, left : left + stride[1] * g.shape[4] : stride[1]] += part.reshape(
                n, c, *g.shape[3:])
    top, left = padding
    return out[:, :, top : top + hw[0], left : left + hw[1]]


def _grouped(w, channels):
    """(m, c / groups, kh, kw) as (groups, m / groups, c / groups, kh, kw)."""
    return w.reshape(channels // w.shape[1], -1, *w.shape[1:])


def _patches(x, shape, padding, stride, dilation):
    """(n, groups, c / groups, oh, ow, kh, kw) of x, (n, c, h, w), by a weight of this shape."""
    x = np.pad(x, ((0, 0), (0, 0), *((pad, pad) for pad in padding)))
    wide = [d * (size - 1) + 1 for d, size in zip(dilation, shape[2:])]
    windows = np.lib.stride_tricks.sliding_window_view(x, wide, (2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return windows.reshape(len(x), -1, shape[1], *windows.shape[2:])


def _causal(bound):
    _require(bound in (None, 0), f"band {bound}")
    return bound == 0


def _check_attention(q, k, v, o, stats):
    (n, heads, t, d), (_, shared, s, e) = q.dim, v.dim
    _require(k.dim == [n, shared, s, d] and heads % shared == 0, f"keys {k.dim}, values {v.dim}")
    _require(q.kind is not data_type.FLOAT and q.kind == k.kind == v.kind == o.kind, "halves")
    _require(d % 8 == 0 and e % 8 == 0, f"heads {d} and {e} wide")
    _require(o.dim == [n, heads, t, e], f"output {o.dim}")
    _require((stats.dim, stats.kind) == ([n, heads, t, 1], data_type.FLOAT), f"stats {stats.dim}")
    _require(all(x.stride[3] == 1 for x in (q, k, v, o)), "elements of a row lie apart")


def _attention(q, k, v, scale, causal):
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = _scores(q, k, scale, causal)
    top = scores.max(-1, keepdims=True)
    sums = np.exp(scores - top).sum(-1, keepdims=True)
    return np.exp(scores - top) / sums @ v, top + np.log(sums)


def _attention_backward(q, k, v, o, g, stats, scale, causal):
    shared = k.shape[1]
    k, v = (np.repeat(x, q.shape[1] // shared, 1) for x in (k, v))
    weights = np.exp(_scores(q, k, scale, causal) - stats)
    along = (g * o).sum(-1, keepdims=True)
    of_scores = weights * (g @ v.swapaxes(2, 3) - along) * scale
    of_k, of_v = of_scores.swapaxes(2, 3) @ q, weights.swapaxes(2, 3) @ g
    return of_scores @ k, *(x.reshape(len(x), shared, -1, *x.shape[2:]).sum(2) for x in (of_k, of_v))


def _scores(q, k, scale, causal):
    scores = q @ k.swapaxes(2, 3) * np.float32(scale)
    return np.where(np.tri(*scores.shape[2:], dtype=bool), scores, -np.inf) if causal else scores
