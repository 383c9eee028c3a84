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


LONG = (pytest.mark.slow, pytest.mark.long)


@bodies_by_name
@pytest.mark.parametrize(
    "size", [1, 2, 3, 5, pytest.param(4, marks=LONG), pytest.param(8, marks=LONG)]
)
def test_on_threads(body, size):
    distributed.run_ranks(size, body)


@pytest.mark.mpi
@bodies_by_name
def test_under_mpi(body):
    body()
