"""dtrain.vision: files, draws keyed by the sample, refusals; the arithmetic is in tests/oracle."""

import gzip
import pickle
import shutil
import sys
import tarfile
import warnings

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.data import DataLoader
from dtrain.errors import DataError, DesyncError, MissingModuleError
from dtrain.vision import datasets, pictures, transforms as T, utils
from dtrain.vision.transforms import functional as F

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes with three pictures each, each of one gray value."""
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (8, 6), (40 * (3 * number + i),) * 3).save(
                tmp_path / name / f"{i}.png"
            )
    return tmp_path


def first_value(sample):
    return F.pil_to_tensor(sample[0])[0, 0, 0].item(), sample[1]


def test_image_folder_reads_sorted_classes_and_files(folder):
    data = datasets.ImageFolder(folder, transform=T.Resize(3), target_transform=lambda n: n + 10)
    assert (data.classes, len(data)) == (["cat", "dog"], 6)
    assert [first_value(data[i]) for i in range(6)] == [
        (0, 10), (40, 10), (80, 10), (120, 11), (160, 11), (200, 11)
    ]  # fmt: skip
    assert data[0][0].size == (4, 3)


def test_a_package_that_pictures_need_and_is_not_there_is_no_fault_of_a_file(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for on_error in ("raise", "skip"):
        data = datasets.ImageFolder(folder, on_error=on_error)
        with pytest.raises(MissingModuleError, match=r"^pictures need the package pillow: pip "):
            data[0]


def test_a_corrupt_picture_is_named_by_its_path_or_skipped(folder):
    path = folder / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:40])
    (folder / "dog" / "2.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/1\.png: cannot be read: .*; repair or remove"):
        datasets.ImageFolder(folder)[1]
    data = datasets.ImageFolder(folder, on_error="skip")
    with pytest.warns(UserWarning, match=r"cat/1\.png: cannot be read: .* takes its place"):
        assert first_value(data[1]) == (80, 0)
    with pytest.warns(UserWarning, match=r"dog/2\.png"):
        assert first_value(data[5]) == (0, 0)  # after the last the first
    with pytest.raises(IndexError):
        data[6]
    for broken in folder.glob("*/*.png"):
        broken.write_bytes(b"nothing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match="none of its 6 files"):
            data[0]
    with pytest.raises(ValueError, match="expected on_error 'raise' or 'skip', got 'drop'"):
        datasets.ImageFolder(folder, on_error="drop")


def test_folders_without_pictures_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"the classes empty have no file that ends in \.jpg"
    ):
        datasets.ImageFolder(folder)
    assert datasets.ImageFolder(folder, allow_empty=True).classes == ["cat", "dog", "empty"]
    with pytest.raises(FileNotFoundError, match="has no folders; expected one folder a class"):
        datasets.ImageFolder(folder / "cat")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        datasets.ImageFolder(folder / "cow")
    only = datasets.ImageFolder(
        folder, allow_empty=True, is_valid_file=lambda p: p.endswith("1.png")
    )
    assert [path[-9:] for path, _ in only.samples] == ["cat/1.png", "dog/1.png"]
    with pytest.raises(ValueError, match="either extensions or is_valid_file"):
        datasets.make_dataset(folder)


def augmented(folder, microbatches=4):
    """The pictures of two epochs as this rank's loader gives them, by microbatch."""
    pipeline = T.Compose([
        T.RandomResizedCrop(5), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.RandomChoice([T.RandomRotation(20), T.RandAugment(1), T.GaussianBlur(3)]), T.ToTensor(),
        T.RandomErasing(value="random"),
    ])  # fmt: skip
    loader = DataLoader(
        datasets.ImageFolder(folder, pipeline), 1, shuffle=True, microbatches=microbatches
    )
    found = []
    for _ in range(2):
        for step in loader.steps():
            found += [(y.tolist(), x.numpy().tobytes()) for x, y in step if len(y)]
    return found


def test_augmentation_has_the_same_bits_on_any_number_of_ranks(folder):
    rng = np.random.default_rng(0)
    for path in folder.glob("*/*.png"):
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).save(path)
    alone = augmented(folder)
    assert len({bits for _, bits in alone}) == 12  # the second epoch's are others
    on_three = [item for rank in distributed.run_ranks(3, augmented, folder) for item in rank]
    assert sorted(on_three) == sorted(alone)
    again = augmented(folder)
    assert again == alone


def test_draws_depend_on_the_seed_and_have_their_probability():
    def draw(seed):
        dtrain.manual_seed(seed)
        crop = T.RandomCrop((2, 3))
        return [crop.get_params(dtrain.zeros(1, 9, 9), crop.size) for _ in range(5)]

    assert draw(1) == draw(1) != draw(2)
    x = dtrain.arange(4.0).reshape(1, 2, 2)
    for p, part in ((0, 0), (1, 1), (0.25, 0.25)):
        flip, apply = T.RandomHorizontalFlip(p), T.RandomApply([lambda x: x + 1], p)
        flipped = [flip(x)[0, 0, 0].item() for _ in range(400)]
        applied = [apply(x)[0, 0, 0].item() for _ in range(400)]
        assert np.mean(flipped) == pytest.approx(part, abs=0.1)
        assert np.mean(applied) == pytest.approx(part, abs=0.1)
    choose = T.RandomChoice([lambda x: 0, lambda x: 1, lambda x: 2], p=[1, 0, 3])
    counts = np.bincount([choose(x) for _ in range(400)], minlength=3) / 400
    assert counts == pytest.approx([0.25, 0, 0.75], abs=0.1)
    order = T.RandomOrder([lambda s: s + "a", lambda s: s + "b"])
    assert {order("") for _ in range(30)} == {"ab", "ba"}


def test_crops_pad_and_refuse_small_images():
    x = dtrain.ones(3, 4, 5)
    assert T.RandomCrop(8, pad_if_needed=True)(x).shape == (3, 8, 8)
    assert T.RandomCrop(6, padding=1)(x).sum() == x.sum()  # 6 rows of the 4 + 2
    with pytest.raises(ValueError, match=r"size \(8, 8\) is larger than the image, \(4, 5\)"):
        T.RandomCrop(8)(x)
    assert F.crop(x, 10, 10, 2, 3).tolist() == dtrain.zeros(3, 2, 3).tolist()
    x = dtrain.arange(12.0).reshape(1, 3, 4).requires_grad_()
    for mode in ("constant", "edge", "reflect", "symmetric"):
        options = {"constant_values": 7} if mode == "constant" else {}
        expected = np.pad(x.detach().numpy()[:, 1:], [(0, 0), (0, 1), (2, 1)], mode, **options)
        padded = F.pad(x, [2, -1, 1, 1], 7, mode)
        np.testing.assert_array_equal(padded.detach(), expected)
        (grad,) = dtrain.autograd.grad(padded.sum(), x)
        counts = [(expected == value).sum() for value in x.detach().numpy().ravel()]
        counts[7] -= (expected == 7).sum() - 1 if mode == "constant" else 0
        assert grad.flatten().tolist() == counts
    picture = Image.new("P", (5, 4))
    picture.putpalette([1, 2, 3])
    for mode in ("constant", "edge"):
        padded = F.pad(picture, 2, padding_mode=mode)
        assert (padded.mode, padded.size, padded.getpalette()[:3]) == ("P", (9, 8), [1, 2, 3])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.ToTensor()("a.png"), TypeError, "expected a PIL image or a NumPy array, got a str"),
        (lambda: T.Normalize([0.5], [0.0])(dtrain.ones(3, 2, 2)), ValueError, "std is 0"),
        (lambda: T.Normalize([0.5] * 2, [1.0])(dtrain.ones(3, 2, 2)), ValueError, "mean of 3 channels, got 2"),
        (lambda: T.Normalize([0.5], [1.0])(Image.new("L", (2, 2))), TypeError, "put ToTensor before it"),
        (lambda: T.RandomRotation(9)(dtrain.ones(3, 2, 2)), TypeError, "before ToTensor"),
        (lambda: T.RandomHorizontalFlip(1)(np.ones((2, 2))), TypeError, r"a ndarray of shape \(2, 2\)"),
        (lambda: T.Resize((1, 2, 3)), ValueError, r"got \(1, 2, 3\)"),
        (lambda: T.Resize(0), ValueError, "expected a size >= 1"),
        (lambda: T.Resize(4, max_size=4)(dtrain.ones(1, 9, 9)), ValueError, "max_size > size"),
        (lambda: T.Resize(4, interpolation="bilinear"), TypeError, "InterpolationMode"),
        (lambda: T.RandomHorizontalFlip(1.5), ValueError, "p from 0 to 1, got 1.5"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "hue from -0.5 to 0.5"),
        (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness >= 0"),
        (lambda: T.GaussianBlur(4), ValueError, "odd numbers, got 4"),
        (lambda: T.GaussianBlur(3, 0), ValueError, "sigma"),
        (lambda: T.RandAugment(magnitude=31), ValueError, "magnitude from 0 to 30"),
        (lambda: T.RandomErasing(value="x"), ValueError, "got 'x'"),
        (lambda: T.RandomErasing(ratio=(0, 1)), ValueError, r"ratio \(low, high\) > 0"),
        (lambda: T.RandomResizedCrop(2, ratio=(0, 1)), ValueError, "ratio > 0, got"),
        (lambda: T.RandomAffine(9, translate=(2, 0)), ValueError, "translate of 0 to 1"),
        (lambda: T.Compose([1]), TypeError, "callable, got 1"),
        (lambda: T.RandomChoice([]), ValueError, "at least one transform"),
        (lambda: F.pad(dtrain.ones(1, 2, 2), [1, 2, 3]), ValueError, "1, 2 or 4 numbers"),
        (lambda: F.to_pil_image(dtrain.ones(7, 2, 2)), ValueError, r"1 to 4 channels, got 7"),
        (lambda: F.five_crop(dtrain.ones(1, 2, 2), 3), ValueError, "larger than the image"),
        (lambda: F.adjust_hue(Image.new("RGB", (2, 2)), 0.6), ValueError, "-0.5 to 0.5"),
        (lambda: F.affine(Image.new("L", (2, 2)), 0, (0, 0), 0, 0), ValueError, "scale > 0"),
        (lambda: utils.make_grid([1, 2]), TypeError, "got a list"),
        (lambda: utils.make_grid([dtrain.ones(1, 2), dtrain.ones(2, 2)]), ValueError, "of one shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_mnist_reads_idx_files_and_says_which_are_missing(tmp_path):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    with pytest.raises(DataError, match=r"put train-images-idx3-ubyte, .* into .*/MNIST/raw"):
        datasets.MNIST(tmp_path, download=True)
    for place in ("MNIST/raw", "FashionMNIST/raw"):
        write_idx(tmp_path / place / "train-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / place / "train-labels-idx1-ubyte.gz", np.array([7, 2], np.uint8))
    data = datasets.MNIST(tmp_path, transform=T.PILToTensor())
    assert (len(data), data.targets.tolist(), data.class_to_idx["2 - two"]) == (2, [7, 2], 2)
    assert data[1][0].tolist() == images[1:2].tolist()
    assert data[1][1] == 2
    assert datasets.FashionMNIST(tmp_path)[0][0].mode == "L"
    assert "Split: Train" in repr(data)
    kept = data.targets == 2  # as a program keeps some of the classes
    data.data, data.targets = data.data[kept], data.targets[kept]
    assert (len(data), data[0][1], data[0][0].tolist()) == (1, 2, images[1:2].tolist())
    with pytest.raises(DataError, match="has no test images"):
        datasets.MNIST(tmp_path, train=False)


def write_cifar(folder, batches, meta, labels, names):
    folder.mkdir()
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 256, (3, 3072), np.uint8) for name in batches}
    for name, data in pixels.items():
        (folder / name).write_bytes(pickle.dumps({"data": data, labels: [0, 1, 1]}, protocol=2))
    (folder / meta).write_bytes(pickle.dumps({names: ["a", "b"]}, protocol=2))
    return pixels


def test_cifar_reads_batches_and_archives_without_running_code(tmp_path):
    batches = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    folder = tmp_path / "cifar-10-batches-py"
    with pytest.raises(
        DataError, match=r"found neither .*batches\.meta nor .*cifar-10-python.tar.gz"
    ):
        datasets.CIFAR10(tmp_path)
    pixels = write_cifar(folder, batches, "batches.meta", "labels", "label_names")
    data = datasets.CIFAR10(tmp_path, transform=T.PILToTensor())
    assert (len(data), data.classes, data.data.shape) == (15, ["a", "b"], (15, 32, 32, 3))
    picture, label = data[4]
    assert picture.tolist() == pixels["data_batch_2"][1].reshape(3, 32, 32).tolist()
    assert label == 1
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    assert len(datasets.CIFAR10(tmp_path, train=False)) == 3
    folder.rename(tmp_path / "elsewhere")
    assert datasets.CIFAR10(tmp_path).data.tobytes() == data.data.tobytes()
    folder.mkdir()
    (folder / "batches.meta").write_bytes(pickle.dumps(write_cifar))
    with pytest.raises(DataError, match=r"batches\.meta: cannot be read: it makes a .*write_cifar"):
        datasets.CIFAR10(tmp_path)
    write_cifar(
        tmp_path / "cifar-100-python", ["train", "test"], "meta", "fine_labels", "fine_label_names"
    )
    assert datasets.CIFAR100(tmp_path, train=False).targets == [0, 1, 1]
    whole = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    with tarfile.open(other / "cifar-100-python.tar.gz", "w:gz"):
        pass
    for contents in (b"x" * 99, whole[: len(whole) // 2]):
        (other / "cifar-10-python.tar.gz").write_bytes(contents)
        with pytest.raises(DataError, match=r"tar\.gz: cifar-10-batches-py/.* cannot be read"):
            datasets.CIFAR10(other)
    with pytest.raises(DataError, match="cifar-100-python/meta cannot be read of it"):
        datasets.CIFAR100(other)


def test_fake_data_is_a_function_of_the_index():
    data = datasets.FakeData(4, (3, 5, 6), num_classes=3, transform=T.PILToTensor())
    assert data[2][0].shape == (3, 5, 6)
    assert data[2][0].tolist() == data[2][0].tolist() != data[3][0].tolist()
    assert {label for _, label in data} <= {0, 1, 2}
    assert data[2][1] == datasets.FakeData(9, (3, 5, 6), 3, random_offset=1)[1][1]


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dtrain\[vision\]'"):
        pictures.load_pillow()


def test_torchvision_is_served_beside_torch(served_torch):
    import torchvision
    import torchvision.transforms as transforms
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.functional import to_tensor
    from torchvision.utils import save_image

    assert ImageFolder is datasets.ImageFolder
    assert save_image is utils.save_image
    assert to_tensor is F.to_tensor
    assert torchvision.transforms is transforms is T


def test_classes_that_differ_between_ranks_are_refused_in_the_first_step(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(folder, other, dirs_exist_ok=True)
    (other / "dog").rename(other / "ant")  # its number is another one

    def body():
        root = folder if distributed.rank() == 0 else other
        data = datasets.ImageFolder(root, T.Compose([T.Resize((2, 2)), T.ToTensor()]))
        model = dtrain.DataParallel(
            dtrain.nn.Sequential(dtrain.nn.Flatten(), dtrain.nn.Linear(12, 2))
        )
        for step in DataLoader(data, 1, microbatches=2).steps():
            for x, y in step:
                dtrain.nn.functional.cross_entropy(model(x), y).backward()

    with pytest.raises(DesyncError, match="not the same on all ranks: rank 0 unlike rank 1"):
        distributed.run_ranks(2, body)


def test_normalize_leaves_its_input_unless_in_place_and_has_a_gradient():
    picture = dtrain.tensor([[[1.0, 2.0]], [[3.0, 5.0]]], requires_grad=True)
    result = F.normalize(picture, [1.0, 2.0], [2.0, 0.5])
    assert result.tolist() == [[[0, 0.5]], [[2, 6]]]
    assert picture.tolist() == [[[1, 2]], [[3, 5]]]
    result.sum().backward()
    assert picture.grad.tolist() == [[[0.5, 0.5]], [[2, 2]]]
    plain = picture.detach().clone()
    assert F.normalize(plain, [1.0], [2.0], inplace=True) is plain
    assert plain.tolist() == [[[0, 0.5]], [[1, 2]]]


class Loaded(list):
    """Whether a worker has Pillow before it reads a sample."""

    def __getitem__(self, index):
        return "PIL.PngImagePlugin" in sys.modules


def test_workers_start_with_pillow_where_the_program_has_it(folder):
    datasets.ImageFolder(folder)[0]
    assert next(iter(DataLoader(Loaded(range(2)), 2, num_workers=1))).tolist() == [True, True]
