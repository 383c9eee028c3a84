"""Writes the model of examples/digits.py as an ONNX file, and its test images, for classify.cpp.

python examples/digits.py --out runs/digits
python examples/deploy/export_digits.py runs/digits build      model.onnx and digits.bin
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import dtrain
from dtrain import DataParallel
from dtrain.checkpoint import find_newest_checkpoint

sys.path.insert(0, str(Path(__file__).parents[1]))
import digits


def write_images(path, images, labels):
    """Sizes and labels as int32, pixels as float32, an image after the other."""
    with path.open("wb") as file:
        file.write(np.array(images.shape[::2] + images.shape[3:], "<i4").tobytes())
        for image, label in zip(images, labels):
            file.write(np.array(label, "<i4").tobytes() + image.astype("<f4").tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="the folder that examples/digits.py wrote its checkpoint to")
    parser.add_argument("out", type=Path, help="folder for model.onnx and digits.bin")
    args = parser.parse_args()
    (train_images, _), (images, labels) = digits.load_digits()
    model = DataParallel(digits.build_model(images.shape[1]))
    folder = find_newest_checkpoint(args.run)
    model.load_state_dict(dtrain.load(folder / "model.safetensors"))
    data = digits.make_dataset(images, labels, train_images.mean(), train_images.std(), "cpu")
    print(f"accuracy in dtrain {digits.evaluate(model, data):.2%}")
    args.out.mkdir(parents=True, exist_ok=True)
    pixels, targets = data.tensors
    dtrain.onnx.export(
        model.module, pixels[:2], args.out / "model.onnx", dynamic_axes={"input": {0: "batch"}}
    )
    write_images(args.out / "digits.bin", pixels.numpy(), targets.numpy())


if __name__ == "__main__":
    main()
