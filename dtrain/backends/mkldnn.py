"""Switches of oneDNN, which dtrain does not use (torch.backends.mkldnn).

`conv.fp32_precision` holds for dtrain's own convolutions on a CPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from dtrain.backend.settings import get_convolution_precision, set_convolution_precision
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

        With "none" 3x3 convolutions may use Winograd's algorithm, whose rounding errors are up to
        about 4 times PyTorch's; with "ieee" they are sums of products alone, in up to twice the
        time. "tf32" and "bf16", which allow less exact numbers in PyTorch, are as "none".

        >>> from dtrain.backends import mkldnn
        >>> mkldnn.conv.fp32_precision
        'none'
        """
        return get_convolution_precision()

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        set_convolution_precision(precision)


conv = _Convolution()


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
