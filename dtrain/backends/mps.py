"""Apple's GPUs, for which there is no CuPy (torch.backends.mps)."""


def is_available() -> bool:
    """False: devices are "cpu" and "cuda" (torch.backends.mps.is_available)."""
    return False


def is_built() -> bool:
    """False: devices are "cpu" and "cuda" (torch.backends.mps.is_built)."""
    return False
