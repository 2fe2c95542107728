"""Builds components from their configurations, which have been validated before."""

from fractions import Fraction
from typing import Any, NamedTuple

from fdabench.cell_config import ComponentConfig, EvalConfig, ScaledThreshold
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.registry import BUILT_IN, Registry


class CellScale(NamedTuple):
    """What epochs, thresholds per parameter and seeds come to in one cell."""

    steps_per_epoch: Fraction
    num_parameters: int
    seed: int


def build_component(cls: type[Any], component: ComponentConfig, scale: CellScale, registry: Registry = BUILT_IN) -> Any:
    """The component that a configuration describes.

    Args:
        cls: the class that `component.kind` names.
        component: the values of its fields, as a suite gives them.
        scale: what the cell makes of epochs, thresholds per parameter and seeds.
        registry: where the components that its fields name are looked up.

    Raises:
        ValueError: the component itself refuses a value.
    """
    members = component_fields(cls, registry)
    return cls(**{member.name: _value(member, component, scale, registry) for member in members})


def _value(member: ComponentField, component: ComponentConfig, scale: CellScale, registry: Registry) -> Any:
    given = component.parameters
    if member.has_tag(SEED_TAG):
        return scale.seed
    if member.has_tag(STEPS_TAG):
        steps, epochs = (given.get(key) for key in member.duration_keys)
        return to_steps(steps, epochs, scale.steps_per_epoch)
    # None is no value that a suite can give, so a table leaves it out
    value = given.get(member.name) if member.default is None else given[member.name]
    if isinstance(value, ScaledThreshold):
        return value.per_parameter * scale.num_parameters
    if isinstance(value, ComponentConfig):
        return build_component(member.component_classes[value.kind], value, scale, registry)
    return value


def held_out_samples(evaluation: EvalConfig, train_samples: int) -> int:
    """Training samples that the validation split of a cell takes; 0 without one."""
    split = evaluation.validation
    return round(split.share * train_samples) if split else 0


def to_steps(steps: object, epochs: object, steps_per_epoch: Fraction) -> Fraction:
    """A number of local steps of which one is given, in steps or in epochs, exactly; the other is None."""
    return Fraction(str(steps)) if steps is not None else Fraction(str(epochs)) * steps_per_epoch
