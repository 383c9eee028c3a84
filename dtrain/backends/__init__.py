"""PyTorch's switches of libraries (torch.backends): none changes a result here.

dtrain computes with NumPy, Numba and CuPy's own kernels. Where a switch allows less exact numbers,
such as TF32, they stay exact.
"""

from dtrain.backends import (
    cpu as cpu,
    cuda as cuda,
    cudnn as cudnn,
    mkl as mkl,
    mkldnn as mkldnn,
    mps as mps,
    openmp as openmp,
    opt_einsum as opt_einsum,
)
