"""PyTorch's switches of libraries (torch.backends).

dtrain computes with NumPy, Numba and CuPy's own kernels. Where a switch allows less exact numbers,
such as TF32, they stay exact. One switch changes results: `mkldnn.conv.fp32_precision = "ieee"` has
float32 convolutions on a CPU computed by their definition.
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
