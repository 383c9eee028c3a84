"""Where a program's time goes: its operations and spans with names (torch.profiler)."""

from dtrain.profiler.profile import (
    ProfilerActivity as ProfilerActivity,
    profile as profile,
    record_function as record_function,
    supported_activities as supported_activities,
    tensorboard_trace_handler as tensorboard_trace_handler,
)
from dtrain.profiler.schedules import (
    ProfilerAction as ProfilerAction,
    schedule as schedule,
)
