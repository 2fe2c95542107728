"""Builds components from their configurations.

`suite.component_tables` builds each component once to validate it; `experiment.resolved_cell` builds those of a cell.
"""

from fractions import Fraction
from typing import NamedTuple

from fdabench.cell_config import ComponentConfig, EvalConfig, ScaledThreshold
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.registry import BUILT_IN, Registry


class CellScale(NamedTuple):
    """The numbers of a cell that convert epochs to steps, thresholds per parameter to theta, and give the seed.

    Args:
        steps_per_epoch: local steps of each worker in a nominal epoch.
        num_parameters: trainable parameters of the model.
        seed: for fields that are tagged as a seed, such as that of a sketch.
    """

    steps_per_epoch: Fraction
    num_parameters: int
    seed: int


def build_component(cls: type, component: ComponentConfig, scale: CellScale, registry: Registry = BUILT_IN) -> object:
    """Build the component that a configuration describes, including the components in its fields.

    Args:
        cls: the class that `component.kind` names.
        component: the values of its fields, as a suite gives them.
        scale: converts epochs, thresholds per parameter and seeds.
        registry: where the components that its fields name are looked up.

    Raises:
        ValueError: the constructor of a built-in component rejects a value. That of a plug-in may raise any class.
    """
    members = component_fields(cls, registry)
    return cls(**{member.name: _value(member, component, scale, registry) for member in members})


def _value(member: ComponentField, component: ComponentConfig, scale: CellScale, registry: Registry) -> object:
    """The value of one field, converted to the units of the component, and built if it is a component itself."""
    parameters = component.parameters
    if member.has_tag(SEED_TAG):
        return scale.seed
    if member.has_tag(STEPS_TAG):
        steps, epochs = (parameters.get(key) for key in member.duration_keys)
        absent = steps is None and epochs is None and member.default is None
        return None if absent else to_steps(steps, epochs, scale.steps_per_epoch)
    # TOML has no null, so the table of a field whose value is None has no such key
    value = parameters.get(member.name) if member.default is None else parameters[member.name]
    if isinstance(value, ScaledThreshold):
        return value.per_parameter * scale.num_parameters
    if isinstance(value, ComponentConfig):
        return build_component(member.component_classes[value.kind], value, scale, registry)
    return value


def held_out_samples(evaluation: EvalConfig, train_samples: int) -> int:
    """The number of training samples in the validation split of a cell; 0 if the cell has none."""
    split = evaluation.validation
    return round(split.share * train_samples) if split else 0


def to_steps(steps: object, epochs: object, steps_per_epoch: Fraction) -> Fraction:
    """Convert a duration that is given in steps or in epochs to local steps, without rounding.

    Args:
        steps: the number of local steps, or None.
        epochs: the number of nominal epochs; read only if `steps` is None.
        steps_per_epoch: local steps of each worker in a nominal epoch.

    >>> to_steps(None, 0.1, Fraction(75, 2))
    Fraction(15, 4)
    """
    return Fraction(str(steps)) if steps is not None else Fraction(str(epochs)) * steps_per_epoch
