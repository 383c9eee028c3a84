"""Linear algebra under PyTorch's names (torch.linalg)."""

from dtrain.errors import LinAlgError as LinAlgError
from dtrain.functions import products as _products
from dtrain.functions.binding import bind_function as _bind_function, select as _select
from dtrain.functions.linalg import (
    factorizations as _factorizations,
    lu as _lu,
    norms as _norms,
    solvers as _solvers,
    triangular as _triangular,
)

_FUNCTIONS = {
    **_select(_factorizations, "cholesky cholesky_ex eigh eigvalsh qr svd svdvals"),
    **_select(_lu, "lu lu_factor lu_factor_ex lu_solve"),
    **_select(_norms, "cond det matrix_norm matrix_rank norm slogdet vector_norm"),
    **_select(
        _solvers,
        "cross diagonal inv inv_ex lstsq matrix_exp matrix_power pinv solve solve_ex tensorinv "
        "tensorsolve",
    ),
    **_select(_triangular, "solve_triangular"),
    **_select(_products, "matmul multi_dot vecdot"),
    "vander": _products.linalg_vander,
}
globals().update({name: _bind_function(f, requires_tensor=False) for name, f in _FUNCTIONS.items()})

__all__ = ["LinAlgError", *sorted(_FUNCTIONS)]
