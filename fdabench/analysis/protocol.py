"""Compares a cell with the paper's protocol (EDBT 2025, Table 1, and its authors' code)."""

from collections.abc import Mapping

from fdabench.cell_config import CellConfig, FlatSettings, Scalar
from fdabench.formatting import format_significant
from fdabench.published.results import IID, iid_partition, published_name
from fdabench.results.flatten_keys import flatten_keys

_COMMON: FlatSettings = {
    "batch_size": 32,
    "sampling": "replacement",
    "averaging": "uniform",
    "precision": "fp32",
    "batchnorm_stats": "local",
}
_MOMENTS: FlatSettings = {"optimizer.beta1": 0.9, "optimizer.beta2": 0.999, "optimizer.eps": 1e-7}
_ADAM: FlatSettings = {"optimizer.kind": "adam", "optimizer.lr": 1e-3, **_MOMENTS, "optimizer.weight_decay": 0.0}
_ADAMW: FlatSettings = {"optimizer.kind": "adamw", "optimizer.lr": 5e-5, **_MOMENTS, "optimizer.weight_decay": 1e-8}
_NESTEROV: FlatSettings = {
    "optimizer.kind": "sgd",
    "optimizer.lr": 0.1,
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": True,
    "optimizer.weight_decay": 0.0,
}
# the local optimizers of FDA and of Synchronous
_LOCAL: Mapping[str, FlatSettings] = {
    "lenet5": _ADAM,
    "vgg16star": _ADAM,
    "densenet121": _NESTEROV,
    "densenet201": _NESTEROV,
    "convnext-large-imagenet": _ADAMW,
}
_CLIENT: FlatSettings = {"optimizer.kind": "sgd", "optimizer.momentum": 0.0, "optimizer.weight_decay": 0.0}
_SERVER_ADAM: FlatSettings = {
    "strategy.server.kind": "adam-keras",
    "strategy.server.lr": 1e-3,
    "strategy.server.beta1": 0.9,
    "strategy.server.beta2": 0.999,
    "strategy.server.eps": 1e-7,
}
_SERVER_MOMENTUM: FlatSettings = {
    "strategy.server.kind": "momentum",
    "strategy.server.lr": 0.316,
    "strategy.server.momentum": 0.9,
}
_FDA: FlatSettings = {"strategy.server.kind": "average", "strategy.every": 1}
_OF: Mapping[str, FlatSettings] = {
    "Synchronous": {"strategy.server.kind": "average"},
    "NaiveFDA": _FDA,
    "LinearFDA": _FDA,
    "SketchFDA": {**_FDA, "strategy.monitor.depth": 5, "strategy.monitor.width": 250},
    "FedAdam": {**_CLIENT, "optimizer.lr": 0.01, **_SERVER_ADAM, "strategy.local_epochs": 1.0},
    "FedAvgM": {**_CLIENT, "optimizer.lr": 0.0316, **_SERVER_MOMENTUM, "strategy.local_epochs": 1.0},
}

_IMAGES: Mapping[str, str] = {
    "cifar10": "images normalized by CIFAR-10's mean and deviation (published: ImageNet's)",
    "cifar100": "images normalized by CIFAR-100's mean and deviation before the model's own (published: by ImageNet's)",
}
"""Data sets that are preprocessed differently than in the paper."""


def protocol_differences(config: CellConfig, label: str) -> str:
    """Return the settings of a cell that differ from the protocol, such as `sampling = shuffle, lr = 0.002`.

    The text is empty if there is no difference. A key that an older results folder does not have had the value of the
    protocol.

    Args:
        config: the configuration of the cell.
        label: the label of the cell.
    """
    monitor = config.strategy.component("monitor")
    name = published_name(config.strategy.kind, monitor.kind if monitor else "")
    flat = flatten_keys(config.to_dict())
    of_strategy = _OF.get(name, {})
    local = {} if "optimizer.kind" in of_strategy else _LOCAL.get(config.model, {})
    expected = {**_COMMON, "optimizer.state_on_sync": "keep", **local, **of_strategy}
    differences = [
        _format_difference(key, flat[key]) for key, value in expected.items() if key in flat and flat[key] != value
    ]
    differences += [
        _format_difference(key, flat[key])
        for key in ("strategy.local_steps",)
        if key in flat and name in ("FedAdam", "FedAvgM")
    ]
    differences += [
        _format_difference(key, value)
        for key, value in flat.items()
        if key.startswith("eval.every_") and (key, value) != ("eval.every_epochs", 1.0)
    ]
    partition, published = config.partition.kind, iid_partition(config.model, name)
    differences += (
        [f"partition = {partition} (published: {published})"] if partition in IID and partition != published else []
    )
    differences += [_IMAGES[config.dataset]] if config.dataset in _IMAGES else []
    return ", ".join(differences)


def _format_difference(key: str, value: Scalar) -> str:
    """The key, without the prefix `strategy.`, and its value."""
    text = format_significant(value, 6).rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f"{key.removeprefix('strategy.')} = {text}"
