"""The package opt_einsum, which dtrain does not use (torch.backends.opt_einsum).

The order in which `einsum` multiplies is dtrain's own, whatever is set.
"""

from __future__ import annotations

enabled: bool = False
strategy: str | None = None


def is_available() -> bool:
    """False: opt_einsum is not used (torch.backends.opt_einsum.is_available)."""
    return False
