"""The choice between dtrain's attention and cuDNN's, under PyTorch's names (torch.nn.attention)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from enum import IntEnum

from dtrain.backend.settings import attention_algorithms
from dtrain.backends.flags import set_temporarily


class SDPBackend(IntEnum):
    """The algorithms of attention that PyTorch has (torch.nn.attention.SDPBackend)."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(
    backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Context manager: allow these algorithms of attention (torch.nn.attention.sdpa_kernel).

    cuDNN computes only where its algorithm is allowed; the others are all dtrain's own kernel,
    which computes whatever is allowed.
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(chosen, Sequence) or not all(isinstance(b, SDPBackend) for b in chosen):
        raise TypeError(f"sdpa_kernel: expected an SDPBackend or a list of them, got {backends!r}")
    names = {
        "math": SDPBackend.MATH,
        "flash": SDPBackend.FLASH_ATTENTION,
        "mem_efficient": SDPBackend.EFFICIENT_ATTENTION,
        "cudnn": SDPBackend.CUDNN_ATTENTION,
    }
    allowed = {name: backend in chosen for name, backend in names.items()}
    with set_temporarily(attention_algorithms, **allowed):
        yield
