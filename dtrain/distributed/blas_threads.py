"""Limits the threads of this process's BLAS, whose number decides about the bits of its results.

With another number of threads a BLAS adds in another order. Ranks that `dtrain run` starts have
the limit in their environment before the BLAS loads.
"""

from __future__ import annotations

import os
import sys

from dtrain import env
from dtrain.distributed.context import process


def limit_blas_threads(announce: bool = True) -> None:
    """Give BLAS the number of threads in ``DTRAIN_THREADS``, which is 1 if unset.

    Parameters
    ----------
    announce : whether to print, once in a process, that a limit applies which the user did not set

    Raises
    ------
    ValueError
        If ``DTRAIN_THREADS`` is no number of threads.
    """
    threads = env.THREADS.read()
    if os.environ.get("OPENBLAS_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS") == str(threads):
        return  # the BLAS has loaded with it
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    before = max((pool["num_threads"] for pool in blas.info()), default=threads)
    blas.limit(limits=threads)
    if announce and before > threads and not env.THREADS.is_set():
        if not process.blas_limit_announced:
            print(
                f"dtrain: BLAS limited to {threads} thread for bits that do not depend on the "
                "number of ranks; DTRAIN_THREADS=N to choose",
                file=sys.stderr,
            )
        process.blas_limit_announced = True
