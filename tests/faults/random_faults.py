"""Trains again and again on ranks that fail at random; every run has to end with the same weights.

    python tests/faults/random_faults.py --runs 200
    python tests/faults/random_faults.py --first 37 --runs 1    run 37 again
    python tests/faults/random_faults.py --runs 100 --sharded   of a sharded model alone

Drawn from --seed and the run's number: which ranks fail, how many, when, and how (killed or frozen);
whether survivors go on (--elastic), failed ranks are replaced (--respawn) or the job is restarted
from its checkpoint (--max-restarts); whether the optimizer's state is sharded, or the whole model,
of which no survivor has all: that job is restarted, too. Two models take
turns. `faulty_training.py` is the program, and says when a fault comes.

A run counts if all of its faults came; where one did not, the line names it, and another run takes
the place. The line also says how long after a fault the survivors went on.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from faulty_training import CHECKPOINT_EVERY, STEPS

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("faulty_training.py")
RANKS, FROZEN_AFTER_S = 3, 1
#: phases of every step, and how often a rank comes to them in a step, at least
OF_STEPS = {"loader": 2, "forward": 1, "backward": 1, "gather": 2, "vote": 1, "reduction": 1,
            "wait": 2, "commit": 1, "step": 1}  # fmt: skip
#: phases at which a fault may come a moment later, inside of the library or of MPI
DELAYED = ("gather", "vote", "reduction", "wait", "commit", "step")
#: other phases, and in which steps they are
OTHERS = {"start": [0], "join": [0], "evaluation": [STEPS // 2, STEPS], "end": [STEPS],
          "checkpoint": range(CHECKPOINT_EVERY, STEPS + 1, CHECKPOINT_EVERY), "exit": [STEPS],
          "notice": [STEPS], "recovery": range(1, STEPS - 1)}  # fmt: skip
ELASTIC_ONLY = ("commit", "recovery")
#: a rank that is frozen elsewhere keeps the launcher for many seconds
CAN_FREEZE = (*OF_STEPS, "evaluation", "checkpoint")


class Fault(NamedTuple):
    """A rank fails by a signal in the `call`-th call of a phase in a step, or at the next one."""

    rank: int
    phase: str
    step: int
    call: int
    signal: int
    delay_s: float

    def __str__(self):
        name = signal.Signals(self.signal).name
        later = f" {1000 * self.delay_s:.1f} ms after" if self.delay_s else ""
        return f"rank {self.rank} {name}{later} {self.phase} {self.call} of step {self.step}"


class Plan(NamedTuple):
    """What happens in a run."""

    model: str
    mode: str  # elastic, respawn or restart
    sharded: str | None  # "state", "model" or None
    faults: list[Fault]

    def options(self):
        """Those of `dtrain run`."""
        restarts = ["--max-restarts", len(self.faults) + 1]
        elastic = ["--elastic", "--frozen-after", FROZEN_AFTER_S]
        return {"restart": [], "elastic": elastic, "respawn": [*elastic, "--respawn"]}[
            self.mode
        ] + restarts


def draw(seed, run, only_sharded):
    """The plan of a run."""
    rng = random.Random(f"{seed} {run}{' sharded' * only_sharded}")
    model = "lstm" if only_sharded else ("cnn", "lstm")[run % 2]
    writers = range(RANKS if only_sharded else 1)  # the ranks that write checkpoints
    mode = rng.choices(["elastic", "respawn", "restart"], [5, 3, 2])[0]
    faults = []
    ranks = rng.sample(range(RANKS), rng.choice([1, 1, 2, 2, 3]))
    together = rng.random() < 0.4  # several in the same moment, or each in its own
    for rank in ranks:
        if faults and together:
            moment = faults[0][1:4]
            if moment[0] == "checkpoint" and rank not in writers:
                moment = ("vote", moment[1], 1)
        else:
            moment = draw_moment(rng, mode, rank in writers, faults)
        faults.append(draw_fault(rng, mode, len(ranks) < RANKS, rank, *moment))
    if mode == "respawn" and (first := faults[0]).step <= CHECKPOINT_EVERY:
        # The rank that is back fails again.
        step = rng.randint(2 * CHECKPOINT_EVERY + 1, STEPS - 1)
        faults.append(draw_fault(rng, mode, False, first.rank, "forward", step, 1))
    shards = rng.random() < 0.4 or only_sharded
    sharded = {"cnn": "state", "lstm": "model"}[model] if shards else None
    return Plan(model, mode, sharded, faults)


def draw_moment(rng, mode, writes, faults):
    """A phase, the step and the call, at which a rank fails for sure; `writes`: checkpoints, too."""
    before = [fault.step for fault in faults if fault.phase in OF_STEPS]
    while True:
        phase = rng.choice([*OF_STEPS, *OTHERS])
        if mode == "restart" and phase in ELASTIC_ONLY:
            continue
        if phase in OF_STEPS:
            return phase, rng.randint(1, STEPS - 2), rng.randint(1, OF_STEPS[phase])
        if phase == "recovery":  # of another rank's fault
            if before:
                return phase, before[0], 1
        elif phase != "checkpoint":
            return phase, rng.choice(list(OTHERS[phase])), 1
        elif writes and not any(fault.phase == "checkpoint" for fault in faults):
            return phase, rng.choice(list(OTHERS[phase])), rng.randint(1, 6)


def draw_fault(rng, mode, may_freeze, rank, phase, step, call):
    """How a rank fails."""
    freezes = may_freeze and mode != "restart" and phase in CAN_FREEZE and rng.random() < 0.25
    delay_s = rng.choice([0, rng.uniform(0, 0.003)]) if phase in DELAYED else 0
    number = signal.SIGSTOP if freezes else signal.SIGKILL
    return Fault(rank, phase, step, call, int(number), delay_s)


def train(folder, plan, limit_s, ranks=RANKS):
    """The exit status, the output, and what was told of it with the times when it was told."""
    (folder / "plan.json").write_text(json.dumps([fault._asdict() for fault in plan.faults]))
    words = ["run", "-n", ranks, *plan.options(), PROGRAM, "--model", plan.model, "--out",
             folder / "runs", "--marks", folder, *(["--sharded", plan.sharded] if plan.sharded else [])]  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    with open(folder / "out", "w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dtrain.cli", *map(str, words)],
            stdout=out, stderr=subprocess.PIPE, text=True,
            env={**environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        limit = threading.Timer(limit_s, process.kill)
        limit.start()
        told = [(time.time(), line) for line in process.stderr]
        status = process.wait()
        limit.cancel()
        out.seek(0)
        return status, out.read(), told


def results(text):
    """Those printed: two if rank 0 failed after it had printed, and another rank printed again."""
    return set(re.findall(r"\d+ steps, \d+ correct, weights sha256 [0-9a-f]{64}", text))


def pauses(folder, plan, told):
    """How many seconds after a fault the survivors went on, by signal."""
    marks = [
        (mark.stat().st_mtime, plan.faults[int(mark.name.removeprefix("came-"))].signal)
        for mark in folder.glob("came-*")
    ]
    found = {signal.SIGKILL: [], signal.SIGSTOP: []}
    before = 0  # when survivors went on, or the job was restarted, the last time
    for at, line in told:
        if not line.endswith("go on\n") and "restart" not in line:
            continue
        here = [(came, number) for came, number in marks if before < came < at]
        before = at
        if here and "restart" not in line:
            number = max(number for _, number in here)  # a freeze's, of both: SIGSTOP is higher
            found[number].append(at - min(came for came, _ in here))
    return found


def describe_pauses(found):
    """What a line says of pauses."""
    texts = {signal.SIGKILL: "a kill", signal.SIGSTOP: "a freeze"}
    said = [f"{max(found[n]):.2f} s after {text}" for n, text in texts.items() if found[n]]
    return f"went on {' and '.join(said)}" if said else "nobody went on"


def run_plan(plan, limit_s):
    """Status, output, stderr, the faults that did not come, and the pauses, of a run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        status, out, told = train(folder, plan, limit_s)
        missing = [f for n, f in enumerate(plan.faults) if not (folder / f"came-{n}").exists()]
        found = pauses(folder, plan, told)
    return status, out, "".join(line for _, line in told), missing, found


def undisturbed(limit_s):
    """What each model's run prints on one rank, to which nothing happens."""
    expected = {}
    for model in ("cnn", "lstm"):
        with tempfile.TemporaryDirectory() as folder:
            status, out, told = train(Path(folder), Plan(model, "restart", None, []), limit_s, 1)
        expected[model] = results(out)
        if status or len(expected[model]) != 1:
            sys.exit(f"the undisturbed run failed with status {status}: {told}")
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sharded", action="store_true", help="every run's model is sharded")
    parser.add_argument("--limit", type=float, default=300, help="seconds in which a run must end")
    args = parser.parse_args()
    expected = undisturbed(args.limit)
    failed, longest = [], {signal.SIGKILL: [], signal.SIGSTOP: []}
    counted, run = 0, args.first - 1
    while counted < args.runs:
        run += 1
        plan = draw(args.seed, run, args.sharded)
        began = time.perf_counter()
        status, out, err, missing, found = run_plan(plan, args.limit)
        good = status == 0 and results(out) == expected[plan.model]
        counted += not missing or not good
        restarts = len(re.findall(r"restart \d+ of|restarting the job", err))
        print(
            f"run {run}: {'BAD' if not good else 'does not count' if missing else 'good'}  "
            f"{time.perf_counter() - began:.1f} s  {plan.model}{f', sharded {plan.sharded}' * bool(plan.sharded)} "
            f"{plan.mode}, {restarts} restarts, {describe_pauses(found)}: "
            + "; ".join(f"{fault}{' DID NOT COME' * (fault in missing)}" for fault in plan.faults),
            flush=True,
        )
        for number, seconds in found.items():
            longest[number] += seconds
        if not good:
            failed.append(run)
            print(f"status {status}\n{out}\n{err}", flush=True)
    print(f"of all runs the slowest survivors {describe_pauses(longest)}")
    print(f"{counted - len(failed)} passed, {len(failed)} failed; the next is run {run + 1}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
