"""Whether the ranks still train one model with one optimizer: compared by the vote of each step.

A rank's part of the vote is a few numbers that cost no look at an array. Only where they differ,
or after a change of the model, digests of the parameters are compared.
"""

from __future__ import annotations

import hashlib
import itertools
import marshal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dtrain.autograd.bucket import Bucket
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.differences import digest_arrays, find_difference
from dtrain.distributed.step import Step
from dtrain.errors import DesyncError
from dtrain.parallel.bucket_layout import BucketLayout


class Claim(NamedTuple):
    """What a rank tells the others of its model in a vote."""

    model: bytes  # names, shapes, dtypes, devices of the parameters, and which are frozen
    writes: int  # in-place writes to parameters since all values were last known to be equal
    is_changed: bool  # whether parameters were added or replaced since then
    options: bytes  # of the optimizers


class ModelAgreement:
    """Makes this rank's claim, and compares the claims of all ranks.

    Parameters
    ----------
    comm : the ranks
    layout : of the model's parameters
    is_changed : whether the first vote compares the values of all parameters
    """

    def __init__(self, comm: Communicator, layout: BucketLayout, is_changed: bool):
        self._comm, self._layout = comm, layout
        self._is_changed = is_changed
        self._known_writes = self._count_writes()

    @property
    def is_changed(self) -> bool:
        """Whether the ranks have not yet agreed on the present parameters."""
        return self._is_changed

    def note_change(self) -> None:
        """Have the next vote compare the values of all parameters."""
        self._is_changed = True

    def claim(self) -> Claim:
        """What this rank says of its model.

        Raises
        ------
        RuntimeError
            If there are trainable parameters whose gradients are not reduced in this step.
        """
        missing = self._layout.find_changes()
        if missing:
            raise mid_step_error(missing)
        writes = self._count_writes() - self._known_writes
        options = _digest_options(self._layout.buckets)
        return Claim(self._layout.fingerprint(), writes, self._is_changed, options)

    def require_same(self, claims: Sequence[Claim], step: Step) -> None:
        """Compare the claims of all ranks.

        Raises
        ------
        DesyncError
            If the ranks have different models, values or optimizers; names the first parameter or
            option that differs, and the ranks.
        """
        first = claims[0]
        if not first.is_changed and all(claim == first for claim in claims):
            return
        if any(claim.model != first.model for claim in claims):
            self._raise_different_models()
        if any(claim.options != first.options for claim in claims):
            self._raise_different_optimizers()
        self._require_same_values(claims, step)
        self._is_changed = False
        self._known_writes = self._count_writes()

    def _count_writes(self) -> int:
        return sum(itertools.chain.from_iterable(self._layout.versions))

    def _raise_different_models(self) -> None:
        own = self._layout.describe()
        difference = find_difference(self._comm.allgather(own, "the parameters of a model"))
        if difference is not None:
            raise DesyncError(
                "DataParallel: the model is no longer the same on all ranks: "
                f"{difference.describe_entries()}: add, replace, freeze or unfreeze parameters on "
                "every rank"
            )
        raise DesyncError(
            "DataParallel: the ranks have the same parameters in different buckets: make the "
            "optimizers in the same order on every rank"
        )

    def _raise_different_optimizers(self) -> None:
        own = [dict(lines) for lines in _list_options(self._layout.buckets)]
        ranks = self._comm.allgather(own, "the options of the optimizers")
        for rank, theirs in enumerate(ranks):
            if [lines.get("class") for lines in theirs] != [l.get("class") for l in ranks[0]]:
                kinds = [", ".join(str(o.get("class")) for o in r) or "none" for r in ranks]
                raise DesyncError(
                    "DataParallel: the ranks update the model by different optimizers: "
                    + ", ".join(f"rank {r} by {kind}" for r, kind in enumerate(kinds))
                    + ": make the same optimizer, and call its step(), on every rank"
                )
            for here, there in zip(ranks[0], theirs):
                for key in {**here, **there}:
                    if here.get(key) != there.get(key):
                        raise DesyncError(
                            f"DataParallel: {key} of the optimizer {here['class']} is "
                            f"{here.get(key)} on rank 0 and {there.get(key)} on rank {rank}: set "
                            "the same options on every rank"
                        )

    def _require_same_values(self, claims: Sequence[Claim], step: Step) -> None:
        layout = self._layout
        own = [digest_arrays([param.array]) for param in layout.params]
        difference = find_difference(self._comm.allgather(own, "the values of the parameters"))
        if difference is not None:
            number = f" {step.number}" if step.number >= 0 else ""
            raise DesyncError(
                f"DataParallel: at the end of step{number}, before the optimizer's update, the "
                f"value of {layout.names[difference.position]} is not the same on all ranks: "
                f"{difference.describe_groups()}. {_find_cause(claims)}"
            )


def mid_step_error(names: Sequence[str]) -> RuntimeError:
    """The error for parameters that have changed while a step has gradients already."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return RuntimeError(
        f"DataParallel: {names[0]}{more} was added, unfrozen, or moved to another dtype or device "
        "in the middle of a step, and its gradients would not be summed over the ranks: change "
        "the model between steps, and call the DataParallel model, not its module"
    )


def _find_cause(claims: Sequence[Claim]) -> str:
    writes = [claim.writes for claim in claims]
    if len(set(writes)) > 1:
        return (
            "Since they were last the same, rank "
            + ", rank ".join(
                f"{r} has written to parameters {n} times" for r, n in enumerate(writes)
            )
            + ": every rank must call optimizer.step(), and load_state_dict() or whatever else "
            "writes weights after DataParallel took the model"
        )
    return (
        "Parameters were added or replaced after DataParallel took the model: give them the same "
        "values on every rank, for instance by making them from the same seed"
    )


def _list_options(buckets: Sequence[Bucket]) -> Iterator[list[tuple[str, Any]]]:
    """Class and options of each optimizer that has updated one of the buckets."""
    seen: set[int] = set()
    for bucket in buckets:
        for optimizer in list(bucket.states):
            if id(optimizer) in seen:
                continue
            seen.add(id(optimizer))
            options: list[tuple[str, Any]] = [("class", type(optimizer).__name__)]
            for index, group in enumerate(optimizer.param_groups):
                options += [
                    (f"{name} (group {index})", value)
                    for name, value in group.items()
                    if type(value) in (float, int, bool, str) or _is_numbers(value)
                ]
            yield options


def _is_numbers(value: Any) -> bool:
    return type(value) is tuple and all(type(part) in (float, int, bool) for part in value)


def _digest_options(buckets: Sequence[Bucket]) -> bytes:
    # Version 2 has no references, which would depend on who else holds the objects.
    text = marshal.dumps(list(_list_options(buckets)), 2)
    return hashlib.blake2b(text, digest_size=8).digest()
