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
    complex_numbers,
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
    reductions,
    rounding,
    sampling,
    scans,
    scattering,
    searching,
    shapes,
    sorting,
    sparse,
    special,
    splitting,
    statistics,
    stft,
    trigonometry,
    types,
)
from dtrain.functions.binding import bind_function, bind_method, select
from dtrain.functions.creation.filled import new_method
from dtrain.functions.inplace_forms import INPLACE
from dtrain.functions.linalg import factorizations, lu, norms, solvers, triangular
from dtrain.functions.methods import CASTS, make_cast
from dtrain.functions.operands import to
from dtrain.functions.operators import OPERATORS as OPERATORS

#: Public functions that are also methods of Tensor, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **select(activations, "log_softmax relu sigmoid softmax tanh"),
    **select(
        arithmetic,
        "abs add addcdiv addcmul copysign div float_power lerp mul neg positive pow "
        "reciprocal rsqrt sqrt square sub true_divide",
    ),
    **select(
        exponentials, "exp exp2 expm1 ldexp log log10 log1p log2 logaddexp logaddexp2 logit xlogy"
    ),
    **select(casts, "clone"),
    **select(indexing, "masked_fill"),
    **select(limits, "clamp clamp_max clamp_min fmax fmin maximum minimum nan_to_num"),
    **select(
        rounding,
        "ceil floor floor_divide fmod frac frexp gcd heaviside lcm nextafter remainder "
        "round sign trunc",
    ),
    **select(special, "digamma erf erfc erfinv i0 lgamma mvlgamma"),
    **select(
        trigonometry,
        "acos acosh asin asinh atan atan2 atanh cos cosh deg2rad hypot rad2deg sin sinc sinh tan",
    ),
    **select(covariance, "corrcoef cov"),
    **select(sampling, "bernoulli multinomial"),
    **select(complex_numbers, "angle conj resolve_conj sgn"),
    **select(
        comparison,
        "allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
        "bitwise_xor eq equal ge gt isclose isfinite isinf isnan isneginf isposinf isreal le "
        "logical_and logical_not logical_or logical_xor lt ne signbit",
    ),
    **select(
        reductions,
        "all amax amin aminmax any argmax argmin dist logsumexp max mean min prod sum",
    ),
    **select(scans, "cummax cummin cumprod cumsum diff logcumsumexp"),
    **select(
        sorting,
        "argsort kthvalue median mode msort nanmedian sort topk unique unique_consecutive",
    ),
    **select(
        statistics,
        "bincount count_nonzero histc histogram nanmean nanquantile nansum quantile renorm std var",
    ),
    **select(
        shapes,
        "adjoint as_strided broadcast_to flatten flip fliplr flipud movedim narrow permute ravel "
        "reshape roll rot90 squeeze swapaxes t transpose unflatten unsqueeze",
    ),
    **select(stft, "istft stft"),
    **select(diagonals, "diag diag_embed diagflat diagonal tril triu"),
    **select(joining, "tile"),
    **select(splitting, "chunk dsplit hsplit split split_with_sizes tensor_split unbind vsplit"),
    **select(
        indexing,
        "argwhere gather index_select masked_select nonzero select take take_along_dim",
    ),
    **select(
        scattering,
        "diagonal_scatter index_add index_copy index_fill index_put index_reduce masked_scatter "
        "put scatter scatter_add scatter_reduce select_scatter slice_scatter",
    ),
    **select(
        products,
        "addbmm addmm addmv addr baddbmm bmm cross dot inner kron matmul mm mv outer trace vdot",
    ),
    **select(solvers, "inverse matrix_exp matrix_power pinverse"),
    **select(norms, "det logdet slogdet"),
    **select(triangular, "cholesky_inverse cholesky_solve triangular_solve"),
    "cholesky": factorizations.torch_cholesky,
    "lu_solve": lu.torch_lu_solve,
    "norm": norms.torch_norm,
    "qr": factorizations.torch_qr,
    "svd": factorizations.torch_svd,
}

#: Other names of the same functions: name -> the function's own name.
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
    "resolve_neg": "resolve_conj",
    "subtract": "sub",
    "swapdims": "transpose",
}
FUNCTIONS.update({alias: FUNCTIONS[name] for alias, name in ALIASES.items()})
INPLACE_ALIASES = {
    f"{alias}_": INPLACE[f"{name}_"] for alias, name in ALIASES.items() if f"{name}_" in INPLACE
}

#: Public functions that are no methods.
FREE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **select(statistics, "isin std_mean var_mean"),
    **select(complex_numbers, "complex imag polar real view_as_complex view_as_real"),
    "fill": types.fill,
    "zero_": INPLACE["zero_"],
    **select(integrals, "cumulative_trapezoid gradient trapezoid"),
    "normal": sampling.normal,
    "polygamma": special.polygamma,
    "trapz": integrals.trapezoid,
    **select(
        joining,
        "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors "
        "cartesian_prod cat column_stack combinations dstack hstack meshgrid repeat_interleave "
        "stack vstack",
    ),
    **select(indexing, "where"),
    **select(searching, "bucketize searchsorted unravel_index"),
    **select(products, "cdist chain_matmul pdist tensordot vander"),
    "rsub": arithmetic.rsub,
    **select(einsum, "einsum"),
    **select(lu, "lu_unpack"),
    "lu": lu.torch_lu,
    "concat": joining.cat,
    "concatenate": joining.cat,
    "row_stack": joining.vstack,
}


#: Methods that are no public functions.
METHODS: dict[str, Callable[..., Any]] = {
    **select(methods, "cpu cuda expand_as is_pinned pin_memory polygamma reshape_as split"),
    **select(methods, "type_as view_as where"),
    "contiguous": shapes.contiguous,
    "expand": shapes.expand,
    "fill_diagonal_": diagonals.fill_diagonal_,
    "is_conj": complex_numbers.is_conj,
    "is_neg": complex_numbers.is_conj,
    "is_nonzero": types.is_nonzero,
    "is_same_size": types.is_same_size,
    "repeat": joining.repeat,
    "repeat_interleave": joining.repeat_interleave,
    "to": to,
    **select(sparse, "coalesce indices is_coalesced to_dense to_sparse values"),
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


#: Properties of Tensor.
PROPERTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "H": shapes.matrix_adjoint,
    "T": shapes.reversed_dims,
    "mH": shapes.adjoint,
    "imag": complex_numbers.imag,
    "mT": shapes.transposed_matrix,
    "real": complex_numbers.real,
}


#: In-place methods of Tensor, by name.
IN_PLACE = (INPLACE, diagonals.INPLACE, products.INPLACE, scattering.INPLACE, shapes.INPLACE)

#: Functions that are public as they are, without `out=` and other names of parameters.
UNBOUND_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: function for name, function in vars(creation).items() if callable(function)},
    "is_conj": complex_numbers.is_conj,
    "is_neg": complex_numbers.is_conj,
    **select(
        types,
        "is_complex is_floating_point is_nonzero is_same_size is_tensor numel result_type",
    ),
}

#: The functions of the namespace `dtrain`, by name.
PUBLIC_FUNCTIONS = {
    **UNBOUND_FUNCTIONS,
    **{
        name: bind_function(function, requires_tensor=True, name=name)
        for name, function in FUNCTIONS.items()
    },
    **{
        name: bind_function(function, requires_tensor=False, name=name)
        for name, function in FREE_FUNCTIONS.items()
    },
}


def _bind_methods() -> None:
    """Set the methods, operators and properties of Tensor."""
    for name, function in FUNCTIONS.items():
        setattr(Tensor, name, bind_method(function))
    for table in (METHODS, *IN_PLACE, INPLACE_ALIASES, OPERATORS):
        for name, function in table.items():
            setattr(Tensor, name, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))


_bind_methods()
