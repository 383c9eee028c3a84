"""Each body of `bodies*.py` on 1, 2, 3, 4, 5 and 8 threads, and under mpirun."""

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
        bodies_torch,
        bodies_zero,
    )
    for name, body in vars(module).items()
    if callable(body) and body.__module__ == module.__name__ and not name.startswith("_")
]
bodies_by_name = pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)


SIZES = [1, 2, 3, 5]
#: bodies that train for many steps, or compile much: 2 ranks have neighbours, 5 a tree with a rest
OF_TWO_SIZES = {
    "compressed_training_reaches_the_loss_of_whole_gradients",
    "layers_of_all_kinds_do_not_depend_on_world_size",
}


@pytest.mark.parametrize(
    ("size", "body"),
    [
        pytest.param(
            size, body, id=f"{size}-{body.__name__}",
            marks=() if size in ((2, 5) if body.__name__ in OF_TWO_SIZES else SIZES) else pytest.mark.long,
        )
        for body in BODIES
        for size in (*SIZES, 4, 8)
    ],
)  # fmt: skip
def test_on_threads(body, size):
    distributed.run_ranks(size, body)


@pytest.mark.mpi
@bodies_by_name
def test_under_mpi(body):
    body()
