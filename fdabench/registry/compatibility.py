"""Checks that the models of plug-ins accept the images of the data sets in their cells.

`suite.reader` checks shapes when it reads a suite, and `execution.preflight` checks output values before a run.
Built-in models need neither, because they declare the shape that they accept.
"""

from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor

from fdabench.errors import WorkloadError
from fdabench.models.shape_check import shape_error, value_error
from fdabench.registry.plugin_errors import attribute_errors
from fdabench.registry.plugin_loading import location_of
from fdabench.registry.registry import BUILT_IN, Registry


def incompatible_pairs(pairs: Iterable[tuple[str, str]], registry: Registry) -> list[str]:
    """The errors of models of plug-ins that do not accept the images of a data set.

    Args:
        pairs: (model, data set) names.
        registry: contains both.
    """
    faults = []
    for model, dataset in dict.fromkeys(pairs):
        source = registry.datasets[dataset]
        what = f"model {model!r} on data set {dataset!r} (shape {source.shape}, {source.classes} classes)"
        look = partial(shape_error, registry.models[model], source.shape, source.classes)
        faults += _pair_errors(model, what, look, registry)
    return faults


def non_finite_outputs(model: str, x: Tensor, classes: int, seed: int, registry: Registry) -> list[str]:
    """The errors in the output of a plug-in's model with its initial weights, such as values that are not finite.

    Args:
        model: the name of the model.
        x: images, shape [N, C, H, W]; only the first two are used.
        classes: the number of classes.
        seed: of the initial weights.
        registry: contains the model.
    """
    look = partial(value_error, registry.models[model], x, classes, seed)
    return _pair_errors(model, f"model {model!r}", look, registry)


def _library_errors(what: str, look: Callable[[], str]) -> list[str]:
    """The error of a model of another library, which raises errors of any class for images that it does not take."""
    try:
        fault = look()
    except Exception as error:
        fault = f"{type(error).__name__}: {error!s:.200}"
    return [f"{what}: {fault}"] if fault else []


def _pair_errors(model: str, what: str, look: Callable[[], str], registry: Registry) -> list[str]:
    """Call `look` and return the error that it returns or raises; without a call, none for a built-in model."""
    plugin = registry.find_plugin("models", model)
    if model in BUILT_IN.models:
        return []
    if plugin is None:
        return _library_errors(what, look)
    try:
        fault = attribute_errors(plugin, what, look)
    except WorkloadError as error:
        return [str(error)]
    return [f"{location_of(plugin, 'models', model)}: {what}: {fault}"] if fault else []
