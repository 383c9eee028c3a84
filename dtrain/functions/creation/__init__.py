"""Functions that make tensors (torch.tensor, torch.zeros, torch.arange, ...)."""

from dtrain.functions.creation.convert import (
    as_tensor as as_tensor,
    asarray as asarray,
    from_dlpack as from_dlpack,
    from_numpy as from_numpy,
    frombuffer as frombuffer,
    scalar_tensor as scalar_tensor,
    tensor as tensor,
)
from dtrain.functions.creation.filled import (
    empty as empty,
    empty_like as empty_like,
    empty_permuted as empty_permuted,
    empty_strided as empty_strided,
    eye as eye,
    full as full,
    full_like as full_like,
    ones as ones,
    ones_like as ones_like,
    zeros as zeros,
    zeros_like as zeros_like,
)
from dtrain.functions.creation.random import (
    rand as rand,
    rand_like as rand_like,
    randint as randint,
    randint_like as randint_like,
    randn as randn,
    randn_like as randn_like,
    randperm as randperm,
)
from dtrain.functions.creation.spaced import (
    arange as arange,
    linspace as linspace,
    logspace as logspace,
    range as range,
    tril_indices as tril_indices,
    triu_indices as triu_indices,
    vander as vander,
)
from dtrain.functions.creation.windows import (
    bartlett_window as bartlett_window,
    blackman_window as blackman_window,
    hamming_window as hamming_window,
    hann_window as hann_window,
    kaiser_window as kaiser_window,
)
