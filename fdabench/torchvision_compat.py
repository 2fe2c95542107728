"""The import of torchvision, which PyPI's wheel refuses beside a CPU-only torch.

The wheel brings compiled operators; where they cannot be loaded, torchvision fails while it registers a fake kernel
for one of them: `RuntimeError: operator torchvision::nms does not exist`. Data sets, models and transforms need none
of the operators, so declaring the schemas of those with a fake kernel is enough (0.28 has a second one, qnms). Only
after exactly that failure: where the operators do load, a second declaration would be an error.
"""

import importlib
import sys
from functools import cache
from types import ModuleType

import torch

_FAILURE = "operator torchvision::nms does not exist"
_SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
# a library's declarations last as long as there is a reference to it
_is_declared: list[torch.library.Library] = []


@cache
def import_torchvision(submodule: str) -> ModuleType:
    """`torchvision.<submodule>`, whichever torch stands beside it."""
    name = f"torchvision.{submodule}"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if _FAILURE not in str(error):
            raise
    _declare()
    return importlib.import_module(name)


def _declare() -> None:
    for half_loaded in [module for module in sys.modules if module.split(".")[0] == "torchvision"]:
        del sys.modules[half_loaded]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _is_declared.append(library)
