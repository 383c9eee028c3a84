"""Transforms of pictures and tensors, grids and folders against torchvision."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL.Image")

import dtrain  # noqa: E402
from dtrain.vision import datasets, transforms, utils  # noqa: E402
from dtrain.vision.transforms import functional as F  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

#: torchvision's operators in C++, which its wheel cannot load beside a PyTorch of another build
OPERATORS = (
    "nms", "qnms", "deform_conv2d", "_deform_conv2d_backward", "ps_roi_align",
    "_ps_roi_align_backward", "ps_roi_pool", "_ps_roi_pool_backward", "roi_align",
    "_roi_align_backward", "roi_pool", "_roi_pool_backward",
)  # fmt: skip


def import_torchvision():
    """torchvision; its operators, which no transform uses, are declared where they are missing."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in OPERATORS:
            library.define(f"{name}(Tensor x) -> Tensor")
        import_torchvision.library = library  # kept, or the operators would be gone
        import torchvision
    return torchvision


try:
    torchvision = import_torchvision()
except ModuleNotFoundError:
    pytest.skip("torchvision is not installed", allow_module_level=True)

import PIL.Image  # noqa: E402
import torchvision.datasets  # noqa: E402
import torchvision.transforms.functional as TF  # noqa: E402

SHAPE = (37, 52)


def make_picture(mode="RGB", shape=SHAPE, seed=0):
    """Smooth noise, as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    picture = PIL.Image.fromarray(coarse).resize(shape[::-1], PIL.Image.Resampling.BICUBIC)
    return picture.convert(mode)


def as_array(value):
    if isinstance(value, (dtrain.Tensor, torch.Tensor)):
        return value.detach().numpy()
    return np.asarray(value)


def assert_same(ours, theirs, atol=0.0):
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs):
            assert_same(*pair, atol)
        return
    if isinstance(theirs, PIL.Image.Image):
        assert ours.mode == theirs.mode
    a, b = as_array(ours), as_array(theirs)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=0, atol=atol)


def mode(name):
    """The interpolation of a name, ours and theirs."""
    return transforms.InterpolationMode(name), torchvision.transforms.InterpolationMode(name)


#: calls of functions on pictures: name, arguments; the same bits
PICTURES = [
    ("hflip", {}), ("vflip", {}),
    ("crop", {"top": 3, "left": 5, "height": 20, "width": 30}),
    ("crop", {"top": -4, "left": 40, "height": 20, "width": 30}),
    ("center_crop", {"output_size": 21}), ("center_crop", {"output_size": [50, 30]}),
    ("five_crop", {"size": [20, 31]}), ("ten_crop", {"size": 20, "vertical_flip": True}),
    ("resize", {"size": 20}), ("resize", {"size": [60, 31]}), ("resize", {"size": 90}),
    ("resize", {"size": 30, "max_size": 35}),
    ("resized_crop", {"top": 2, "left": 3, "height": 17, "width": 23, "size": [16, 16]}),
    ("pad", {"padding": 3}), ("pad", {"padding": [1, 2], "fill": 7}),
    ("pad", {"padding": [1, 2, 3, 4], "padding_mode": "reflect"}),
    ("pad", {"padding": [5, 0, 3, 4], "padding_mode": "symmetric"}),
    ("pad", {"padding": [5, -2, 3, 4], "padding_mode": "edge"}),
    ("rotate", {"angle": 30.0}), ("rotate", {"angle": -77, "expand": True, "fill": 9}),
    ("rotate", {"angle": 12.5, "center": [3, 4]}),
    ("affine", {"angle": 20.0, "translate": [3, -2], "scale": 1.2, "shear": [5.0, -7.0]}),
    ("affine", {"angle": 0, "translate": [0, 0], "scale": 0.5, "shear": 9.0, "center": [0, 0]}),
    ("perspective", {"startpoints": [[0, 0], [51, 0], [51, 36], [0, 36]],
                     "endpoints": [[3, 4], [45, 2], [49, 30], [1, 33]]}),
    ("adjust_brightness", {"brightness_factor": 1.4}), ("adjust_contrast", {"contrast_factor": 0.6}),
    ("adjust_saturation", {"saturation_factor": 1.7}), ("adjust_hue", {"hue_factor": 0.2}),
    ("adjust_hue", {"hue_factor": -0.35}), ("adjust_gamma", {"gamma": 0.7, "gain": 1.1}),
    ("adjust_sharpness", {"sharpness_factor": 1.6}), ("rgb_to_grayscale", {"num_output_channels": 3}),
    ("invert", {}), ("posterize", {"bits": 3}), ("solarize", {"threshold": 100}),
    ("autocontrast", {}), ("equalize", {}),
    ("gaussian_blur", {"kernel_size": [5, 3], "sigma": [1.1, 0.7]}),
    ("gaussian_blur", {"kernel_size": [7, 7]}),
    ("to_tensor", {}), ("pil_to_tensor", {}),
]  # fmt: skip
MODES = ["nearest", "bilinear", "bicubic"]


@pytest.mark.parametrize("picture_mode", ["RGB", "L"])
def test_functions_of_pictures_give_torchvisions_bits(picture_mode):
    picture = make_picture(picture_mode)
    for name, options in PICTURES:
        modes = MODES if name in ("resize", "rotate", "affine", "perspective") else [None]
        for chosen in modes:
            extra = ({}, {}) if chosen is None else [{"interpolation": m} for m in mode(chosen)]
            ours = getattr(F, name)(picture, **options, **extra[0])
            theirs = getattr(TF, name)(picture, **options, **extra[1])
            try:
                assert_same(ours, theirs, atol=1 if name == "gaussian_blur" else 0)
            except AssertionError as reason:
                raise AssertionError(f"{name}({options}, {chosen}): {reason}") from None


def test_pictures_of_all_modes_convert_as_torchvisions():
    deep = PIL.Image.fromarray(np.arange(12, dtype=np.int32).reshape(3, 4) * 9999)
    short = PIL.Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 999)
    real = PIL.Image.fromarray(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
    for picture in (deep, short, real, *map(make_picture, ("1", "L", "RGB", "RGBA", "CMYK"))):
        assert_same(F.to_tensor(picture), TF.to_tensor(picture))
        assert F.get_dimensions(picture) == TF.get_dimensions(picture)
    for array in (np.ones((2, 3), np.uint8), np.ones((2, 3, 4), np.float64)):
        assert_same(F.to_tensor(array), TF.to_tensor(array))


def test_tensors_become_torchvisions_pictures():
    generator = np.random.default_rng(0)
    values = [generator.random((c, 4, 5), np.float32) for c in (1, 2, 3, 4)]
    values += [generator.integers(0, 255, (c, 4, 5), np.uint8) for c in (1, 3)]
    values += [generator.integers(0, 255, (1, 4, 5)).astype(t) for t in (np.int16, np.int32)]
    for value in values:
        assert_same(F.to_pil_image(dtrain.tensor(value)), TF.to_pil_image(torch.tensor(value)))
    pixels = values[4][0]
    assert_same(F.to_pil_image(pixels, "L"), TF.to_pil_image(pixels, "L"))


#: calls of functions on tensors, and how far the results may lie apart in units of a pixel's range
TENSORS = [
    *[(name, options, 0) for name, options in PICTURES
      if name in ("hflip", "vflip", "center_crop", "five_crop", "ten_crop", "invert", "solarize")],
    ("crop", {"top": 3, "left": 5, "height": 20, "width": 30}, 0),
    ("crop", {"top": -4, "left": 40, "height": 20, "width": 30}, 0),
    ("pad", {"padding": [1, 2, 3, 4], "fill": 1}, 0),
    ("pad", {"padding": [5, 0, 3, 4], "padding_mode": "symmetric"}, 0),
    ("pad", {"padding": [1, 2, 3, 4], "padding_mode": "reflect"}, 0),
    ("resize", {"size": [20, 61]}, 3e-6), ("resize", {"size": 20, "antialias": False}, 3e-6),
    ("adjust_brightness", {"brightness_factor": 1.4}, 1e-6),
    ("adjust_contrast", {"contrast_factor": 0.6}, 1e-6),
    ("adjust_saturation", {"saturation_factor": 1.7}, 1e-6),
    ("adjust_gamma", {"gamma": 0.7, "gain": 1.1}, 1e-6),
    ("rgb_to_grayscale", {"num_output_channels": 3}, 1e-6),
    ("gaussian_blur", {"kernel_size": [5, 3], "sigma": [1.1, 0.7]}, 1e-6),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_functions_of_tensors_give_torchvisions_values(dtype):
    array = np.asarray(make_picture()).transpose(2, 0, 1).copy()
    array = array if dtype == np.uint8 else array.astype(np.float32) / 255
    for name, options, atol in TENSORS:
        if name == "solarize":
            options = {"threshold": 100 if dtype == np.uint8 else 0.4}
        for chosen in MODES if name == "resize" else [None]:
            extra = ({}, {}) if chosen is None else [{"interpolation": m} for m in mode(chosen)]
            ours = getattr(F, name)(dtrain.tensor(array), **options, **extra[0])
            theirs = getattr(TF, name)(torch.tensor(array), **options, **extra[1])
            assert_same(ours, theirs, atol if dtype == np.float32 or not atol else 1)
    assert_same(
        F.posterize(dtrain.tensor(np.uint8(array * 1)), 3),
        TF.posterize(torch.tensor(np.uint8(array * 1)), 3),
    )


def test_dtypes_convert_and_normalize_as_torchvisions():
    values = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    floats = values.astype(np.float32) / 255
    for given, to in ((values, "float32"), (values, "int32"), (floats, "uint8"), (floats, "int16"),
                      (values.astype(np.int32) << 20, "uint8"), (floats, "float64")):  # fmt: skip
        ours = F.convert_image_dtype(dtrain.tensor(given), getattr(dtrain, to))
        assert_same(ours, TF.convert_image_dtype(torch.tensor(given), getattr(torch, to)))
    stats = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ours = F.normalize(dtrain.tensor(floats), *stats)
    assert_same(ours, TF.normalize(torch.tensor(floats), *stats), 1e-6)
    erased = [t.tensor(floats) for t in (dtrain, torch)]
    ours = F.erase(erased[0], 1, 2, 2, 3, dtrain.tensor(0.5))
    assert_same(ours, TF.erase(erased[1], 1, 2, 2, 3, torch.tensor(0.5)))


def test_grids_and_files_are_torchvisions(tmp_path):
    images = np.random.default_rng(0).normal(size=(5, 3, 6, 7)).astype(np.float32)
    for options in ({}, {"nrow": 2, "padding": 1, "pad_value": 0.5}, {"normalize": True},
                    {"normalize": True, "scale_each": True}, {"normalize": True, "value_range": (-1, 1)}):  # fmt: skip
        for given in (images, images[:, :1], images[0], images[:1], images[0, 0]):
            ours = utils.make_grid(dtrain.tensor(given), **options)
            theirs = torchvision.utils.make_grid(torch.tensor(given), **options)
            assert_same(ours, theirs, 1e-6)
    for module, kind, name in ((utils, dtrain, "a.png"), (torchvision.utils, torch, "b.png")):
        module.save_image(kind.tensor(images), tmp_path / name, nrow=3)
    assert_same(PIL.Image.open(tmp_path / "a.png"), PIL.Image.open(tmp_path / "b.png"))


def test_folders_are_listed_and_shown_as_torchvisions(tmp_path):
    for name in ("b/2.png", "a/x/3.JPEG", "a/1.jpg", "b/notes.txt", "b/10.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith(".txt"):
            make_picture("L").save(tmp_path / name)
    ours, theirs = (d.ImageFolder(tmp_path) for d in (datasets, torchvision.datasets))
    assert (ours.samples, ours.classes, ours.class_to_idx, ours.targets) == (
        theirs.samples, theirs.classes, theirs.class_to_idx, theirs.targets
    )  # fmt: skip
    assert repr(ours) == repr(theirs)
    for i in range(len(theirs)):
        assert_same(ours[i][0], theirs[i][0])


def test_random_operations_have_torchvisions_strengths():
    spaces = [
        (transforms.augmentation._rand_augment_space(31, 40, 60),
         torchvision.transforms.RandAugment()._augmentation_space(31, (40, 60))),
        (transforms.augmentation._trivial_augment_space(31),
         torchvision.transforms.TrivialAugmentWide()._augmentation_space(31)),
    ]  # fmt: skip
    picture = make_picture(shape=(40, 60))
    from torchvision.transforms.autoaugment import _apply_op

    augment = transforms.RandAugment()
    for ours, theirs in spaces:
        assert list(ours) == list(theirs)
        for name, (strengths, signed) in theirs.items():
            assert ours[name][1] == signed
            np.testing.assert_allclose(ours[name][0], np.atleast_1d(strengths.numpy()), rtol=1e-6)
            strength = float(ours[name][0][len(ours[name][0]) // 2])
            nearest = torchvision.transforms.InterpolationMode.NEAREST
            for sign in (1, -1) if signed else (1,):
                expected = _apply_op(picture, name, sign * strength, nearest, None)
                assert_same(augment._apply(picture, name, sign * strength), expected)


def test_random_parameters_are_drawn_from_torchvisions_distributions():
    """Means of 3,000 draws agree within six standard errors; extremes are within the ranges."""
    image = dtrain.zeros(3, 40, 60)
    T, TV = transforms, torchvision.transforms
    pairs = [
        (lambda: T.RandomCrop.get_params(image, (30, 20))[:2],
         lambda: TV.RandomCrop.get_params(torch.zeros(3, 40, 60), (30, 20))[:2]),
        (lambda: T.RandomResizedCrop.get_params(image, (0.08, 1.0), (0.75, 4 / 3)),
         lambda: TV.RandomResizedCrop.get_params(torch.zeros(3, 40, 60), [0.08, 1.0], [0.75, 4 / 3])),
        (lambda: T.RandomErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4],
         lambda: TV.RandomErasing.get_params(torch.zeros(3, 40, 60), (0.02, 0.33), (0.3, 3.3), [0.0])[:4]),
        (lambda: flat(T.RandomAffine.get_params((-9, 30), (0.1, 0.2), (0.5, 2), (-5, 5, -9, 1), (60, 40))),
         lambda: flat(TV.RandomAffine.get_params([-9.0, 30.0], [0.1, 0.2], [0.5, 2.0], [-5.0, 5.0, -9.0, 1.0], [60, 40]))),
        (lambda: flat(T.RandomPerspective.get_params(60, 40, 0.5)[1]),
         lambda: flat(TV.RandomPerspective.get_params(60, 40, 0.5)[1])),
        (lambda: T.ColorJitter.get_params((0.5, 1.5), None, None, (-0.1, 0.4))[1::3],
         lambda: TV.ColorJitter.get_params((0.5, 1.5), None, None, (-0.1, 0.4))[1::3]),
    ]  # fmt: skip
    torch.manual_seed(0)
    for draw_ours, draw_theirs in pairs:
        ours, theirs = (
            np.array([draw() for _ in range(1000)]) for draw in (draw_ours, draw_theirs)
        )
        spread = np.sqrt((ours.var(0) + theirs.var(0)) / 1000)
        assert (abs(ours.mean(0) - theirs.mean(0)) <= 6 * spread + 1e-12).all()
        assert (abs(np.log((ours.std(0) + 1e-9) / (theirs.std(0) + 1e-9))) < 0.2).all()


def flat(nested):
    return [n for part in nested for n in (part if isinstance(part, (list, tuple)) else [part])]


def test_transforms_are_shown_as_torchvisions():
    for make in (
        lambda T: T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor()]),
        lambda T: T.Normalize((0.5,), (0.5,)),
        lambda T: T.RandomHorizontalFlip(),
        lambda T: T.RandomCrop(32, padding=4),
        lambda T: T.RandomErasing(),
        lambda T: T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        lambda T: T.Grayscale(3),
        lambda T: T.Pad(2),
    ):
        assert repr(make(transforms)) == repr(make(torchvision.transforms))
    assert math.isclose(transforms.ColorJitter(0.4).brightness[0], 0.6)
