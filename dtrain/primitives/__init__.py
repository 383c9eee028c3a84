"""Floor 3: every differentiable operation, a family a file, and PyTorch's names for them."""
