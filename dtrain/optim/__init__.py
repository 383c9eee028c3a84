"""Optimizers and learning-rate schedules (torch.optim)."""

from dtrain.optim import lr_scheduler as lr_scheduler, swa_utils as swa_utils
from dtrain.optim.adafactor import Adafactor as Adafactor
from dtrain.optim.adagrad import Adadelta as Adadelta, Adagrad as Adagrad
from dtrain.optim.adam import Adam as Adam, AdamW as AdamW
from dtrain.optim.adam_variants import Adamax as Adamax, NAdam as NAdam, RAdam as RAdam
from dtrain.optim.asgd import ASGD as ASGD
from dtrain.optim.layerwise import LAMB as LAMB, LARS as LARS
from dtrain.optim.lbfgs import LBFGS as LBFGS
from dtrain.optim.muon import Muon as Muon
from dtrain.optim.optimizer import Optimizer as Optimizer
from dtrain.optim.rmsprop import RMSprop as RMSprop
from dtrain.optim.rprop import Rprop as Rprop
from dtrain.optim.sgd import SGD as SGD
from dtrain.optim.sparse_adam import SparseAdam as SparseAdam
