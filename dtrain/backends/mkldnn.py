"""Switches of oneDNN, which dtrain does not use (torch.backends.mkldnn)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from dtrain.backends.flags import set_temporarily

enabled: bool = True
deterministic: bool = False
allow_tf32: bool = True


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
