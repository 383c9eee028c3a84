"""The table of optimizers: classes of `optim`, and their options.

The same rows run against PyTorch (tests/oracle), on CuPy against NumPy (tests/cupy), and over
several ranks (tests/ranks).
"""

from typing import Any

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD momentum": ("SGD", {"momentum": 0.9}),
    "SGD dampening": ("SGD", {"momentum": 0.9, "dampening": 0.3}),
    "SGD nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "SGD weight_decay": ("SGD", {"momentum": 0.5, "weight_decay": 0.1}),
    "SGD maximize": ("SGD", {"momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    "Adam": ("Adam", {}),
    "Adam betas": ("Adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    "Adam amsgrad": ("Adam", {"amsgrad": True}),
    "Adam weight_decay": ("Adam", {"weight_decay": 0.1}),
    "Adam maximize": ("Adam", {"maximize": True, "amsgrad": True}),
    "AdamW": ("AdamW", {}),
    "AdamW weight_decay": ("AdamW", {"weight_decay": 0.3, "amsgrad": True}),
    "AdamW maximize": ("AdamW", {"maximize": True}),
    "Adamax": ("Adamax", {}),
    "Adamax options": ("Adamax", {"betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    "NAdam": ("NAdam", {}),
    "NAdam options": ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    "NAdam decoupled": ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RAdam": ("RAdam", {"betas": (0.9, 0.8)}),
    "RAdam slow": ("RAdam", {"weight_decay": 0.1, "maximize": True}),
    "RAdam decoupled": ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop momentum": ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    "RMSprop centered": ("RMSprop", {"centered": True, "momentum": 0.5, "alpha": 0.8}),
    "Adagrad": ("Adagrad", {}),
    "Adagrad options": (
        "Adagrad",
        {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
    "Adadelta": ("Adadelta", {}),
    "Adadelta options": ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "maximize": True}),
    "Rprop": ("Rprop", {}),
    "Rprop options": (
        "Rprop",
        {"etas": (0.3, 1.5), "step_sizes": (0.02, 0.4), "maximize": True},
    ),
    "ASGD": ("ASGD", {}),
    "Adafactor": ("Adafactor", {}),
    "Adafactor options": (
        "Adafactor",
        {
            "beta2_decay": -0.5,
            "eps": (1e-4, 0.01),
            "d": 1.5,
            "weight_decay": 0.1,
            "maximize": True,
        },
    ),
    "ASGD options": (
        "ASGD",
        {"lambd": 0.1, "t0": 5, "weight_decay": 0.1, "maximize": True},
    ),
}
#: those that see a parameter whole; PyTorch has no LARS and LAMB, its Muon works in bfloat16, its
#: SparseAdam refuses dense gradients
BY_PARAMETER: dict[str, tuple[str, dict[str, Any]]] = {
    "LARS": ("LARS", {"trust_coefficient": 0.1}),
    "LARS options": ("LARS", {"momentum": 0.0, "weight_decay": 0.1, "maximize": True}),
    "LAMB": ("LAMB", {}),
    "LAMB options": ("LAMB", {"betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    "SparseAdam": ("SparseAdam", {}),
    "SparseAdam options": ("SparseAdam", {"betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}),
    "Muon": ("Muon", {}),
    "Muon options": ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
}
