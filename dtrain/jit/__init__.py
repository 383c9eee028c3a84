"""Graphs: recorded once, then run, printed, saved (torch.jit, torch.compile)."""

from dtrain.jit.compiled_function import ScriptFunction as ScriptFunction
from dtrain.jit.compiled_module import ScriptModule as ScriptModule
from dtrain.jit.draw import draw as draw
from dtrain.jit.files import load as load, save as save
from dtrain.jit.graph import Graph as Graph
from dtrain.jit.scripting import (
    annotate as annotate,
    export as export,
    freeze as freeze,
    ignore as ignore,
    is_scripting as is_scripting,
    is_tracing as is_tracing,
    script as script,
    trace as trace,
    unused as unused,
)
from dtrain.jit.tracer_warning import TracerWarning as TracerWarning
