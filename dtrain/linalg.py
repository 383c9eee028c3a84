"""Linear algebra under PyTorch's names (torch.linalg)."""

from dtrain.errors import LinAlgError
from dtrain.ops.operators.calls import free_function
from dtrain.ops.operators.factorizations import (
    cholesky,
    cholesky_ex,
    eigh,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from dtrain.ops.operators.linalg import (
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
from dtrain.ops.operators.lu import lu, lu_factor, lu_factor_ex, lu_solve
from dtrain.ops.operators.matrix_numbers import (
    cond,
    det,
    matrix_norm,
    matrix_rank,
    norm,
    slogdet,
    vector_norm,
)
from dtrain.ops.operators.products import linalg_vander as vander
from dtrain.ops.operators.products import matmul, multi_dot, vecdot
from dtrain.ops.operators.triangular import solve_triangular

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
globals().update({name: free_function(f, of_a_tensor=False) for name, f in _functions.items()})
