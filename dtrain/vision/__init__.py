"""Pictures under torchvision's names: `datasets`, `transforms`, `utils`."""

from dtrain.vision import datasets as datasets, transforms as transforms, utils as utils
