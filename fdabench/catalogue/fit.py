"""Whether the models of plug-ins fit the data sets that they are named with; what is built in says what it takes."""

from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor

from fdabench.catalogue.kinds import Catalogue
from fdabench.catalogue.load import place_of
from fdabench.catalogue.tried import tried
from fdabench.errors import TaskError
from fdabench.models.trial import shape_fault, value_fault


def misfits(pairs: Iterable[tuple[str, str]], catalogue: Catalogue) -> list[str]:
    """What keeps models of plug-ins from taking the images of data sets, by pairs of their names."""
    faults = []
    for model, dataset in dict.fromkeys(pairs):
        source = catalogue.datasets[dataset]
        what = f"model {model!r} on data set {dataset!r} (shape {source.shape}, {source.classes} classes)"
        look = partial(shape_fault, catalogue.models[model], source.shape, source.classes)
        faults += _faults(model, what, look, catalogue)
    return faults


def not_finite(model: str, x: Tensor, classes: int, seed: int, catalogue: Catalogue) -> list[str]:
    """What is wrong with the output of a plug-in's model for the first of these images, shape [N, C, H, W]."""
    look = partial(value_fault, catalogue.models[model], x, classes, seed)
    return _faults(model, f"model {model!r}", look, catalogue)


def _faults(model: str, what: str, look: Callable[[], str], catalogue: Catalogue) -> list[str]:
    """Of a model that a plug-in adds; of others there are none."""
    plugin = catalogue.plugin_of("models", model)
    if plugin is None:
        return []
    try:
        fault = tried(plugin, what, look)
    except TaskError as error:
        return [str(error)]
    return [f"{place_of(plugin, 'models', model)}: {what}: {fault}"] if fault else []
