"""The model and the data of examples/digits.py, for the tests here."""

import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).parents[2] / "examples" / "digits.py"
_spec = importlib.util.spec_from_file_location("examples_digits", _PATH)
example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(example)


def dataset(device, samples):
    """The first digits, normalized, on a device."""
    pytest.importorskip("sklearn")
    (images, labels), _ = example.load_digits()
    mean, std = images.mean(), images.std()
    return example.make_dataset(images[:samples], labels[:samples], mean, std, device)
