"""Linear algebra under PyTorch's names (torch.linalg)."""

from dtrain.errors import LinAlgError
from dtrain.functions.binding import bind_function
from dtrain.functions.linalg.factorizations import (
    cholesky,
    cholesky_ex,
    eigh,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from dtrain.functions.linalg.lu import lu, lu_factor, lu_factor_ex, lu_solve
from dtrain.functions.linalg.norms import (
    cond,
    det,
    matrix_norm,
    matrix_rank,
    norm,
    slogdet,
    vector_norm,
)
from dtrain.functions.linalg.solvers import (
    cross,
    diagonal,
    inv,
    inv_ex,
    lstsq,
    matrix_exp,
    matrix_power,
    pinv,
    solve,
    solve_ex,
    tensorinv,
    tensorsolve,
)
from dtrain.functions.linalg.triangular import solve_triangular
from dtrain.functions.products import linalg_vander as vander, matmul, multi_dot, vecdot

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

_functions = {name: globals()[name] for name in __all__ if name != "LinAlgError"}
globals().update({name: bind_function(f, requires_tensor=False) for name, f in _functions.items()})
