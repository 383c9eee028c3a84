"""The CPU by the names that GPUs have in `dtrain.cuda` (torch.cpu)."""

from __future__ import annotations


def is_available() -> bool:
    """True (torch.cpu.is_available)."""
    return True


def device_count() -> int:
    """1 (torch.cpu.device_count)."""
    return 1


def current_device() -> str:
    """The name of the device, "cpu" (torch.cpu.current_device)."""
    return "cpu"


def synchronize(device: object = None) -> None:
    """Nothing: a CPU computes at once (torch.cpu.synchronize)."""
