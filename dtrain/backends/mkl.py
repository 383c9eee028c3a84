"""Whether NumPy's BLAS is MKL (torch.backends.mkl)."""


def is_available() -> bool:
    """Whether NumPy's BLAS is MKL (torch.backends.mkl.is_available)."""
    from threadpoolctl import threadpool_info

    return any(pool["internal_api"] == "mkl" for pool in threadpool_info())
