"""`functional_call` under PyTorch's older path (torch.nn.utils.stateless)."""

from dtrain.nn.functional_call import functional_call as functional_call
