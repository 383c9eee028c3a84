"""torch.linalg's functions: equations, factorizations, norms."""
