"""Process groups: the ranks of a collective call (torch.distributed).

The ranks join each other by themselves, see `world.init`. `init_process_group` adds PyTorch's
rules: after it a DataLoader gives each rank all samples, unless a DistributedSampler, or dtrain's
``DataLoader(microbatches=…)``, shards them.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from dtrain.backend.device import cuda_device_count, device as Device
from dtrain.backend.side_stream import submit_beside
from dtrain.distributed import world
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.context import run_context
from dtrain.distributed.work import CollectiveWork, Work
from dtrain.errors import LaunchError

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class ProcessGroup:
    """Some of the ranks; `new_group` and `group.WORLD` make it (torch.distributed.ProcessGroup).

    Parameters
    ----------
    ranks : their numbers in the world, ascending; None: all ranks, those that failed excepted
    comm : their communicator; None: that of the world
    """

    def __init__(self, ranks: Sequence[int] | None = None, comm: Communicator | None = None):
        self._ranks, self._comm = ranks, comm
        self._thread: tuple[ThreadPoolExecutor, Communicator] | None = None

    @property
    def comm(self) -> Communicator:
        """The communicator of these ranks."""
        return world.communicator() if self._comm is None else self._comm

    @property
    def ranks(self) -> Sequence[int]:
        """The numbers of these ranks in the world."""
        return range(self.comm.size) if self._ranks is None else self._ranks

    def rank(self) -> int:
        """This rank's number in the group."""
        return self.comm.rank

    def size(self) -> int:
        """The number of ranks in the group."""
        return self.comm.size

    def name(self) -> str:
        """The backend's name."""
        return run_context().backend or default_backend()

    def run(
        self,
        call: Callable[[Communicator], object],
        async_op: bool,
        results: list[Any],
        source: Any = None,
    ) -> Work | None:
        """Make a collective call: at once, or in a thread in the order of the calls.

        `source`: a tensor that it reads, where it may have no results on this rank; None if it
        has no tensors at all.
        """
        if not async_op:
            call(self.comm)
            return None
        if self._thread is None:
            executor = ThreadPoolExecutor(1, "dtrain-collectives")
            self._thread = executor, self.comm.duplicate()
        executor, comm = self._thread
        tensor = results[0] if results else source
        like = None if tensor is None else tensor.array
        return CollectiveWork(submit_beside(executor, partial(call, comm), like), results, like)

    def group_rank(self, rank: int, call: str) -> int:
        """The number in the group of a rank of the world.

        Raises
        ------
        ValueError
            If the group does not have the rank.
        """
        if rank not in self.ranks:
            raise ValueError(f"{call}: rank {rank} is not in the group of ranks {list(self.ranks)}")
        return self.ranks.index(rank)

    def __repr__(self) -> str:
        return f"ProcessGroup(ranks={list(self.ranks)})"


class GroupMember:
    """What `new_group` returns on ranks that are not in the group (torch.distributed's)."""

    NON_GROUP_MEMBER = -100


Group = ProcessGroup | int | None


class _GroupNames(type):
    @property
    def WORLD(cls) -> ProcessGroup:
        """The group of all ranks."""
        context = run_context()
        if context.world_group is None:
            context.world_group = ProcessGroup()
        return context.world_group


class group(metaclass=_GroupNames):
    """`group.WORLD` is the group of all ranks (torch.distributed.group)."""


def find_group(given: Group) -> ProcessGroup | None:
    """The group that an argument names; None where this rank is not in it."""
    if given is None:
        return group.WORLD
    if is_nonmember(given):
        return None
    if not isinstance(given, ProcessGroup):
        raise TypeError(f"expected a process group of new_group(), or None, got {given!r}")
    return given


def is_nonmember(given: Group) -> TypeIs[int]:
    """Whether `new_group` has returned `given` on a rank that is not in the group."""
    return isinstance(given, int) and given == GroupMember.NON_GROUP_MEMBER


def require_member(given: Group, call: str) -> ProcessGroup | None:
    """The group of a call; None, after a warning, where this rank is not in it."""
    found = find_group(given)
    if found is None:
        warnings.warn(
            f"{call}: rank {world.rank()} is not in the group: the call does nothing here",
            stacklevel=3,
        )
    return found


# --- beginning and end ---


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Join the ranks that were launched together (torch.distributed.init_process_group).

    The launcher connects the ranks: `backend` is what `get_backend` returns, `init_method`,
    `timeout`, `store` and the last three have no effect. After it, a DataLoader without a
    DistributedSampler or `microbatches` gives each rank all samples, as PyTorch's does.

    Raises
    ------
    ValueError
        If it was called before, or `rank` and `world_size` are not the launcher's.
    LaunchError
        If another launcher, such as torchrun, has started this process.

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.init_process_group("gloo")
    >>> distributed.get_rank(), distributed.get_world_size()
    (0, 1)
    >>> distributed.destroy_process_group()
    """
    if is_initialized():
        raise ValueError(
            "init_process_group: it was called before: call destroy_process_group() first, or ask "
            "is_initialized()"
        )
    world.init()
    size = world.world_size()
    if world_size not in (-1, size):
        raise LaunchError(
            f"init_process_group(world_size={world_size}): there are {size} ranks: start them by "
            f"`dtrain run -n {world_size} SCRIPT`, or call torch.multiprocessing.spawn"
        )
    if rank not in (-1, world.rank()):
        raise ValueError(
            f"init_process_group(rank={rank}): this is rank {world.rank()} of {size}: take the "
            "number from os.environ['RANK'], or omit it"
        )
    run_context().backend = (backend or default_backend()).lower()


def default_backend() -> str:
    """The name that PyTorch would choose."""
    return "nccl" if cuda_device_count() else "gloo"


def destroy_process_group(group: Group = None) -> None:
    """Leave PyTorch's rules (torch.distributed.destroy_process_group); the ranks stay joined."""
    found, context = find_group(group), run_context()
    if found is not None and found is context.world_group:
        context.backend = None


def is_available() -> bool:
    """Always True (torch.distributed.is_available)."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` was called (torch.distributed.is_initialized)."""
    return run_context().backend is not None


def is_nccl_available() -> bool:
    """Whether device arrays can go by NCCL (torch.distributed.is_nccl_available)."""
    return cuda_device_count() > 0


def is_gloo_available() -> bool:
    """True: `init_process_group("gloo")` is MPI here (torch.distributed.is_gloo_available)."""
    return True


def is_mpi_available() -> bool:
    """Whether mpi4py is installed (torch.distributed.is_mpi_available)."""
    return importlib.util.find_spec("mpi4py") is not None


def is_backend_available(backend: str) -> bool:
    """Whether `init_process_group` takes the name (torch.distributed.is_backend_available)."""
    return bool(backend)


def is_torchelastic_launched() -> bool:
    """False: torchrun starts no ranks here (torch.distributed.is_torchelastic_launched)."""
    return False


def get_default_backend_for_device(device: Device | str) -> str:
    """PyTorch's name of a device's backend: "gloo" for the CPU, "nccl" for a GPU.

    Mirrors torch.distributed.get_default_backend_for_device. `init_process_group` takes either,
    and the ranks communicate by MPI, or NCCL where CuPy has it.

    >>> get_default_backend_for_device("cpu")
    'gloo'
    """
    return "nccl" if Device(device).type == "cuda" else "gloo"


def get_backend(group: Group = None) -> str:
    """The name that `init_process_group` was given (torch.distributed.get_backend)."""
    found = find_group(group)
    if found is None:
        raise ValueError("get_backend: this rank is not in the group")
    return found.name()


# --- ranks and groups ---


def get_rank(group: Group = None) -> int:
    """This rank's number in the group; -1 if it is not in it (torch.distributed.get_rank)."""
    found = find_group(group)
    return -1 if found is None else found.rank()


def get_world_size(group: Group = None) -> int:
    """The number of ranks; -1 if this is not in the group (torch.distributed.get_world_size)."""
    found = find_group(group)
    return -1 if found is None else found.size()


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This rank's number on its machine (torch.distributed.get_node_local_rank)."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    return world.local_rank() if fallback_rank is None else fallback_rank


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
) -> ProcessGroup | int:
    """A group of some ranks; every rank of the world calls it (torch.distributed.new_group).

    On ranks that are not in it, it returns `GroupMember.NON_GROUP_MEMBER`. Only `ranks` has an
    effect.

    Raises
    ------
    ValueError
        If `ranks` are not different ranks of the world.
    RuntimeError
        Under ``dtrain run --elastic``: no group could replace a failed rank.
    """
    size, comm = world.world_size(), world.communicator()
    members = list(range(size)) if ranks is None else sorted(ranks)
    if not members or len(set(members)) < len(members) or not 0 <= members[0] <= members[-1] < size:
        raise ValueError(
            f"new_group: expected different ranks of the world, 0 to {size - 1}, got {ranks}"
        )
    if use_local_synchronization:
        raise ValueError(
            "new_group(use_local_synchronization=True): every rank has to call new_group here, "
            "ranks that are not in the group, too: omit the option and the `if` around the call"
        )
    if comm.elastic:
        raise RuntimeError(
            "new_group: under --elastic a group cannot go on without a failed rank: use the world "
            "(group=None), or run without --elastic"
        )
    made = comm.subgroup(members)
    return GroupMember.NON_GROUP_MEMBER if made is None else ProcessGroup(members, made)


def get_process_group_ranks(group: Group) -> list[int]:
    """The group's ranks, by their numbers in the world (torch.distributed's)."""
    found = find_group(group)
    return [] if found is None else list(found.ranks)


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The number in the group of a rank of the world (torch.distributed.get_group_rank)."""
    return group.group_rank(global_rank, "get_group_rank")


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The number in the world of a rank of the group (torch.distributed.get_global_rank)."""
    if not 0 <= group_rank < group.size():
        raise ValueError(
            f"get_global_rank: expected 0 to {group.size() - 1}, got group_rank={group_rank}"
        )
    return group.ranks[group_rank]
