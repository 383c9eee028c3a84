"""Starting ranks on this machine or on several, and watching over them until they end."""

from dtrain.distributed.launch.machine import Launcher, Machine, find_launcher, this_machine
from dtrain.distributed.launch.plan import Job, LaunchPlan, plan
from dtrain.distributed.launch.supervise import run

__all__ = [
    "Job",
    "LaunchPlan",
    "Launcher",
    "Machine",
    "find_launcher",
    "plan",
    "run",
    "this_machine",
]
