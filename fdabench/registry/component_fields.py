"""Describes the fields of a component's dataclass: name, type, default, and the components that a field may contain.

`build_component`, `suite.component_tables` and `fdabench list` use the descriptions.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import NamedTuple, Union, get_args, get_origin, get_type_hints

from fdabench.core.codec import Codec
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Correction, ServerOptimizer
from fdabench.core.trigger import Trigger
from fdabench.hyperparameters import UnitTag
from fdabench.optimizers.base import LRSchedule
from fdabench.published.theta_rules import THETA_PER_PARAMETER
from fdabench.registry.registry import BUILT_IN, Registry

Kinds = Mapping[str, type]


class ComponentField(NamedTuple):
    """One field of a frozen dataclass. `default` is `dataclasses.MISSING` if the field has none."""

    name: str
    type_hint: object
    default: object
    component_classes: Kinds
    """The components that the field may contain, by kind; empty if its value is not a component."""

    def has_tag(self, meaning: UnitTag) -> bool:
        """Whether the annotation of the field, or of what it holds if not None, has this tag of `hyperparameters`."""
        hints = (self.type_hint, *get_args(self.type_hint))
        return any(meaning in getattr(hint, "__metadata__", ()) for hint in hints)

    @property
    def required(self) -> bool:
        """Whether the field has no default."""
        return self.default is MISSING

    @property
    def default_kind(self) -> str | None:
        """The kind of the component that is the default; None if the default is not a component."""
        return next((kind for kind, cls in self.component_classes.items() if type(self.default) is cls), None)

    @property
    def duration_keys(self) -> tuple[str, str]:
        """The two keys with which a suite gives this duration: in local steps, or in nominal epochs.

        If the default is None, a suite may leave out both.
        """
        prefix = "local" if self.name == "period" else self.name
        return f"{prefix}_steps", f"{prefix}_epochs"


def component_fields(cls: type, registry: Registry = BUILT_IN) -> list[ComponentField]:
    """Describe the fields of a component.

    Args:
        cls: the class of the component.
        registry: where the components that a field may contain are looked up.

    Raises:
        TypeError: the class is not a dataclass. Its author must decorate it with `@dataclass(frozen=True)`.
    """
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__qualname__} must be a frozen dataclass")
    hints = get_type_hints(cls, include_extras=True)
    return [
        ComponentField(field.name, hints[field.name], field.default, _kinds(hints[field.name], registry))
        for field in fields(cls)
    ]


def threshold_rules() -> Mapping[str, float]:
    """The published rules for theta: the threshold per parameter of the model, by the name that a suite may give."""
    return THETA_PER_PARAMETER


def _kinds(hint: object, registry: Registry) -> Kinds:
    """The components that a field with this type may contain, by kind; empty if it contains none."""
    classes = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    inner: Mapping[type, Kinds] = {
        Monitor: registry.monitors,
        ServerOptimizer: registry.servers,
        Trigger: registry.triggers,
        Codec: registry.codecs,
        Correction: registry.corrections,
        LRSchedule: registry.schedules,
    }
    for protocol, kinds in inner.items():
        if protocol in classes:
            return kinds
    return {kind: cls for kinds in inner.values() for kind, cls in kinds.items() if cls in classes}
