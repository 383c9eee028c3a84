"""Products and sums of sparse tensors under PyTorch's names (torch.sparse)."""

from dtrain.functions.sparse import (
    DoubleTensor as DoubleTensor,
    FloatTensor as FloatTensor,
    addmm as addmm,
    mm as mm,
    sum as sum,
)
