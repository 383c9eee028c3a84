"""Each body of `bodies*.py` on 1, 2, 3, 4, 5 and 8 threads, and under mpirun on 2 ranks and more."""

import pytest

from dtrain import distributed

from . import (
    bodies,
    bodies_amp,
    bodies_blocks,
    bodies_compression,
    bodies_ddp,
    bodies_debug,
    bodies_jit,
    bodies_lbfgs,
    bodies_metrics,
    bodies_parameters,
    bodies_reduction,
    bodies_sharding,
    bodies_torch,
    bodies_zero,
)

BODIES = [
    body
    for module in (
        bodies,
        bodies_amp,
        bodies_blocks,
        bodies_compression,
        bodies_ddp,
        bodies_debug,
        bodies_metrics,
        bodies_jit,
        bodies_lbfgs,
        bodies_parameters,
        bodies_reduction,
        bodies_sharding,
        bodies_torch,
        bodies_zero,
    )
    for name, body in vars(module).items()
    if callable(body) and body.__module__ == module.__name__ and not name.startswith("_")
]
bodies_by_name = pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)


#: threads: 3 are a tree with a rest; 2 run under mpirun beside these
SIZES = (3,)
SLOW_SIZES = (1, 5)
LONG_SIZES = (2, 4, 8)
#: bodies that train for many steps, or compile much: on 3 threads in the slow tests alone
SLOW = {
    "compressed_training_reaches_the_loss_of_whole_gradients",
    "layers_of_all_kinds_do_not_depend_on_world_size",
}


def marks_of(body, size):
    if body.__name__ in SLOW:
        return pytest.mark.slow if size in SIZES else pytest.mark.long
    if size in SIZES:
        return ()
    return pytest.mark.slow if size in SLOW_SIZES else pytest.mark.long


@pytest.mark.parametrize(
    ("size", "body"),
    [
        pytest.param(size, body, id=f"{size}-{body.__name__}", marks=marks_of(body, size))
        for body in BODIES
        for size in (*SIZES, *SLOW_SIZES, *LONG_SIZES)
    ],
)
def test_on_threads(body, size):
    distributed.run_ranks(size, body)


@pytest.mark.mpi
@pytest.mark.filterwarnings("ignore:fully_shard. some rank shares no memory")  # with --nodes
@bodies_by_name
def test_under_mpi(body):
    body()
