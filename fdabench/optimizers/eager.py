"""Torch optimizers without the calls that serve torch.compile.

`Optimizer.add_param_group` and the `step` of each torch optimizer import torch._dynamo, sympy and 600 more modules,
even if nothing is compiled. That takes more than a second in each process that trains.
"""

from inspect import unwrap
from typing import TypeVar, cast

import torch

OptimizerT = TypeVar("OptimizerT", bound=torch.optim.Optimizer)


def eager(torch_class: type[OptimizerT]) -> type[OptimizerT]:
    """Return a subclass that computes the same numbers and imports nothing.

    `step` runs under `torch.no_grad`, as it does in an optimizer with `differentiable=False`, the default.

    Args:
        torch_class: an optimizer of `torch.optim`.
    """
    undecorated = {name: unwrap(getattr(torch_class, name)) for name in ("add_param_group", "zero_grad")}
    step = torch.no_grad()(unwrap(torch_class.step))
    return cast(type[OptimizerT], type(torch_class.__name__, (torch_class,), {**undecorated, "step": step}))
