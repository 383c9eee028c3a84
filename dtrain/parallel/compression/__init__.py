"""Compressed gradients with error feedback: protocol, reducer, saved state, and three formats."""
