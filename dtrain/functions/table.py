"""The table of operations: dtrain's public functions of tensors, and the methods of Tensor.

PyTorch's signatures live in the modules beside this one, the rules in `dtrain.primitives`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions import (
    activations,
    arithmetic,
    casts,
    comparison,
    covariance,
    creation,
    diagonals,
    einsum,
    exponentials,
    indexing,
    integrals,
    joining,
    limits,
    methods,
    products,
    reals,
    reductions,
    rounding,
    sampling,
    scans,
    scattering,
    searching,
    shapes,
    sorting,
    special,
    splitting,
    statistics,
    trigonometry,
    types,
)
from dtrain.functions.binding import bind_function, bind_method
from dtrain.functions.creation.filled import new_method
from dtrain.functions.inplace import make_inplace
from dtrain.functions.inplace_forms import INPLACE
from dtrain.functions.linalg import factorizations, lu, norms, solvers, triangular
from dtrain.functions.methods import CASTS, make_cast, make_reflected
from dtrain.functions.operands import to
from dtrain.functions.subscripts import getitem, setitem


def _named(module: Any, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in names.split()}


#: Public functions that are methods too, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_named(activations, "log_softmax relu sigmoid softmax tanh"),
    **_named(
        arithmetic,
        "abs add addcdiv addcmul copysign div float_power lerp mul neg positive pow "
        "reciprocal rsqrt sqrt square sub true_divide",
    ),
    **_named(
        exponentials, "exp exp2 expm1 ldexp log log10 log1p log2 logaddexp logaddexp2 logit xlogy"
    ),
    **_named(casts, "clone"),
    **_named(indexing, "masked_fill"),
    **_named(limits, "clamp clamp_max clamp_min fmax fmin maximum minimum nan_to_num"),
    **_named(
        rounding,
        "ceil floor floor_divide fmod frac frexp gcd heaviside lcm nextafter remainder "
        "round sgn sign trunc",
    ),
    **_named(special, "digamma erf erfc erfinv i0 lgamma mvlgamma"),
    **_named(
        trigonometry,
        "acos acosh asin asinh atan atan2 atanh cos cosh deg2rad hypot rad2deg sin sinc sinh tan",
    ),
    **_named(covariance, "corrcoef cov"),
    **_named(sampling, "bernoulli multinomial"),
    **_named(reals, "angle conj real"),
    **_named(
        comparison,
        "allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
        "bitwise_xor eq equal ge gt isclose isfinite isinf isnan isneginf isposinf isreal le "
        "logical_and logical_not logical_or logical_xor lt ne signbit",
    ),
    **_named(
        reductions,
        "all amax amin aminmax any argmax argmin dist logsumexp max mean min prod sum",
    ),
    **_named(scans, "cummax cummin cumprod cumsum diff logcumsumexp"),
    **_named(
        sorting,
        "argsort kthvalue median mode msort nanmedian sort topk unique unique_consecutive",
    ),
    **_named(
        statistics,
        "bincount count_nonzero histc histogram nanmean nanquantile nansum quantile renorm std var",
    ),
    **_named(
        shapes,
        "adjoint as_strided broadcast_to flatten flip fliplr flipud movedim narrow permute ravel "
        "reshape roll rot90 squeeze swapaxes t transpose unflatten unsqueeze",
    ),
    **_named(diagonals, "diag diag_embed diagflat diagonal tril triu"),
    **_named(joining, "tile"),
    **_named(splitting, "chunk dsplit hsplit split split_with_sizes tensor_split unbind vsplit"),
    **_named(
        indexing,
        "argwhere gather index_select masked_select nonzero select take take_along_dim",
    ),
    **_named(
        scattering,
        "diagonal_scatter index_add index_copy index_fill index_put index_reduce masked_scatter "
        "put scatter scatter_add scatter_reduce select_scatter slice_scatter",
    ),
    **_named(
        products,
        "addbmm addmm addmv addr baddbmm bmm cross dot inner kron matmul mm mv outer trace vdot",
    ),
    **_named(solvers, "inverse matrix_exp matrix_power pinverse"),
    **_named(norms, "det logdet slogdet"),
    **_named(triangular, "cholesky_inverse cholesky_solve triangular_solve"),
    "cholesky": factorizations.torch_cholesky,
    "lu_solve": lu.torch_lu_solve,
    "norm": norms.torch_norm,
    "qr": factorizations.torch_qr,
    "svd": factorizations.torch_svd,
}

#: Other names of the same functions.
ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "clip": "clamp",
    "conj_physical": "conj",
    "divide": "div",
    "fix": "trunc",
    "ger": "outer",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "moveaxis": "movedim",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "resolve_conj": "conj",
    "resolve_neg": "real",
    "subtract": "sub",
    "swapdims": "transpose",
}
FUNCTIONS.update({alias: FUNCTIONS[name] for alias, name in ALIASES.items()})
INPLACE_ALIASES = {
    f"{alias}_": INPLACE[f"{name}_"] for alias, name in ALIASES.items() if f"{name}_" in INPLACE
}

#: What only a function is.
FREE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_named(statistics, "isin std_mean var_mean"),
    "fill": types.fill,
    "zero_": INPLACE["zero_"],
    **_named(integrals, "cumulative_trapezoid gradient trapezoid"),
    "normal": sampling.normal,
    "polygamma": special.polygamma,
    "trapz": integrals.trapezoid,
    **_named(
        joining,
        "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors "
        "cartesian_prod cat column_stack combinations dstack hstack meshgrid repeat_interleave "
        "stack vstack",
    ),
    **_named(indexing, "where"),
    **_named(searching, "bucketize searchsorted unravel_index"),
    **_named(products, "cdist chain_matmul pdist tensordot vander"),
    "rsub": arithmetic.rsub,
    **_named(einsum, "einsum"),
    **_named(lu, "lu_unpack"),
    "lu": lu.torch_lu,
    "concat": joining.cat,
    "concatenate": joining.cat,
    "row_stack": joining.vstack,
}


#: What only a method is.
METHODS: dict[str, Callable[..., Any]] = {
    **_named(methods, "cpu cuda expand_as polygamma reshape_as split type_as view_as where"),
    "contiguous": shapes.contiguous,
    "expand": shapes.expand,
    "fill_diagonal_": diagonals.fill_diagonal_,
    "is_nonzero": types.is_nonzero,
    "is_same_size": types.is_same_size,
    "repeat": joining.repeat,
    "repeat_interleave": joining.repeat_interleave,
    "to": to,
    "view": shapes.view,
    "unfold": shapes.unfold,
    **{
        f"new_{make.__name__}": new_method(make)
        for make in (
            creation.empty,
            creation.empty_strided,
            creation.full,
            creation.ones,
            creation.tensor,
            creation.zeros,
        )
    },
    **{name: make_cast(name) for name in CASTS},
    "type": types.type_,
    "nelement": Tensor.numel,
    "ndimension": Tensor.dim,
}


_TWO = {
    "add": arithmetic.add,
    "and": comparison.bitwise_and,
    "floordiv": rounding.floor_divide,
    "lshift": comparison.bitwise_left_shift,
    "matmul": products.matmul,
    "mod": rounding.remainder,
    "mul": arithmetic.mul,
    "or": comparison.bitwise_or,
    "pow": arithmetic.pow,
    "rshift": comparison.bitwise_right_shift,
    "sub": arithmetic.sub,
    "truediv": arithmetic.div,
    "xor": comparison.bitwise_xor,
}

OPERATORS: dict[str, Callable[..., Any]] = {
    **{f"__{name}__": operation for name, operation in _TWO.items()},
    **{f"__r{name}__": make_reflected(f"__r{name}__", _TWO[name]) for name in _TWO},
    **{
        f"__i{name}__": make_inplace(f"__i{name}__", _TWO[name])
        for name in _TWO
        if name != "matmul"
    },
    "__abs__": arithmetic.abs,
    "__eq__": comparison.eq,
    "__ge__": comparison.ge,
    "__getitem__": getitem,
    "__gt__": comparison.gt,
    "__invert__": comparison.bitwise_not,
    "__le__": comparison.le,
    "__lt__": comparison.lt,
    "__ne__": comparison.ne,
    "__neg__": arithmetic.neg,
    "__pos__": arithmetic.positive,
    "__rdiv__": make_reflected("__rdiv__", arithmetic.div),
    "__setitem__": setitem,
}


#: What is written without parentheses.
PROPERTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "H": shapes.matrix_adjoint,
    "T": shapes.reversed_dims,
    "mH": shapes.adjoint,
    "mT": shapes.adjoint,
}


IN_PLACE = (INPLACE, diagonals.INPLACE, products.INPLACE, scattering.INPLACE, shapes.INPLACE)

#: The public functions, as they are called.
PUBLIC_FUNCTIONS = {
    **{
        name: bind_function(function, requires_tensor=True, name=name)
        for name, function in FUNCTIONS.items()
    },
    **{
        name: bind_function(function, requires_tensor=False, name=name)
        for name, function in FREE_FUNCTIONS.items()
    },
}


def _bind() -> None:
    for name, function in FUNCTIONS.items():
        setattr(Tensor, name, bind_method(function))
    for table in (METHODS, *IN_PLACE, INPLACE_ALIASES, OPERATORS):
        for name, function in table.items():
            setattr(Tensor, name, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))


_bind()
