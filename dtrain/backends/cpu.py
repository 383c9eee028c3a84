"""What the processor can do (torch.backends.cpu)."""

_FEATURES = {"AVX512": "AVX512_SKX", "AVX2": "AVX2"}  # PyTorch's names and NumPy's


def get_cpu_capability() -> str:
    """The widest vectors that NumPy finds: "AVX512", "AVX2" or "DEFAULT"."""
    import numpy._core._multiarray_umath as umath  # type: ignore[import-not-found]

    found = umath.__cpu_features__
    return next((name for name, feature in _FEATURES.items() if found.get(feature)), "DEFAULT")
