"""Models whose parameters have the names and shapes of torchvision's and Hugging Face's.

Each function takes `weights`: a file of theirs (`.safetensors`, `.pth`), or a state dict. Those of
torchvision's models take its arguments, too (``weights="DEFAULT"``, ``pretrained=True``), and find
the file where PyTorch puts its downloads; nothing is downloaded here.
"""

from dtrain.models.alexnet import AlexNet as AlexNet, alexnet as alexnet
from dtrain.models.bert import BertModel as BertModel, bert as bert
from dtrain.models.efficientnet import (
    EfficientNetLite0 as EfficientNetLite0,
    efficientnet_lite0 as efficientnet_lite0,
)
from dtrain.models.gpt2 import (
    GPT2LMHeadModel as GPT2LMHeadModel,
    GPT2Model as GPT2Model,
    gpt2 as gpt2,
)
from dtrain.models.mobilenet import MobileNetV2 as MobileNetV2, mobilenet_v2 as mobilenet_v2
from dtrain.models.resnet import (
    ResNet as ResNet,
    resnet18 as resnet18,
    resnet34 as resnet34,
    resnet50 as resnet50,
    resnet101 as resnet101,
    resnet152 as resnet152,
    resnext50_32x4d as resnext50_32x4d,
    resnext101_32x8d as resnext101_32x8d,
    resnext101_64x4d as resnext101_64x4d,
    wide_resnet50_2 as wide_resnet50_2,
    wide_resnet101_2 as wide_resnet101_2,
)
from dtrain.models.vgg import (
    VGG as VGG,
    vgg11 as vgg11,
    vgg11_bn as vgg11_bn,
    vgg13 as vgg13,
    vgg13_bn as vgg13_bn,
    vgg16 as vgg16,
    vgg16_bn as vgg16_bn,
    vgg19 as vgg19,
    vgg19_bn as vgg19_bn,
)
from dtrain.models.weights import load_weights as load_weights
