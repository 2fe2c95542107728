"""Low-rank adapters: a frozen linear layer plus a trainable product of two small matrices.

Source: E. Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import sqrt

from torch import Tensor, nn
from torch.nn.functional import linear

from fdabench.errors import WorkloadError, did_you_mean

LORA_REFERENCE = "hu2022"
"""The key of the paper in `suite/references.bib`."""


@dataclass(frozen=True)
class LoraConfig:
    """The adapters of a model.

    Args:
        rank: the rank of the product of the two matrices, at least 1.
        targets: names of linear layers, or patterns with `*`. The last parts of a name select every layer whose name
            ends with them: `attention.project_in` selects `blocks.0.attention.project_in` and
            `blocks.1.attention.project_in`.
        alpha: the numerator of the factor alpha / rank, by which the product is multiplied.
    """

    rank: int
    targets: tuple[str, ...]
    alpha: float


class LoraLinear(nn.Linear):
    """A linear layer whose weight is W + alpha / rank B A: W and the bias are frozen, A and B are trained.

    A, shape [rank, inputs], is drawn from a normal distribution with variance 1 / inputs. B, shape [outputs, rank], is
    initialized to zero, so that the initial output equals that of the replaced layer.

    Args:
        layer: the layer to replace; its weight and bias are used without a copy, under the same names.
        rank: as in `LoraConfig`.
        alpha: as in `LoraConfig`.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = alpha / rank
        self.lora_A = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.lora_B = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.normal_(self.lora_A, std=1 / sqrt(layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias) + self.scale * linear(linear(x, self.lora_A), self.lora_B)

    def merged_weight(self) -> Tensor:
        """Return the weight of a plain linear layer with the same output, shape [outputs, inputs]."""
        return self.weight + self.scale * self.lora_B @ self.lora_A


def add_adapters(model: nn.Module, lora: LoraConfig) -> None:
    """Freeze all parameters of a model and replace the target layers by layers with adapters, in place.

    Args:
        model: the model.
        lora: the adapters and their target layers.

    Raises:
        WorkloadError: a target selects no linear layer.
    """
    # subclasses of nn.Linear are left out: nn.MultiheadAttention uses the weight of one and never calls its forward
    layers = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    for target in lora.targets:
        if not any(_selects(target, name) for name in layers):
            raise WorkloadError(_unknown_target(target, layers))
    model.requires_grad_(False)
    for name in layers:
        if any(_selects(target, name) for target in lora.targets):
            parent, _, attribute = name.rpartition(".")
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.Linear)
            setattr(model.get_submodule(parent), attribute, LoraLinear(layer, lora.rank, lora.alpha))


def _selects(target: str, name: str) -> bool:
    """Return whether a target matches the name of a layer or its last parts."""
    return fnmatchcase(name, target) or fnmatchcase(name, f"*.{target}")


def _unknown_target(target: str, layers: Sequence[str]) -> str:
    if not layers:
        return f'lora: targets: "{target}" selects nothing: the model has no linear layer'
    suffixes = {".".join(name.split(".")[start:]): None for name in layers for start in range(name.count(".") + 1)}
    hint = did_you_mean(target, suffixes)
    return f'lora: targets: "{target}" selects no linear layer{hint}; there are {first_names(layers)}'


def first_names(names: Sequence[str]) -> str:
    """Return the first 8 names, separated by commas, and the number of the others, for messages."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the tensors of a model, with the adapters added to the weights of their layers.

    Args:
        model: the model, with or without adapters.

    Returns:
        The tensors by name, on the CPU; the same model without adapters can load them.
    """
    # copies, because the tensors of a trained model are views of a row of all workers
    state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            prefix = f"{name}." if name else ""
            del state[f"{prefix}lora_A"], state[f"{prefix}lora_B"]
            state[f"{prefix}weight"] = module.merged_weight().detach().cpu()
    return state
