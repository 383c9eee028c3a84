"""Serves `import torch` from dtrain, so that a program written for PyTorch runs as it is."""

from dtrain.as_torch.finder import serve_torch as serve_torch
from dtrain.as_torch.program import run_program as run_program
