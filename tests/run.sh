#!/bin/sh
# All tests: first without mpirun, then those in tests/ranks under mpirun. A rank that fails ends its
# job: `dtrain run` starts Python by mpi4py's runner, and pytest stops at the first failure. It captures
# nothing, or what the watchdog tells would be lost with the job.
# Types are for `make lint`; what compares with PyTorch, and would import it, is a run of its own.
# Arguments are those of the first pytest; RANKS are the numbers of ranks of the others; VENV is the
# environment, .venv by default.
set -eu
cd "$(dirname -- "$0")/.."
PATH=$PWD/${VENV:-.venv}/bin:$PATH
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# CuPy on host memory replaces CUDA in the whole process: its tests run in one of their own.
# Two processes: what waits for ranks, in one, leaves its core to the other.
python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --ignore=tests/cupy \
    --ignore=tests/oracle --ignore=tests/typing "$@"
for ranks in ${RANKS:-2 3 5@2}; do  # 5@2: as if on two machines, of two and of three ranks
    case $ranks in *@*) nodes="--nodes ${ranks#*@}" ;; *) nodes= ;; esac
    # shellcheck disable=SC2086 # $nodes is an option and its value
    python -m dtrain.cli run -n "${ranks%@*}" -m pytest -q -x -s --with-mpi -m mpi \
        -p no:cacheprovider tests/ranks $nodes
done
