"""Trains a ResNet on pictures in class folders, on any number of ranks, to the same bits.

dtrain run -n 2 examples/folder.py FOLDER    with pictures as FOLDER/cat/1.jpg, FOLDER/dog/7.png
dtrain plot runs/folder                      the learning curves; confusion.png is there, too
"""

import argparse

import dtrain
from dtrain.data import DataLoader, Subset, random_split
from dtrain.models import resnet18
from dtrain.nn.functional import cross_entropy
from dtrain.train import Accuracy, ConfusionMatrix, Trainer
from dtrain.vision import transforms as T
from dtrain.vision.datasets import ImageFolder

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", help="a folder of folders, one for each class")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--side", type=int, default=64, help="pixels that pictures are scaled to")
parser.add_argument("--out", default="runs/folder", help="folder for checkpoints, log and pictures")
args = parser.parse_args()

dtrain.manual_seed(0)  # the first weights
augment = T.Compose(
    [T.RandomResizedCrop(args.side, (0.5, 1)), T.RandomHorizontalFlip(), T.ToTensor()]
)
plain = ImageFolder(args.folder, T.Compose([T.Resize((args.side, args.side)), T.ToTensor()]))
train, val = random_split(plain, [0.8, 0.2], dtrain.Generator(0))
train = Subset(ImageFolder(args.folder, augment), train.indices)
loader, val_loader = (DataLoader(d, 16, shuffle=d is train, microbatches=4) for d in (train, val))
model = resnet18(num_classes=len(plain.classes))
optimizer = dtrain.optim.AdamW(model.parameters(), lr=1e-3)
trainer = Trainer(model, optimizer, cross_entropy, args.out, patience=5,
                  metrics=lambda: {"accuracy": Accuracy()})  # fmt: skip
trainer.fit(loader, val_loader, epochs=args.epochs)
confusion = ConfusionMatrix(len(plain.classes))
trainer.load_best().evaluate(val_loader, {"confusion": confusion})
confusion.plot(f"{args.out}/confusion.png", plain.classes)
