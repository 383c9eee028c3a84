"""The number of threads of the BLAS of this process (torch.get_num_threads)."""

from __future__ import annotations


def get_num_threads() -> int:
    """The number of threads of the BLAS; all other code has one (torch.get_num_threads)."""
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


def set_num_threads(num: int) -> None:
    """Set the number of threads of the BLAS of this process (torch.set_num_threads).

    The order in which a BLAS adds depends on its number of threads: for equal bits all ranks need
    the same number, which ``dtrain run --threads`` sets.
    """
    from threadpoolctl import threadpool_limits

    if not isinstance(num, int) or isinstance(num, bool):
        raise RuntimeError(f"set_num_threads: expected an int, got {type(num).__name__}")
    if num < 1:
        raise RuntimeError(f"set_num_threads: expected a positive number of threads, got {num}")
    threadpool_limits(num, user_api="blas")
