"""Converts the arrays that a format reads to the tensors of a data set: inputs, labels, owners and the test set."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault

Normalization = Literal["none", "bytes", "channel"]
"""How inputs are normalized.

- `none`: arrays of unsigned bytes and images are divided by 255; other numbers are not changed.
- `bytes`: all numbers are divided by 255.
- `channel`: (x - mean) / standard deviation of each channel of the training set.
"""
Array = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """The samples of one split, as they are stored in a file.

    Args:
        location: the file or folder, for messages.
        x: inputs, one for each sample; numbers of shape [N], [N, F], [N, H, W], [N, C, H, W] or [N, H, W, C].
        y: labels, integers or strings of shape [N].
        owners: the owner of each sample, integers or strings of shape [N]; None if samples have no owners.
        keys: the keys of the table `dataset` that select `x`, `y` and `owners`, for messages.
    """

    location: str
    x: Array
    y: Array
    owners: Array | None = None
    keys: tuple[str, str, str] = ("path", "path", "path")


def make_tensors(
    train: Samples, test: Samples | float, test_seed: int, shape: str, normalize: Normalization
) -> DatasetTensors:
    """Convert samples to the tensors of a data set.

    Labels become 0..classes-1 in the sorted order of all labels, and owners likewise. Bytes are divided by 255.

    Args:
        train: the training set.
        test: the test set, or the share of `train` that is drawn as the test set.
        test_seed: the seed of that draw.
        shape: the shape of one input, such as `1x28x28`; empty if the arrays have it.
        normalize: how inputs are normalized.

    Raises:
        DataError: the samples do not form a data set; the error has all faults.
    """
    splits = [train, test] if isinstance(test, Samples) else [train]
    faults = [fault for samples in splits for fault in _faults(samples)]
    if not isinstance(test, Samples) and not 0 < test < 1:
        faults.append(DataFault("test", f"{test} is out of range: a share must be more than 0 and less than 1"))
    inputs = [] if faults else [_inputs(samples, shape, normalize == "bytes", faults) for samples in splits]
    if not faults and len({tuple(x.shape[1:]) for x in inputs}) > 1:
        shapes = " and ".join(str(list(x.shape[1:])) for x in inputs)
        faults.append(DataFault("test", f"training and test inputs must have the same shape; they have {shapes}"))
    if faults:
        raise DataError(faults)
    classes, labels = _encode([samples.y for samples in splits])
    owner_columns = [samples.owners for samples in splits if samples.owners is not None]
    if len(owner_columns) not in (0, len(splits)):
        raise DataError([DataFault("owner", f"{train.location}: either both splits have owners, or neither has")])
    names, owners = _encode(owner_columns)
    if not isinstance(test, Samples):
        rows = _draw(len(labels[0]), test, test_seed, train.location)
        inputs, labels, owners = (
            [tensors[0][part] for part in rows] if tensors else [] for tensors in (inputs, labels, owners)
        )
    if normalize == "channel":
        inputs = _normalized(inputs)
    (train_x, test_x), (train_y, test_y), (train_owners, test_owners) = inputs, labels, owners or (None, None)
    owner_names = tuple(map(str, names))
    return DatasetTensors(train_x, train_y, test_x, test_y, len(classes), train_owners, test_owners, owner_names)


def _faults(samples: Samples) -> list[DataFault]:
    """Return the faults that are checked before conversion: lengths, and the types of inputs, labels and owners."""
    x_key, y_key, owner_key = samples.keys
    faults = []
    count = len(samples.x) if samples.x.ndim else 0
    if count == 0:
        faults.append(DataFault(x_key, f"{samples.location}: there are no samples"))
    if samples.x.dtype.kind not in "buif":
        message = f"{samples.location}: inputs must be numbers; they are {samples.x.dtype}"
        faults.append(DataFault(x_key, message))
    columns = ((y_key, "labels", samples.y), (owner_key, "owners", samples.owners))
    for key, what, array in columns:
        if array is None:
            continue
        if array.shape != (count,):
            message = f"{samples.location}: {what} must have the shape [{count}], one for each input; they have"
            faults.append(DataFault(key, f"{message} {list(array.shape)}"))
        elif array.dtype.kind not in "buiU":
            message = (
                f"{samples.location}: {what} must be whole numbers or strings, without gaps; they are {array.dtype}"
            )
            faults.append(DataFault(key, message))
    return faults


def _inputs(samples: Samples, shape: str, are_bytes: bool, faults: list[DataFault]) -> Tensor:
    """Convert inputs to float32 of shape [N, C, H, W]. A fault is appended to `faults`.

    Unsigned bytes are divided by 255, and numbers of another type if `are_bytes`.
    """
    x, key = samples.x, samples.keys[0]
    count = len(x)
    if shape:
        axes = _axes(shape)
        if axes is None or np.prod((count, *axes)) != x.size:
            message = f"{samples.location}: an input has {x.size // count} numbers"
            faults.append(DataFault("shape", f"{shape!r} does not fit: {message}; expected CxHxW, as in '1x28x28'"))
            return torch.empty(0)
        x = x.reshape(count, *axes)
    elif x.ndim <= 2:
        x = x.reshape(count, 1, 1, -1)
    elif x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):  # [N, H, W, C]
        x = np.moveaxis(x, 3, 1)
    if x.ndim != 4 or x.size == 0:
        message = f"{samples.location}: inputs must have the shape [N, F], [N, H, W], [N, C, H, W] or [N, H, W, C]"
        faults.append(DataFault(key, f"{message}; they have {list(samples.x.shape)}"))
        return torch.empty(0)
    inputs = torch.from_numpy(np.ascontiguousarray(x).astype(np.float32))
    if samples.x.dtype == np.uint8 or are_bytes:
        inputs.div_(255)
    # whole numbers and booleans are finite, and a pass over all of them takes as long as the conversion
    if samples.x.dtype.kind == "f" and not (finite := inputs.isfinite().flatten(1).all(1)).all():
        row = int(torch.nonzero(~finite)[0])
        faults.append(DataFault(key, f"{samples.location}: sample {row} (from 0) has a value that is not finite"))
    return inputs


def _axes(shape: str) -> tuple[int, ...] | None:
    """Return the numbers of `CxHxW`, or those of `HxW` after one channel. None if the text is neither."""
    parts = shape.split("x")
    if not all(part.isdecimal() and int(part) for part in parts) or len(parts) not in (2, 3):
        return None
    axes = tuple(map(int, parts))
    return axes if len(axes) == 3 else (1, *axes)


def _encode(arrays: list[Array]) -> tuple[Array, list[Tensor]]:
    """Return the sorted distinct values of all arrays, and for each array the indices of its values, int64."""
    if not arrays:
        return np.empty(0), []
    if len({array.dtype.kind == "U" for array in arrays}) > 1:  # NumPy cannot sort numbers with strings
        arrays = [array.astype(str) for array in arrays]
    values = np.unique(np.concatenate(arrays))
    return values, [torch.from_numpy(np.searchsorted(values, array).astype(np.int64)) for array in arrays]


def _draw(count: int, share: float, seed: int, location: str) -> tuple[Tensor, Tensor]:
    """Draw the test set; return the sorted rows of the training and of the test set."""
    num_test = round(share * count)
    if not 0 < num_test < count:
        message = f"{share} of {count} samples of {location} is {num_test} test samples; both sets need at least one"
        raise DataError([DataFault("test", message)])
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    return order[num_test:].sort().values, order[:num_test].sort().values


def _normalized(inputs: list[Tensor]) -> list[Tensor]:
    """Subtract the mean of each channel of the training set and divide by its standard deviation.

    A constant channel is not divided. In a table of numbers, inputs [N, 1, 1, F], each column is normalized separately.
    """
    x = inputs[0]
    axes = (0,) if x.shape[1:3] == (1, 1) else (0, 2, 3)
    mean = x.double().mean(axes, keepdim=True)
    std = x.double().std(axes, correction=0, keepdim=True)
    std[std == 0] = 1
    return [x.sub(mean.float()).div_(std.float()) for x in inputs]
