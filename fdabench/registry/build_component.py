"""Builds components from their tables in a suite, which have been validated before."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.registry import BUILT_IN, Registry


class CellScale(NamedTuple):
    """What epochs, thresholds per parameter and seeds come to in one cell."""

    steps_per_epoch: Fraction
    num_parameters: int
    seed: int


def build_component(cls: type[Any], table: Mapping[str, Any], scale: CellScale, registry: Registry = BUILT_IN) -> Any:
    """The component that `table` describes.

    Raises:
        ValueError: the component itself refuses a value.
    """
    return cls(**{member.name: _value(member, table, scale, registry) for member in component_fields(cls, registry)})


def _value(member: ComponentField, table: Mapping[str, Any], scale: CellScale, registry: Registry) -> Any:
    if member.has_tag(SEED_TAG):
        return scale.seed
    if member.has_tag(STEPS_TAG):
        return to_steps(table, member.duration_keys, scale.steps_per_epoch)
    # None is no value that a suite can give, so a table leaves it out
    value: Any = table.get(member.name) if member.default is None else table[member.name]
    if member.has_tag(THRESHOLD_TAG):
        return value["per_parameter"] * scale.num_parameters if isinstance(value, Mapping) else value
    if member.component_classes:
        return build_component(member.component_classes[value["kind"]], value, scale, registry)
    return value


def held_out_samples(evaluation: Mapping[str, Any], train_samples: int) -> int:
    """Training samples that the validation split of a cell's `eval` table takes; 0 without one."""
    split = evaluation.get("validation")
    return round(split["share"] * train_samples) if split else 0


def to_steps(table: Mapping[str, Any], keys: tuple[str, str], steps_per_epoch: Fraction) -> Fraction:
    """A number of local steps that was given in steps or in epochs, exactly."""
    steps, epochs = (table.get(key) for key in keys)
    return Fraction(steps) if steps is not None else Fraction(str(epochs)) * steps_per_epoch
