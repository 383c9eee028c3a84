"""Schedules of the learning rate (torch.optim.lr_scheduler)."""

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from dtrain.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from dtrain.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from dtrain.optim.lr_scheduler.plateau import ReduceLROnPlateau
from dtrain.optim.lr_scheduler.simple import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
