#!/bin/sh
# All tests: once in one process, then those with ranks under mpirun. A rank that fails ends its
# job (`dtrain run` starts Python through -m mpi4py, pytest stops at the first failure).
set -eu
cd "$(dirname -- "$0")/.."
PATH=$PWD/.venv/bin:$PATH
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

python -m pytest -q -m "not oracle" --ignore=tests/cupy "$@"
for ranks in 2 3; do
    python -m dtrain.cli run -n "$ranks" -m pytest -q -x --with-mpi -m mpi \
        -p no:cacheprovider tests/ranks "$@"
done
