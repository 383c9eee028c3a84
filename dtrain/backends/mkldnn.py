"""Switches of oneDNN, which dtrain does not use (torch.backends.mkldnn).

`conv.fp32_precision` holds for dtrain's own convolutions on a CPU, `matmul.fp32_precision` for its
products of matrices.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from dtrain.backend.settings import (
    get_convolution_precision,
    get_matmul_precision,
    set_convolution_precision,
    set_matmul_precision,
)
from dtrain.backends.flags import set_temporarily

enabled: bool = True
deterministic: bool = False
allow_tf32: bool = True


class _Convolution:
    """How float32 convolutions on a CPU may round (torch.backends.mkldnn.conv)."""

    __slots__ = ()

    @property
    def fp32_precision(self) -> str:
        """One of "none", "ieee", "tf32", "bf16"; others are refused.

        With "none" a processor with AMX multiplies by three parts in bfloat16, as for products, and
        rounds half as much as PyTorch; others may use Winograd's algorithm for 3x3 convolutions,
        whose rounding errors are up to about 4 times PyTorch's. With "ieee" they are sums of
        float32 products alone, in up to twice the time. "tf32" and "bf16", which allow less exact
        numbers in PyTorch, are as "none".

        >>> from dtrain.backends import mkldnn
        >>> mkldnn.conv.fp32_precision
        'none'
        """
        return get_convolution_precision()

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        set_convolution_precision(precision)


class _Matmul:
    """How float32 products of matrices on a CPU may round (torch.backends.mkldnn.matmul)."""

    __slots__ = ()

    @property
    def fp32_precision(self) -> str:
        """One of "none", "ieee", "tf32", "bf16"; others are refused.

        With "none" a processor with AMX multiplies large matrices by three parts in bfloat16, which
        together have all bits of a float32 number; the sums round less than those of the BLAS. Bits
        of less than 2**-126, the least normal number, count as zero. With "ieee" the BLAS computes
        all products. "tf32" and "bf16", which allow less exact numbers in PyTorch, are as "none".

        >>> from dtrain.backends import mkldnn
        >>> mkldnn.matmul.fp32_precision
        'none'
        """
        return get_matmul_precision()

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        set_matmul_precision(precision)


conv = _Convolution()
matmul = _Matmul()


def is_available() -> bool:
    """False: oneDNN is not used (torch.backends.mkldnn.is_available)."""
    return False


def flags(
    enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True
) -> AbstractContextManager[None]:
    """Context manager: set the switches for its body (torch.backends.mkldnn.flags)."""
    return set_temporarily(
        globals(), enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32
    )
