#!/bin/sh
# Start ranks:  launch/mpirun.sh -n 4 train.py --epochs 3
# This only finds the Python that has dtrain; `dtrain run` does the rest (--help lists its options).
set -eu

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if [ -n "${VIRTUAL_ENV:-}" ]; then
    python=$VIRTUAL_ENV/bin/python
elif [ -x "$checkout/.venv/bin/python" ]; then
    python=$checkout/.venv/bin/python
else
    python=python3
fi

# exec: signals sent to this script then reach mpirun itself.
exec "$python" -m dtrain.cli run "$@"
