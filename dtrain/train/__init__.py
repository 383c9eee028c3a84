"""What a training script needs beside its loop: metrics, progress, logs, checkpoints."""

from dtrain.train.checkpoints import Checkpoints as Checkpoints
from dtrain.train.classification import (
    F1 as F1,
    Accuracy as Accuracy,
    ConfusionMatrix as ConfusionMatrix,
)
from dtrain.train.early_stopping import EarlyStopping as EarlyStopping
from dtrain.train.logs import Logs as Logs, read_log as read_log
from dtrain.train.lr_finder import LRSearch as LRSearch, find_lr as find_lr
from dtrain.train.mean import Mean as Mean, Perplexity as Perplexity
from dtrain.train.metric import Metric as Metric
from dtrain.train.progress import Progress as Progress
from dtrain.train.trainer import Trainer as Trainer
