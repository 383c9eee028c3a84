"""dtrain: trains neural networks on many processes, to the same bits on any number of them."""

from dtrain import autograd, backend
from dtrain.autograd import (
    Tensor,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from dtrain.backend import Generator, device, initial_seed, manual_seed
from dtrain.backend.dtypes import (
    bool_ as bool,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from dtrain.ops.creation import *  # noqa: F403
from dtrain.ops.operators import FREE_FUNCTIONS, FUNCTIONS

globals().update(FUNCTIONS | FREE_FUNCTIONS)
