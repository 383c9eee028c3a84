"""Going on when ranks are lost: the work that all ranks do together is done again by those left.

The work is cut into stages: a step up to the agreement on its gradients, or a call of a
`recoverable` function. A stage ends with a commit: a rank that has passed it knows that every
rank had come to its end, and so had whole results. After a loss the ranks that are left tell each
other where they were, and either all have the stage done, or all do it again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dtrain.distributed import world
from dtrain.distributed.comm.communicator import ElasticCommunicator
from dtrain.errors import RankFailedError

F = TypeVar("F", bound=Callable[..., Any])

_in_transaction = False


def run_transaction(work: Callable[[], Any], undo: Callable[[], Any]) -> bool:
    """Do `work` as a stage; False if a rank was lost and it is to be done again.

    What was changed is then as `undo` leaves it. In a world that cannot lose ranks, the work is
    done; as a part of another stage it is, or the whole of that is done again.
    """
    global _in_transaction
    if _in_transaction or not world.communicator().elastic:
        work()
        return True
    comm = cast(ElasticCommunicator, world.communicator())
    _in_transaction = True
    try:
        work()
    except RankFailedError:
        comm.revoke()  # a rank, or a thread, may still wait for one that is lost
        undo()
        comm.recover()
        return False
    finally:
        _in_transaction = False
    if comm.commit():
        return True
    undo()
    return False


def in_transaction() -> bool:
    """Whether this rank is in a stage, which may have to be done again."""
    return _in_transaction


def recoverable(function: F) -> F:
    """Run `function` again, with the ranks that are left, when a rank is lost while it runs.

    For what all ranks do together outside of a loader's steps, such as an evaluation: every rank
    calls it, it changes nothing that a second run would not change again, and ranks and world
    size are asked for inside. Under ``dtrain run --elastic``; elsewhere it changes nothing.

    >>> @recoverable
    ... def total(x):
    ...     return dtrain.distributed.all_reduce(x)
    >>> import dtrain
    >>> total(dtrain.ones(2))
    tensor([1., 1.])
    """

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        results: list[Any] = []

        def work() -> None:
            results.append(function(*args, **options))

        while not run_transaction(work, results.clear):
            pass
        return results[0]

    return run  # type: ignore[return-value]
