"""Transforms of pictures and tensors (torchvision.transforms, version 1), on Pillow and NumPy."""

from dtrain.vision.transforms import functional as functional
from dtrain.vision.transforms.augmentation import (
    RandAugment as RandAugment,
    RandomErasing as RandomErasing,
    TrivialAugmentWide as TrivialAugmentWide,
)
from dtrain.vision.transforms.color import (
    ColorJitter as ColorJitter,
    GaussianBlur as GaussianBlur,
    Grayscale as Grayscale,
    RandomAdjustSharpness as RandomAdjustSharpness,
    RandomAutocontrast as RandomAutocontrast,
    RandomEqualize as RandomEqualize,
    RandomGrayscale as RandomGrayscale,
    RandomInvert as RandomInvert,
    RandomPosterize as RandomPosterize,
    RandomSolarize as RandomSolarize,
)
from dtrain.vision.transforms.composed import (
    Compose as Compose,
    Lambda as Lambda,
    RandomApply as RandomApply,
    RandomChoice as RandomChoice,
    RandomOrder as RandomOrder,
)
from dtrain.vision.transforms.conversion import (
    ConvertImageDtype as ConvertImageDtype,
    Normalize as Normalize,
    PILToTensor as PILToTensor,
    ToPILImage as ToPILImage,
    ToTensor as ToTensor,
)
from dtrain.vision.transforms.functional import InterpolationMode as InterpolationMode
from dtrain.vision.transforms.geometry import (
    CenterCrop as CenterCrop,
    FiveCrop as FiveCrop,
    Pad as Pad,
    RandomCrop as RandomCrop,
    RandomHorizontalFlip as RandomHorizontalFlip,
    RandomResizedCrop as RandomResizedCrop,
    RandomVerticalFlip as RandomVerticalFlip,
    Resize as Resize,
    TenCrop as TenCrop,
)
from dtrain.vision.transforms.warping import (
    RandomAffine as RandomAffine,
    RandomPerspective as RandomPerspective,
    RandomRotation as RandomRotation,
)
