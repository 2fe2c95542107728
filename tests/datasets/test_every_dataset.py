import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest
import torch

from fdabench import torchvision_compat as vision
from fdabench.datasets import DATASETS, images
from fdabench.datasets.base import data_dir
from fdabench.errors import WorkloadError


def test_digits_have_the_declared_shapes_and_counts() -> None:
    source = DATASETS["digits"]
    data = source.load(Path("nowhere"))
    assert data.train_x.shape == (source.train_samples, *source.shape) == (1438, 1, 8, 8)
    assert data.test_x.shape == (359, 1, 8, 8)
    assert (data.shape, data.classes) == (source.shape, source.classes) == ((1, 8, 8), 10)
    assert (data.train_x.dtype, data.train_y.dtype) == (torch.float32, torch.int64)
    assert (float(data.train_x.min()), float(data.train_x.max())) == (0.0, 1.0)


def test_every_fifth_digit_is_a_test_digit() -> None:
    from sklearn.datasets import load_digits

    data, digits = DATASETS["digits"].load(Path("nowhere")), load_digits()
    images, target = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, digits.target
    assert torch.equal(data.test_x, images[4::5])
    assert torch.equal(data.train_x, images[torch.arange(len(images)) % 5 != 4])
    assert data.test_y.tolist() == target[4::5].tolist()
    assert data.train_y[:5].tolist() == target[[0, 1, 2, 3, 5]].tolist()
    assert data.train_y.bincount().min() > 120


def test_a_move_to_a_device_changes_no_number() -> None:
    data = DATASETS["digits"].load(Path("nowhere"))
    moved = data.to(torch.device("cpu"))
    assert torch.equal(moved.train_x, data.train_x)
    assert torch.equal(moved.test_y, data.test_y)


def test_the_data_folder_is_the_option_the_variable_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option, else the environment, else `data`."""
    monkeypatch.setenv("FDABENCH_DATA", "/from/environment")
    assert data_dir(Path("chosen")) == Path("chosen")
    assert data_dir(None) == Path("/from/environment")
    monkeypatch.setenv("FDABENCH_DATA", "")
    assert data_dir(None) == Path("data")


FIRST_FILES = {
    "mnist": ("MNIST", "MNIST/raw/train-images-idx3-ubyte"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw/train-images-idx3-ubyte"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py/data_batch_1"),
    "cifar100": ("CIFAR100", "cifar-100-python/train"),
}


@pytest.mark.parametrize("name", FIRST_FILES)
@pytest.mark.parametrize(
    "failure", [URLError("no network"), RuntimeError("Error downloading"), OSError("read-only")], ids=repr
)
def test_the_error_for_missing_data_names_the_files_the_folder_and_the_remedy(
    name: str, failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: list[bool] = []

    def absent(root: str, train: bool, download: bool) -> None:
        assert root == str(tmp_path)
        arguments.append(download)
        raise failure if download else RuntimeError("Dataset not found. You can use download=True to download it")

    class_name, first_file = FIRST_FILES[name]
    monkeypatch.setattr(images, "import_torchvision", lambda submodule: SimpleNamespace(**{class_name: absent}))
    with pytest.raises(WorkloadError) as caught:
        DATASETS[name].load(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{class_name}: not found under {tmp_path}, and the download failed")
    assert "Three ways to get it" in text
    assert len(text.splitlines()) == 4
    for way in ("downloaded on first use", str(tmp_path / first_file), "--data-dir DIR, or FDABENCH_DATA=DIR"):
        assert way in text
    assert arguments == [False, True]


def test_pixels_of_torchvision_are_converted_to_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey ones have no channel axis, colored ones have it last."""

    def made(data: Any, targets: Any) -> Any:
        return lambda root, train, download: SimpleNamespace(data=data, targets=targets)

    grey = torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8)
    color = torch.arange(12, dtype=torch.uint8).view(1, 2, 2, 3).numpy()
    classes = SimpleNamespace(MNIST=made(grey, torch.tensor([7])), CIFAR10=made(color, [3]))
    monkeypatch.setattr(images, "import_torchvision", lambda submodule: classes)
    mnist, cifar = DATASETS["mnist"].load(tmp_path), DATASETS["cifar10"].load(tmp_path)
    assert torch.allclose(mnist.train_x, torch.tensor([[[[0.0, 1.0], [0.2, 0.4]]]]))
    assert (mnist.train_y.tolist(), cifar.train_y.tolist()) == ([7], [3])
    assert cifar.train_x.shape == (1, 3, 2, 2)
    green = (torch.tensor([[1.0, 4.0], [7.0, 10.0]]) / 255 - 0.4822) / 0.2435
    assert torch.allclose(cifar.train_x[0, 1], green, atol=1e-6)


SHIM = """
import importlib, warnings
from fdabench import torchvision_compat as vision
try:
    importlib.import_module("torchvision.datasets")
    plain = True
except RuntimeError as error:
    assert "operator torchvision::nms does not exist" in str(error), error
    plain = False
datasets = vision.import_torchvision("datasets")
assert datasets.MNIST.__name__ == "MNIST"
assert bool(vision._is_declared) == (not plain), (plain, vision._is_declared)
from torchvision.transforms import v2
assert vision.import_torchvision("datasets") is datasets
print("plain" if plain else "declared")
"""


def test_torchvision_is_imported_with_any_build_of_torch() -> None:
    """In a process of its own: the schemas are declared where the import fails without them, and only there."""
    done = subprocess.run([sys.executable, "-c", SHIM], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("plain", "declared")


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replacements of imports: each raises an error or returns a module; `declared` counts declared schemas."""
    made = SimpleNamespace(outcomes=[], declared=0)

    def pretend(name: str) -> ModuleType:
        outcome = made.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def declare() -> None:
        made.declared += 1

    monkeypatch.setattr(vision, "importlib", SimpleNamespace(import_module=pretend))
    monkeypatch.setattr(vision, "_declare", declare)
    return made


def test_no_operator_is_declared_if_torchvision_can_be_imported(imports: Any) -> None:
    module = ModuleType("torchvision.datasets")
    imports.outcomes = [module]
    assert vision.import_torchvision.__wrapped__("datasets") is module
    assert imports.declared == 0


def test_the_operators_are_declared_after_a_missing_operator(imports: Any) -> None:
    module = ModuleType("torchvision.datasets")
    imports.outcomes = [RuntimeError("operator torchvision::nms does not exist"), module]
    assert vision.import_torchvision.__wrapped__("datasets") is module
    assert imports.declared == 1


@pytest.mark.parametrize("error", [RuntimeError("something else"), ImportError("no torchvision")], ids=repr)
def test_other_failures_are_not_hidden(imports: Any, error: Exception) -> None:
    imports.outcomes = [error]
    with pytest.raises(type(error), match=str(error)):
        vision.import_torchvision.__wrapped__("datasets")
    assert imports.declared == 0
