"""What a machine or a cluster has for training on many ranks, and what to change about it."""

from dtrain.distributed.doctor.examine import MachineReport, RanksReport, examine, examine_ranks
from dtrain.distributed.doctor.verdict import Problem, judge, judge_ranks

__all__ = [
    "MachineReport",
    "Problem",
    "RanksReport",
    "examine",
    "examine_ranks",
    "judge",
    "judge_ranks",
]
