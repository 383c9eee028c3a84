"""Models whose parameters have the names and shapes of torchvision's and Hugging Face's.

Each function takes `weights`: a file of theirs (`.safetensors`, `.pth`), or a state dict.
"""

from dtrain.models.alexnet import AlexNet, alexnet
from dtrain.models.bert import BertModel, bert
from dtrain.models.efficientnet import EfficientNetLite0, efficientnet_lite0
from dtrain.models.gpt2 import GPT2LMHeadModel, GPT2Model, gpt2
from dtrain.models.mobilenet import MobileNetV2, mobilenet_v2
from dtrain.models.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from dtrain.models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from dtrain.models.weights import load_weights

__all__ = [
    "VGG",
    "AlexNet",
    "BertModel",
    "EfficientNetLite0",
    "GPT2LMHeadModel",
    "GPT2Model",
    "MobileNetV2",
    "ResNet",
    "alexnet",
    "bert",
    "efficientnet_lite0",
    "gpt2",
    "load_weights",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
