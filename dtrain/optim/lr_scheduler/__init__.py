"""Schedules of the learning rate (torch.optim.lr_scheduler)."""

from dtrain.optim.lr_scheduler.base import (
    LRScheduler as LRScheduler,
    LRScheduler as _LRScheduler,  # programs subclass it by its old name  # noqa: F401
)
from dtrain.optim.lr_scheduler.composed import (
    ChainedScheduler as ChainedScheduler,
    SequentialLR as SequentialLR,
)
from dtrain.optim.lr_scheduler.cosine import (
    CosineAnnealingLR as CosineAnnealingLR,
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from dtrain.optim.lr_scheduler.cycles import CyclicLR as CyclicLR, OneCycleLR as OneCycleLR
from dtrain.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
from dtrain.optim.lr_scheduler.simple import (
    ConstantLR as ConstantLR,
    ExponentialLR as ExponentialLR,
    LambdaLR as LambdaLR,
    LinearLR as LinearLR,
    MultiplicativeLR as MultiplicativeLR,
    MultiStepLR as MultiStepLR,
    PolynomialLR as PolynomialLR,
    StepLR as StepLR,
)
