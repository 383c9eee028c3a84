#!/bin/sh
# All tests: in one process, then those with ranks under mpirun. A rank that fails ends its job:
# `dtrain run` starts Python through -m mpi4py, and pytest stops at the first failure.
set -eu
cd "$(dirname -- "$0")/.."
PATH=$PWD/.venv/bin:$PATH
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# CuPy on host memory replaces CUDA in the whole process: its tests run in one of their own.
python -m pytest -q --ignore=tests/cupy "$@"
for ranks in 2 3; do
    python -m dtrain.cli run -n "$ranks" -m pytest -q -x --with-mpi -m mpi \
        -p no:cacheprovider tests/ranks
done
