"""Autocast: which functions compute in which precision, by the lists of PyTorch.

`autocasts` decorates the functions of the lists. A function that is in no list computes in the
dtype of its inputs. Inside of a listed function autocast is off, as it is in PyTorch's kernels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np

from dtrain.autograd import autocast_mode, grad_mode
from dtrain.autograd.autocast_mode import AutocastMode, CachedCast
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import float32, float64, is_floating
from dtrain.backend.generated_code import make_at_first_call, make_function
from dtrain.backend.nested import find_nested, map_nested
from dtrain.primitives import casts

F = TypeVar("F", bound=Callable[..., Any])


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONVOLUTIONS = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"""
_LOSSES = """
    binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss huber_loss kl_div
    l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss
    poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss"""

#: Inputs are converted to the lower precision: device type -> names.
LOWER_PRECISION = {
    "cpu": _names(f"""
        {_CONVOLUTIONS} addbmm addmm baddbmm bmm linear matmul mm prelu run_direction
        scaled_dot_product_attention vecdot"""),
    "cuda": _names(f"""
        {_CONVOLUTIONS} addbmm addmm addmv addr baddbmm bmm chain_matmul einsum linear matmul mm
        multi_dot mv prelu run_direction scaled_dot_product_attention vecdot"""),
}
#: Inputs are converted to float32.
FLOAT32 = {
    "cpu": _names(f"""
        {_LOSSES} adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist
        cholesky cholesky_ex cholesky_inverse cholesky_solve cond cross_entropy ctc_loss eigh
        eigvalsh fractional_max_pool2d fractional_max_pool3d grid_sample inv inv_ex lp_pool3d lstsq
        matrix_rank max_pool3d max_unpool1d max_unpool2d max_unpool3d nanquantile pad_edges pinverse
        polar prod qr quantile solve svd svdvals tensorinv tensorsolve torch_cholesky torch_lu
        torch_lu_solve torch_qr torch_svd trace triangular_solve view_as_complex"""),
    "cuda": _names(f"""
        {_LOSSES} acos asin cdist cosh cosine_similarity cumprod cumsum dist erfinv exp expm1
        group_norm interpolate layer_norm log log10 log1p log2 log_softmax logsumexp matrix_norm
        pdist pow prod reciprocal renorm rms_norm rsqrt sinh softmax softplus sum tan torch_norm
        vector_norm"""),
}
#: Inputs are converted to the widest dtype among them.
PROMOTED = {
    "cpu": _names("cat index_copy stack"),
    "cuda": _names("""
        addcdiv addcmul atan2 bilinear cross dot grid_sample index_put scatter_add tensordot
        vdot"""),
}
#: Autocast is off inside: these call functions of the lists above where PyTorch's do not.
UNCHANGED = {
    "cpu": _names("addmv bilinear dot inner lu_solve matrix_exp mv solve_triangular vdot"),
    "cuda": _names("""
        inner lstsq lu lu_factor lu_factor_ex lu_solve lu_unpack matrix_exp nansum solve_triangular
        trace"""),
}
#: PyTorch refuses these under autocast.
REFUSED = {"cpu": _names(""), "cuda": _names("binary_cross_entropy")}

#: Every function of some list.
LISTED = frozenset().union(*(
    names
    for table in (LOWER_PRECISION, FLOAT32, PROMOTED, UNCHANGED, REFUSED)
    for names in table.values()
))  # fmt: skip

#: The functions that are decorated; the tests compare them with the lists.
decorated: set[str] = set()

_WRAPPER = """\
def wrapper({parameters}):
    if process.used and state.mode.devices:
        return run(function, name, dtype_index, ({positional}), {{{named}}})
    return function({arguments})
"""


def autocasts(function: F) -> F:
    """Decorate a function of the lists: under autocast its inputs are converted first.

    The wrapper is written out for the function's parameters: without autocast it costs a call.
    """
    name = function.__name__
    assert name in LISTED, f"{name} is in no list of autocast"
    decorated.add(name)
    namespace: dict[str, Any] = {
        "process": autocast_mode.process, "state": autocast_mode._state, "run": _run,
        "function": function, "name": name,
    }  # fmt: skip

    def write() -> FunctionType:
        parameters = list(inspect.signature(function).parameters.values())
        names = [p.name for p in parameters]
        namespace["dtype_index"] = names.index("dtype") if "dtype" in names else None
        text = _WRAPPER.format(**_write_parameters(parameters, namespace))
        return make_function(text, f"<dtrain autocast {name}>", namespace)

    return cast("F", make_at_first_call(function, namespace, write))


def _write_parameters(parameters: list[inspect.Parameter], namespace: dict) -> dict[str, str]:
    """The text of a function's parameters, and of the arguments of a call that passes them on."""
    written, positional, named, star = [], [], [], False
    for p in parameters:
        keyword = p.kind is p.KEYWORD_ONLY
        if keyword and not star:
            written.append("*")
        star = star or keyword or p.kind is p.VAR_POSITIONAL
        prefix = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        default = "" if p.default is p.empty else f"=default_{p.name}"
        namespace[f"default_{p.name}"] = p.default
        written.append(f"{prefix}{p.name}{default}")
        if keyword:
            named.append(p.name)
        elif p.kind is p.VAR_KEYWORD:
            named.append(f"**{p.name}")
        else:
            positional.append(f"{prefix}{p.name}")
        if p.kind is p.POSITIONAL_ONLY and parameters[len(positional)].kind is not p.kind:
            written.append("/")
    keywords = [n if n.startswith("**") else f"{n}={n}" for n in named]
    return {
        "parameters": ", ".join(written),
        "positional": "".join(f"{n}, " for n in positional),
        "named": ", ".join(n if n.startswith("**") else f"'{n}': {n}" for n in named),
        "arguments": ", ".join([*positional, *keywords]),
    }


def _run(
    function: Callable[..., Any],
    name: str,
    dtype_index: int | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call a listed function under autocast, which is off inside of it."""
    mode = autocast_mode.get_mode()
    device = _device_type(mode, (*args, *kwargs.values()))
    if device is not None:
        if name in REFUSED[device]:
            raise RuntimeError(
                f"{name}: it is unsafe to autocast on {device}: use "
                f"{name}_with_logits, or nn.BCEWithLogitsLoss, without the sigmoid before it"
            )
        chosen = kwargs.get("dtype")
        if dtype_index is not None and dtype_index < len(args):
            chosen = args[dtype_index]
        target = None if chosen is not None else _target_dtype(name, device, mode, args, kwargs)
        if target is not None:
            convert = _make_cast(device, target, mode)
            args, kwargs = map_nested(args, Tensor, convert), map_nested(kwargs, Tensor, convert)
        elif not _is_listed(name, device):
            return function(*args, **kwargs)  # what it calls may be listed
    return without_autocast(function, *args, **kwargs)


def without_autocast(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)` while autocast is off."""
    mode = autocast_mode.get_mode()
    if not mode.devices:
        return function(*args, **kwargs)
    autocast_mode.set_mode(mode._replace(devices=frozenset()))
    try:
        return function(*args, **kwargs)
    finally:
        autocast_mode.set_mode(mode)


def _is_listed(name: str, device: str) -> bool:
    return any(name in table[device] for table in (LOWER_PRECISION, FLOAT32, PROMOTED, UNCHANGED))


def _device_type(mode: AutocastMode, values: Any) -> str | None:
    """The device type of tensors among the values for which autocast is on; "cuda" before "cpu"."""
    devices = {"cuda" if tensor.is_cuda else "cpu" for tensor in find_nested(values, Tensor)}
    return next((name for name in ("cuda", "cpu") if name in devices & mode.devices), None)


def _target_dtype(
    name: str, device: str, mode: AutocastMode, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> np.dtype | None:
    """The dtype in which a function computes; None if it is that of its inputs."""
    if name in LOWER_PRECISION[device]:
        return mode.dtype(device)
    if name in FLOAT32[device]:
        return float32
    if name not in PROMOTED[device]:
        return None
    widest = lower = mode.dtype(device)
    for tensor in find_nested((*args, *kwargs.values()), Tensor):
        if not is_eligible(tensor, device):
            continue
        if tensor.dtype not in (lower, float32):
            raise RuntimeError(
                f"{name}: under autocast in {lower} expected tensors of {lower} or float32, got "
                f"{tensor.dtype}; convert them with .to(dtype)"
            )
        widest = float32 if tensor.dtype == float32 else widest
    return widest


def is_eligible(tensor: Tensor, device: str) -> bool:
    """Whether autocast on a device converts a tensor: one there, floating, and not float64."""
    dtype = tensor.dtype
    return is_floating(dtype) and dtype != float64 and tensor.is_cuda == (device == "cuda")


def _make_cast(device: str, dtype: np.dtype, mode: AutocastMode) -> Callable[[Tensor], Tensor]:
    """The function that converts a tensor, if it is one that autocast converts."""
    cached = mode.cache_enabled and dtype == mode.dtype(device)

    def convert(tensor: Tensor) -> Tensor:
        if tensor.dtype == dtype or not is_eligible(tensor, device):
            return tensor
        return _cast_tensor(tensor, dtype, cached)

    return convert


def _cast_tensor(source: Tensor, dtype: np.dtype, cached: bool) -> Tensor:
    """The tensor in a dtype; parameters' casts are kept until the outermost context is left.

    A cast is made again if the parameter was written, or if it is to be recorded and was not.
    """
    if source.is_sparse:
        return source.to(dtype=dtype)
    if not (cached and source.is_leaf and source.requires_grad and source._view is None):
        return casts.cast(source, dtype=dtype)
    known = autocast_mode.get_casts()
    entry, version = known.get(id(source)), tuple(source._version)
    if (
        entry is None
        or entry.values is not source.array
        or entry.version != version
        or entry.cast.dtype != dtype
        or (grad_mode.is_grad_enabled() and not entry.cast.requires_grad)
    ):
        converted = casts.cast(source, dtype=dtype)
        entry = known[id(source)] = CachedCast(source, source.array, version, converted)
    return entry.cast
