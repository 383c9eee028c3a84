"""Floor 4: optimizers and schedules (torch.optim)."""

from dtrain.optim import lr_scheduler, swa_utils
from dtrain.optim.adagrad import Adadelta, Adagrad
from dtrain.optim.adam import Adam, AdamW
from dtrain.optim.adam_variants import Adamax, NAdam, RAdam
from dtrain.optim.asgd import ASGD
from dtrain.optim.layerwise import LAMB, LARS
from dtrain.optim.muon import Muon
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.rmsprop import RMSprop
from dtrain.optim.rprop import Rprop
from dtrain.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
