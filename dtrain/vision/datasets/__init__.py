"""Datasets of pictures from local files (torchvision.datasets); nothing is downloaded."""

from dtrain.vision.datasets.cifar import CIFAR10 as CIFAR10, CIFAR100 as CIFAR100
from dtrain.vision.datasets.fake import FakeData as FakeData
from dtrain.vision.datasets.folder import (
    IMG_EXTENSIONS as IMG_EXTENSIONS,
    DatasetFolder as DatasetFolder,
    ImageFolder as ImageFolder,
    default_loader as default_loader,
    find_classes as find_classes,
    make_dataset as make_dataset,
    pil_loader as pil_loader,
)
from dtrain.vision.datasets.mnist import MNIST as MNIST, FashionMNIST as FashionMNIST
from dtrain.vision.datasets.vision import VisionDataset as VisionDataset
