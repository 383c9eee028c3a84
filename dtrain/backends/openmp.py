"""OpenMP, which dtrain's kernels do not use (torch.backends.openmp)."""


def is_available() -> bool:
    """False: a rank's kernels have one thread (torch.backends.openmp.is_available)."""
    return False
