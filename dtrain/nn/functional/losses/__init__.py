"""Loss functions (torch.nn.functional)."""
