"""PyTorch's signatures over the primitives; `table` binds them to `dtrain` and to Tensor."""
