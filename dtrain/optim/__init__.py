"""Floor 4: optimizers and schedules (torch.optim)."""

from dtrain.optim import lr_scheduler
from dtrain.optim.adam import Adam, AdamW
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
