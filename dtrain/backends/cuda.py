"""Switches of CUDA's libraries (torch.backends.cuda).

Products are computed in float32 or float64, sums of halves in float32; with TensorFloat32 factors
where `matmul.allow_tf32` or `set_float32_matmul_precision` allows it. Attention is dtrain's own
kernel, whichever of PyTorch's algorithms is allowed; cuDNN's, too, where it is installed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from dtrain.backend.settings import (
    attention_algorithms as _attention,
    get_float32_matmul_precision,
    set_float32_matmul_precision,
)
from dtrain.backends.flags import set_temporarily
from dtrain.errors import MissingNameError


class _Matmul:
    """Switches of products (torch.backends.cuda.matmul)."""

    allow_fp16_reduced_precision_reduction: bool = True
    allow_bf16_reduced_precision_reduction: bool = True
    allow_fp16_accumulation: bool = False

    @property
    def allow_tf32(self) -> bool:
        """Whether `set_float32_matmul_precision` has set "high" or "medium"."""
        return get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        set_float32_matmul_precision("high" if value else "highest")

    def __setattr__(self, name: str, value: object) -> None:
        names = "allow_tf32", *_Matmul.__annotations__
        if name not in names:
            raise MissingNameError(
                f"backends.cuda.matmul: expected one of {', '.join(names)}, got {name}"
            )
        super().__setattr__(name, value)


matmul = _Matmul()


def is_built() -> bool:
    """Whether CuPy, which brings CUDA, is installed (torch.backends.cuda.is_built)."""
    from importlib.util import find_spec

    return find_spec("cupy") is not None


def flash_sdp_enabled() -> bool:
    """What `enable_flash_sdp` set."""
    return _attention["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    """Allow an algorithm of attention; dtrain has one for all."""
    _attention["flash"] = enabled


def mem_efficient_sdp_enabled() -> bool:
    """What `enable_mem_efficient_sdp` set."""
    return _attention["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Allow an algorithm of attention; dtrain has one for all."""
    _attention["mem_efficient"] = enabled


def math_sdp_enabled() -> bool:
    """What `enable_math_sdp` set."""
    return _attention["math"]


def enable_math_sdp(enabled: bool) -> None:
    """Allow an algorithm of attention; dtrain has one for all."""
    _attention["math"] = enabled


def cudnn_sdp_enabled() -> bool:
    """What `enable_cudnn_sdp` set."""
    return _attention["cudnn"]


def enable_cudnn_sdp(enabled: bool) -> None:
    """Allow cuDNN's attention, which computes where `backends.cudnn` is available and enabled."""
    _attention["cudnn"] = enabled


def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> AbstractContextManager[None]:
    """Context manager: the algorithms of attention that its body may use; dtrain's own kernel
    stands for all but cuDNN's.

    (torch.backends.cuda.sdp_kernel)
    """
    return set_temporarily(
        _attention,
        flash=enable_flash,
        math=enable_math,
        mem_efficient=enable_mem_efficient,
        cudnn=enable_cudnn,
    )
