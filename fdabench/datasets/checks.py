"""Checks and hashes the tensors of a data set that a plug-in loads. `execution.plugin_data` calls the functions.

Built-in data sets are not checked: torchvision verifies checksums, and scikit-learn contains the digits.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from fdabench.datasets.base import DatasetSpec, DatasetTensors

PARTS = ("train_x", "train_y", "test_x", "test_y")
SUPPORTED = (
    "fdabench supports images, or other data of shape [N, C, H, W], with class labels, and sequences of tokens [N, T] "
    "with task = 'next-token' in the DatasetSpec"
)


def data_errors(data: object, source: DatasetSpec) -> list[str]:
    """Return the differences between a loaded data set and its specification; empty if there are none.

    Inputs must be finite float32 of shape [N, *source.shape], labels int64 of shape [N] in 0..classes-1. If the task
    is `next-token`, inputs and targets must be int64 of shape [N, *source.shape] in 0..classes-1. N of the training set
    must be `source.train_samples`. N of the test set must be `source.test_samples` if that is declared, and at least 1.
    Owners, if any, must be int64 of shape [N] in 0..len(owner_names)-1.

    Args:
        data: the result of `source.load`.
        source: the specification.

    Returns:
        One message for each difference.
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
    elif source.test_samples not in (None, num_test):
        faults.append(f"test_x has {num_test} samples; the DatasetSpec declares test_samples = {source.test_samples}")
    for part, num_samples in (("train", source.train_samples), ("test", num_test)):
        x, y = getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
        origin = " (train_samples and shape of its DatasetSpec)" if part == "train" else " (shape of its DatasetSpec)"
        if source.task == "next-token":
            for name, tokens in ((f"{part}_x", x), (f"{part}_y", y)):
                faults += _index_errors(name, tokens, (num_samples, *source.shape), "classes", source.classes, origin)
        else:
            faults += _input_errors(f"{part}_x", x, (num_samples, *source.shape), origin)
            faults += _index_errors(f"{part}_y", y, (num_samples,), "classes", source.classes)
        faults += _owner_errors(f"{part}_owners", getattr(data, f"{part}_owners"), num_samples, data.owner_names)
    return faults


def data_hash(data: DatasetTensors) -> str:
    """Return the first 16 hex digits of the SHA-256 of the dtypes, shapes and bytes of the tensors.

    The tensors are in the order of `PARTS`, and the owners of the samples, if any, follow. The names of the owners are
    left out, because no number depends on them.
    """
    digest = hashlib.sha256()
    owners = [part for part in ("train_owners", "test_owners") if getattr(data, part) is not None]
    for part in (*PARTS, *owners):
        tensor = getattr(data, part).detach().cpu().contiguous()
        digest.update(f"{part} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]


def _input_errors(name: str, x: Tensor, shape: tuple[int, ...], origin: str) -> Iterator[str]:
    if x.dtype != torch.float32 or tuple(x.shape) != shape:
        other_task = f". {SUPPORTED}" if x.ndim != 4 or not x.is_floating_point() else ""
        yield f"{name} must be float32 of shape {list(shape)}{origin}; it is {_format_tensor(x)}{other_task}"
        return
    # the sum needs no other tensor; a sum of finite numbers may overflow, so the values are checked below
    if x.sum().isfinite():
        return
    finite = torch.isfinite(x)
    if not finite.all():
        index = torch.nonzero(~finite)[0].tolist()
        yield f"{name}{index} is {x[tuple(index)].item()}; every value must be finite"


def _index_errors(
    name: str, y: Tensor, shape: tuple[int, ...], bound: str, size: int, origin: str = ""
) -> Iterator[str]:
    """Yield the faults of a tensor of classes, tokens or owners, which must be int64 of `shape` in 0..size-1.

    Args:
        name: the name of the tensor, for messages.
        y: the tensor.
        shape: the required shape.
        bound: the name of `size` in messages, such as `classes`.
        size: one more than the largest value that is allowed.
        origin: the field that declares the shape, for messages.
    """
    if y.dtype != torch.int64 or tuple(y.shape) != shape:
        other_task = f". {SUPPORTED}" if y.ndim != len(shape) or y.is_floating_point() else ""
        yield f"{name} must be int64 of shape {list(shape)}{origin}; it is {_format_tensor(y)}{other_task}"
        return
    outside = (y < 0) | (y >= size)
    if outside.any():
        index = torch.nonzero(outside)[0].tolist()
        yield f"{name}[{', '.join(map(str, index))}] is {int(y[tuple(index)])}; {bound} = {size} allows 0 to {size - 1}"


def _owner_errors(name: str, owners: object, num_samples: int, owner_names: object) -> Iterator[str]:
    if owners is None:
        return
    if not isinstance(owners, Tensor):
        yield f"{name} must be a torch.Tensor or None; it is {_kind(owners)}"
        return
    if not isinstance(owner_names, tuple):
        yield f"owner_names must be a tuple of names, as there are {name}; it is {_kind(owner_names)}"
        return
    yield from _index_errors(name, owners, (num_samples,), "len(owner_names)", len(owner_names))


def _format_tensor(tensor: Tensor) -> str:
    """Return the shape and dtype of a tensor for messages, such as `[1085, 32] int64`."""
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _kind(value: object) -> str:
    """Return the type of a value for messages, such as `a numpy.ndarray`."""
    kind = f"{type(value).__module__}.{type(value).__name__}"
    return "None" if value is None else f"a {kind.removeprefix('builtins.')}"
