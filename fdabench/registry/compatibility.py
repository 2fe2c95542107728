"""Checks that the models of plug-ins fit the data sets of their cells; built-in models declare their input shape."""

from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor

from fdabench.errors import WorkloadError
from fdabench.models.shape_check import shape_error, value_error
from fdabench.registry.plugin_errors import attribute_errors
from fdabench.registry.plugin_loading import location_of
from fdabench.registry.registry import Registry


def incompatible_pairs(pairs: Iterable[tuple[str, str]], registry: Registry) -> list[str]:
    """What keeps models of plug-ins from taking the images of data sets, by pairs of their names."""
    faults = []
    for model, dataset in dict.fromkeys(pairs):
        source = registry.datasets[dataset]
        what = f"model {model!r} on data set {dataset!r} (shape {source.shape}, {source.classes} classes)"
        look = partial(shape_error, registry.models[model], source.shape, source.classes)
        faults += _pair_errors(model, what, look, registry)
    return faults


def non_finite_outputs(model: str, x: Tensor, classes: int, seed: int, registry: Registry) -> list[str]:
    """What is wrong with the output of a plug-in's model for the first of these images, shape [N, C, H, W]."""
    look = partial(value_error, registry.models[model], x, classes, seed)
    return _pair_errors(model, f"model {model!r}", look, registry)


def _pair_errors(model: str, what: str, look: Callable[[], str], registry: Registry) -> list[str]:
    """The errors of `look`, for a model that a plug-in adds; none for a built-in model."""
    plugin = registry.find_plugin("models", model)
    if plugin is None:
        return []
    try:
        fault = attribute_errors(plugin, what, look)
    except WorkloadError as error:
        return [str(error)]
    return [f"{location_of(plugin, 'models', model)}: {what}: {fault}"] if fault else []
