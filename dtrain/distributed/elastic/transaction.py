"""Transactions: work that all ranks do together, and that survivors run again when a rank fails.

A step up to the agreement on its gradients is a transaction; so is a call of a `recoverable`
function. A transaction ends with a commit: a rank that has passed it knows that every rank had
reached it, and so had complete results. After a failure the survivors tell each other where they
were; then either all of them have committed the transaction, or all roll it back and run it again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from dtrain.distributed import world
from dtrain.distributed.comm.communicator import ElasticCommunicator
from dtrain.distributed.context import run_context
from dtrain.errors import RankFailedError

P = ParamSpec("P")
R = TypeVar("R")


def run_transaction(work: Callable[[], object], rollback: Callable[[], object]) -> bool:
    """Run `work` as one transaction.

    Returns False if a rank failed: `rollback` has been called, run it again. Where ranks cannot
    fail alone, and inside of another transaction, `work` simply runs: the outer one repeats it.
    """
    context = run_context()
    if context.in_transaction or not world.communicator().elastic:
        work()
        return True
    comm = cast(ElasticCommunicator, world.communicator())
    context.in_transaction = True
    try:
        work()
    except RankFailedError:
        comm.revoke()  # a rank, or a thread, may still wait for a failed one
        rollback()
        comm.recover()
        return False
    finally:
        context.in_transaction = False
    if comm.commit():
        return True
    rollback()
    return False


def recoverable(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: run `function` again with the survivors when a rank fails while it runs.

    For work that all ranks do together outside of a loader's steps, such as an evaluation. Under
    ``dtrain run --elastic``; elsewhere the decorator changes nothing.

    Parameters
    ----------
    function : every rank calls it; running it twice has the effect of running it once; it asks for
        `rank()` and `world_size()` inside, since both may change between two runs

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.distributed import all_reduce, recoverable
    >>> @recoverable
    ... def total(x):
    ...     return all_reduce(x)
    >>> total(dtrain.ones(2))
    tensor([1., 1.])
    """

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        results: list[R] = []

        def work() -> None:
            results.append(function(*args, **options))

        while not run_transaction(work, results.clear):
            pass
        return results[0]

    return run
