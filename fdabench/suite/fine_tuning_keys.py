"""The keys of the table `model` of a workload that fine-tune any model: `init`, `trainable`, `lora` and `base`."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, create_model, model_validator

from fdabench.models.base import FrozenBase
from fdabench.models.fine_tuning import FineTuning
from fdabench.models.lora import LoraConfig
from fdabench.registry.registry import Registry
from fdabench.suite.component_tables import TomlTable

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Lora(TomlTable):
    """Low-rank adapters of linear layers: W + alpha / rank B A, of which A and B are trained."""

    rank: Annotated[int, Field(ge=1, le=65536)]
    targets: Names
    alpha: Annotated[float, Field(gt=0, le=1e6)] | None = None


class FineTuningKeys(TomlTable):
    """The weights that a model begins from, and what of it is trained."""

    init: Annotated[str, Field(min_length=1)] | None = None
    trainable: Names | None = None
    lora: Lora | None = None
    base: FrozenBase | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.trainable is not None and self.lora is not None:
            raise ValueError("trainable and lora are both given: lora trains its adapters only; remove one of the two")
        if self.base is not None and self.trainable is None and self.lora is None:
            raise ValueError("base says how workers get the frozen parameters, and without trainable or lora none are")
        return self


class BuiltInModel(FineTuningKeys):
    """A model of fdabench or of a plug-in with keys of fine-tuning. `built_in_table` restricts its name."""

    name: str


@cache
def built_in_table(registry: Registry) -> type[BuiltInModel]:
    """Create the pydantic model of the table `model` without a kind, whose name must be in the registry."""
    name: Any = (Literal[tuple(registry.models)], ...)
    about = "A model by its name, with the weights that it begins from and what of it is trained."
    return cast(type[BuiltInModel], create_model("BuiltInModel", __base__=BuiltInModel, __doc__=about, name=name))


def fine_tuning_of(keys: Mapping[str, Any]) -> FineTuning:
    """Return the settings that validated keys give. Without `alpha` the adapters are not scaled: alpha = rank."""
    lora = keys.get("lora")
    adapters = (
        None
        if lora is None
        else LoraConfig(lora["rank"], tuple(lora["targets"]), float(lora.get("alpha", lora["rank"])))
    )
    trainable = tuple(keys.get("trainable", ()))
    return FineTuning(keys.get("init", ""), trainable, adapters, keys.get("base", "preinstalled"))
