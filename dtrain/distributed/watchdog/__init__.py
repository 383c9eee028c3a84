"""Finds and names ranks that stall a collective."""
