"""What a pydantic model allows at the location of an error, read from its JSON Schema: which keys, which kinds."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

Loc = tuple[int | str, ...]
"""pydantic's path of an error, which also has the kind that was chosen of several."""
Keys = Mapping[str, Collection[str]]
"""The keys of a table, by the kind of component that the table is for."""


def properties_beside(loc: Loc, model: type[BaseModel]) -> dict[str, Any]:
    """The keys allowed beside the last step of `loc`, with their schemas."""
    schema = _schema(model)
    properties: dict[str, Any] = _resolved(_node(loc[:-1], schema), schema).get("properties", {})
    return properties


def kinds_at(loc: Loc, model: type[BaseModel]) -> Keys:
    """The kinds that a component at `loc` may have, with the keys of each; empty where `loc` holds no component."""
    schema = _schema(model)
    tables = [option.get("properties", {}) for option in _options(_node(loc, schema), schema)]
    return {kind: properties for properties in tables if (kind := kind_of(properties))}


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _node(loc: Loc, schema: Any) -> Any:
    node = schema
    for step in loc:
        node = _child(node, step, schema)
    return node


def _child(node: Any, step: int | str, schema: Any) -> Any:
    node = _resolved(node, schema)
    if isinstance(step, int):
        return node.get("items", {})
    if step in node.get("properties", {}):
        return node["properties"][step]
    options = _options(node, schema)
    for option in options:
        if option.get("properties", {}).get("kind", {}).get("const") == step:
            return option
    tables = [option for option in options if "properties" in option]
    return tables[0] if tables else node


def _options(node: Any, schema: Any) -> list[Any]:
    node = _resolved(node, schema)
    found = [_resolved(option, schema) for key in ("oneOf", "anyOf") for option in node.get(key, [])]
    # the union of kinds of an optional component is one of two options itself
    return [inner for option in found for inner in (_options(option, schema) or [option])]


def _resolved(node: Any, schema: Any) -> Any:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return node


def kind_of(properties: Mapping[str, Any]) -> str:
    """The kind of component that a table with these keys is for; empty where it is for none."""
    kind: str = properties.get("kind", {}).get("const", "")
    return kind
