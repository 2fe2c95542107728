"""Creates pydantic models of the TOML tables that describe components, from the dataclasses of the components.

A strategy, monitor, server, optimizer or partition is a frozen dataclass that does not depend on suites. The
annotations of its fields (`fdabench.hyperparameters`) determine the keys of its table. The models report all errors
of a table at once, and `suite.editor` derives the JSON Schema from them.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, create_model, model_validator

from fdabench.cell_config import ComponentConfig
from fdabench.component_info import info_of
from fdabench.errors import did_you_mean
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG
from fdabench.published.theta_rules import THETA_PER_PARAMETER
from fdabench.registry.build_component import CellScale, build_component
from fdabench.registry.component_fields import ComponentField, Kinds, component_fields
from fdabench.registry.registry import Registry
from fdabench.validation.messages import STRICT_TABLE, format_names
from fdabench.validation.toml_text import format_value

# longer budgets could not be run, and their evaluations would not fit into the tables of results
MAX_STEPS, MAX_EPOCHS = 10**9, 10**6
MAX_STATE_SIZE = 10**8
"""The largest local state of a monitor for a model with one parameter: 0.4 GB per worker at every check."""


class TomlTable(BaseModel):
    """A TOML table of a suite; unknown keys and values of another type are errors."""

    model_config = STRICT_TABLE


def require_one_of(table: BaseModel, first: str, second: str) -> None:
    """Check that exactly one of two keys is given.

    Raises:
        ValueError: both keys of the table are given, or neither is.
    """
    is_set = [getattr(table, key) is not None for key in (first, second)]
    if all(is_set):
        raise ValueError(f"both {first} and {second} are given; remove one of them")
    if not any(is_set):
        raise ValueError(f"neither {first} nor {second} is given; add one of them")


def _constant(value: object) -> object:
    """Replace the name of a published rule for theta by its constant; return other values unchanged.

    The configuration of a cell contains the constant, so its id does not depend on the name.
    """
    if isinstance(value, str):
        if value not in THETA_PER_PARAMETER:
            text = f"{format_value(value)}{did_you_mean(value, THETA_PER_PARAMETER)}"
            raise ValueError(f"expected a number, or one of {format_names(THETA_PER_PARAMETER)}, found {text}")
        return THETA_PER_PARAMETER[value]
    return value


def _as_per_parameter(value: object) -> object:
    """Convert `theta = "balanced"` to `theta = { per_parameter = "balanced" }`."""
    return {"per_parameter": _constant(value)} if isinstance(value, str) else value


_Rule: TypeAlias = Literal[tuple(THETA_PER_PARAMETER)]  # type: ignore[valid-type]
_Positive = Annotated[float, Field(gt=0)]


class PerParameter(TomlTable):
    """A threshold that is proportional to the size of the model: theta = per_parameter * number of parameters."""

    per_parameter: Annotated[_Positive, BeforeValidator(_constant, json_schema_input_type=_Positive | _Rule)]


_NumberOrTable = Annotated[
    Annotated[float, Field(ge=0), Tag("number")] | Annotated[PerParameter, Tag("table")],
    Discriminator(lambda value: "table" if isinstance(value, dict | PerParameter) else "number"),
]
Theta = Annotated[_NumberOrTable, BeforeValidator(_as_per_parameter, json_schema_input_type=_NumberOrTable | _Rule)]


class ComponentTable(TomlTable):
    """A table with a `kind`. Validation builds the component and fails if its constructor raises.

    `make_component_table` creates one subclass for each kind.
    """

    component: ClassVar[type]
    registry: ClassVar[Registry]

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        for member in component_fields(self.component, self.registry):
            if member.has_tag(STEPS_TAG):
                keys = member.duration_keys
                if member.default is not None or any(getattr(self, key) is not None for key in keys):
                    require_one_of(self, *keys)
        return self

    @model_validator(mode="after")
    def _accepted(self) -> Self:
        try:
            config = ComponentConfig.from_table(self.model_dump(exclude_none=True))
            # an epoch is long here, so that a period in epochs is too short for nothing; `suite.sizes` knows its length
            made = build_component(self.component, config, CellScale(Fraction(10**6), 1, 0), self.registry)
            _check_state(made, self.registry)
        except ValueError:
            raise
        except Exception as error:
            # `__post_init__` of a plug-in may raise any class; pydantic converts ValueError to a validation error
            raise ValueError(f"{self.component.__name__} refuses it: {type(error).__name__}: {error}") from error
        return self


def _check_state(component: Any, registry: Registry) -> None:
    """Check the size of the local state, if the component is a monitor.

    Raises:
        ValueError: the local state has more than `MAX_STATE_SIZE` numbers.
    """
    size = component.state_size(1) if type(component) in registry.monitors.values() else 0
    if size > MAX_STATE_SIZE:
        raise ValueError(f"a local state of {size:.3g} numbers; at most {MAX_STATE_SIZE:.0e} are allowed")


@cache
def make_component_table(kind: str, cls: type, registry: Registry) -> type[ComponentTable]:
    """Create the pydantic model of the table for one kind of component.

    Args:
        kind: the value of the key `kind`.
        cls: the frozen dataclass of the component.
        registry: where the components that its fields may name are looked up.
    """
    keys: dict[str, Any] = {"kind": (Literal[kind], ...)}
    for member in component_fields(cls, registry):
        keys |= _keys(member, registry)
    made = create_model(cls.__name__, __base__=ComponentTable, __doc__=cls.__doc__, **keys)
    made.component, made.registry = cls, registry
    return made


def _keys(member: ComponentField, registry: Registry) -> dict[str, object]:
    """The keys of a component's table for one of its fields, with pydantic's types and defaults."""
    if member.has_tag(SEED_TAG):
        return {}
    if member.has_tag(STEPS_TAG):
        steps, epochs = member.duration_keys
        whole, real = Annotated[int, Field(ge=1, le=MAX_STEPS)], Annotated[float, Field(gt=0, le=MAX_EPOCHS)]
        return {steps: (whole | None, None), epochs: (real | None, None)}
    if member.has_tag(THRESHOLD_TAG):
        return {member.name: (Theta, ... if member.required else member.default)}
    if member.component_classes and member.default is None:
        return {member.name: (component_choice(member.component_classes, registry) | None, None)}
    if member.component_classes:
        default = ... if member.required else Field(default={"kind": member.default_kind}, validate_default=True)
        # of a preset such as `qsr`, whose field takes one kind only, a suite need not repeat the kind
        kind = next(iter(member.component_classes)) if len(member.component_classes) == 1 else member.default_kind
        return {member.name: (component_choice(member.component_classes, registry, kind), default)}
    return {member.name: (member.type_hint, ... if member.required else member.default)}


def component_choice(kinds: Kinds, registry: Registry, default_kind: str | None = None) -> Any:
    """The type of a key whose value is one component: a table with a kind, or the kind alone as a string.

    Args:
        kinds: the kinds that are allowed, with their classes.
        registry: where the components that their fields may name are looked up.
        default_kind: the kind of a table that has no key `kind`. Default: such a table is an error.
    """
    tables: list[Any] = [make_component_table(kind, cls, registry) for kind, cls in kinds.items()]
    choice: Any = tables[0] if len(tables) == 1 else Annotated[reduce(or_, tables), Field(discriminator="kind")]
    return Annotated[choice, BeforeValidator(_as_table(kinds, default_kind))]


def _as_table(kinds: Kinds, default_kind: str | None) -> Callable[[object], object]:
    """Create the function that converts the short forms of a component to a table with a full `kind`.

    The string `"adam-reddi"` becomes `{kind = "adam-reddi"}`, and `{preset = "reddi"}` becomes the kind whose
    description has that preset.
    """
    presets = {kind: info_of(cls).preset for kind, cls in kinds.items() if info_of(cls).preset}
    methods = [kind.removesuffix(f"-{preset}") for kind, preset in presets.items()]

    def as_table(value: object) -> object:
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, dict) and isinstance(value.get("preset"), str):
            preset = value["preset"]
            kinds = [kind.removesuffix(f"-{preset}") for kind, kind_preset in presets.items() if kind_preset == preset]
            method = value.get("kind", next(iter(kinds + methods), None))
            if method in methods:
                value = {key: item for key, item in value.items() if key != "preset"} | {"kind": f"{method}-{preset}"}
        if isinstance(value, dict) and "kind" not in value and default_kind is not None:
            value = {"kind": default_kind, **value}
        return value

    return as_table
