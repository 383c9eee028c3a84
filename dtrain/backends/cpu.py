"""What the processor can do (torch.backends.cpu)."""

import numpy as np

#: PyTorch's name for vectors: NumPy's names, before its version 2.4 and since.
_FEATURES = {"AVX512": {"AVX512_SKX", "X86_V4"}, "AVX2": {"AVX2", "X86_V3"}}


def get_cpu_capability() -> str:
    """The widest vectors that NumPy uses: "AVX512", "AVX2" or "DEFAULT"."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    found = {*simd.get("baseline", ()), *simd.get("found", ())}
    return next((name for name, known in _FEATURES.items() if found & known), "DEFAULT")
