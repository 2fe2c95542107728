"""Checks and hashes the tensors that a plug-in's data set loaded; `execution.plugin_data` calls both.

Built-in data sets need neither: torchvision verifies the checksums of its files, and scikit-learn contains the digits.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from fdabench.datasets.base import DatasetSpec, DatasetTensors

PARTS = ("train_x", "train_y", "test_x", "test_y")
KNOWN = "fdabench knows images, or what has their shape [N, C, H, W], and class labels only"


def data_errors(data: object, source: DatasetSpec) -> list[str]:
    """The differences between a loaded data set and its specification; empty if there are none.

    Inputs must be finite float32 of shape [N, *source.shape], labels int64 of shape [N] in 0..classes-1. N of the
    training set must be `source.train_samples`, N of the test set at least 1.

    Args:
        data: what `source.load` returned.
        source: the specification.
    """
    if not isinstance(data, DatasetTensors):
        return [f"load must return a fdabench.datasets.base.DatasetTensors; it returned {_kind(data)}"]
    faults = [
        f"{part} must be a torch.Tensor; it is {_kind(getattr(data, part))}"
        for part in PARTS
        if not isinstance(getattr(data, part), Tensor)
    ]
    if faults:
        return faults
    if data.classes != source.classes:
        faults.append(f"the DatasetTensors have classes = {data.classes!r}; the DatasetSpec declares {source.classes}")
    num_test = len(data.test_x) if data.test_x.ndim else 0
    if num_test == 0:
        faults.append("test_x must have at least 1 sample; it has none")
    for part, num_samples in (("train", source.train_samples), ("test", num_test)):
        x, y = getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
        declared = " (train_samples and shape of its DatasetSpec)" if part == "train" else " (shape of its DatasetSpec)"
        faults += _input_errors(f"{part}_x", x, (num_samples, *source.shape), declared)
        faults += _label_errors(f"{part}_y", y, num_samples, source.classes)
    return faults


def data_hash(data: DatasetTensors) -> str:
    """The first 16 hex digits of SHA-256 over dtype, shape and bytes of the four tensors, in the order of `PARTS`."""
    digest = hashlib.sha256()
    for part in PARTS:
        tensor = getattr(data, part).detach().cpu().contiguous()
        digest.update(f"{part} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]


def _input_errors(name: str, x: Tensor, shape: tuple[int, ...], declared: str) -> Iterator[str]:
    if x.dtype != torch.float32 or tuple(x.shape) != shape:
        other_task = f". {KNOWN}" if x.ndim != 4 or not x.is_floating_point() else ""
        yield f"{name} must be float32 of shape {list(shape)}{declared}; it is {_said(x)}{other_task}"
        return
    if x.sum().isfinite():  # fast path without another tensor; the sum of finite numbers may overflow, so see below
        return
    finite = torch.isfinite(x)
    if not finite.all():
        at = torch.nonzero(~finite)[0].tolist()
        yield f"{name}{at} is {x[tuple(at)].item()}; every value must be finite"


def _label_errors(name: str, y: Tensor, num_samples: int, classes: int) -> Iterator[str]:
    if y.dtype != torch.int64 or tuple(y.shape) != (num_samples,):
        other_task = f". {KNOWN}" if y.ndim != 1 or y.is_floating_point() else ""
        yield f"{name} must be int64 of shape [{num_samples}]; it is {_said(y)}{other_task}"
        return
    outside = (y < 0) | (y >= classes)
    if outside.any():
        at = int(torch.nonzero(outside)[0])
        yield f"{name}[{at}] is {int(y[at])}; classes = {classes} allows 0 to {classes - 1}"


def _said(tensor: Tensor) -> str:
    """The shape and dtype of a tensor in messages, such as `[1085, 32] int64`."""
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _kind(value: object) -> str:
    """The type of a value in messages, such as `a numpy.ndarray`."""
    kind = f"{type(value).__module__}.{type(value).__name__}"
    return "None" if value is None else f"a {kind.removeprefix('builtins.')}"
