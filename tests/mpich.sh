#!/bin/sh
# Tests that start ranks, under MPICH (.venv-mpich); and whether its weights are Open MPI's (.venv).
# --long: hosts, timelines, restarts, hangs, the supervisor and resumed runs, too, and 3 and 5 ranks.
set -eu
cd "$(dirname -- "$0")/.."

long="tests/test_hosts.py tests/test_timeline.py tests/faults/test_restarts.py tests/faults/test_supervisor.py
    tests/faults/test_hangs.py tests/test_digits.py::test_the_same_bits_under_mpirun
    tests/test_digits.py::test_a_killed_run_resumes_on_another_number_of_ranks"
marks="not long"
[ $# -eq 0 ] || marks="long or not long"
# One test after another: MPICH's ranks do not leave their cores while they wait.
# shellcheck disable=SC2086 # $long is a list
VENV=.venv-mpich RANKS=2${1:+ 3 5@2} tests/run.sh -n 0 -m "$marks" tests/test_launch.py tests/test_world.py \
    tests/faults/test_signals.py tests/test_data_workers.py::test_a_program_with_workers_under_a_launcher \
    "tests/test_digits.py::test_the_same_bits_under_mpirun[2]" ${1:+$long}

out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
for venv in .venv .venv-mpich; do
    "$venv/bin/python" -m dtrain.cli run -n 2 examples/digits.py --epochs 1 --out "$out" > "$out/log"
    grep -o 'weights sha256 [0-9a-f]*' "$out/log" > "$out/$venv"
    echo "$venv: $(cat "$out/$venv")"
done
cmp "$out/.venv" "$out/.venv-mpich"
