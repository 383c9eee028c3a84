"""Writes scikit-learn's handwritten digits as pictures in class folders.

python examples/pictures.py pictures                  pictures/0/000.png, ..., 60 of each digit
python examples/pictures.py pictures --per-class 12
"""

import argparse
from pathlib import Path

import numpy as np
from digits import load_digits
from PIL import Image


def write_pictures(folder, per_class, side=32):
    """Write `per_class` pictures of each digit, side x side, in grey."""
    images, labels = load_digits()[0]
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images[labels == digit][:per_class]):
            pixels = (255 * image).astype(np.uint8)
            picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            picture.save(folder / str(digit) / f"{number:03}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=60, metavar="N")
    args = parser.parse_args()
    write_pictures(args.folder, args.per_class)
    print(f"{len(list(args.folder.glob('*/*.png')))} pictures in {args.folder}")
