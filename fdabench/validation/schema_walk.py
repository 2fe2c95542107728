"""Finds which keys and kinds a pydantic model allows at the location of an error, by reading its JSON Schema."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

Loc = tuple[int | str, ...]
"""The location of an error as pydantic returns it. It includes the kind of a component, which is no key of the file."""
JsonSchema = dict[str, Any]
"""A part of a JSON Schema, as pydantic makes it of a model."""
Keys = Mapping[str, Collection[str]]
"""Kind of component -> the keys of its table."""


def properties_beside(loc: Loc, model: type[BaseModel]) -> dict[str, object]:
    """Return the keys that are allowed in the table of the last key of `loc`, with their schemas.

    Args:
        loc: the location of an error.
        model: the model that was validated.
    """
    schema = _schema(model)
    node = _resolved(_node(loc[:-1], schema), schema)
    # a table that may be left out is a union of the table and null
    tables = [node, *_options(node, schema)]
    properties: dict[str, object] = next((table["properties"] for table in tables if "properties" in table), {})
    return properties


def kinds_at(loc: Loc, model: type[BaseModel]) -> Keys:
    """Return the kinds that the component at `loc` may have, with the keys of each; empty if there is no component.

    Args:
        loc: the location of an error.
        model: the model that was validated.
    """
    schema = _schema(model)
    tables = [option.get("properties", {}) for option in _options(_node(loc, schema), schema)]
    return {kind: properties for properties in tables if (kind := kind_of(properties))}


@cache
def _schema(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema()


def _node(loc: Loc, schema: JsonSchema) -> JsonSchema:
    node = schema
    for step in loc:
        node = _child(node, step, schema)
    return node


def _child(node: JsonSchema, step: int | str, schema: JsonSchema) -> JsonSchema:
    node = _resolved(node, schema)
    if isinstance(step, int):
        items: JsonSchema = node.get("items", {})
        return items
    if step in node.get("properties", {}):
        child: JsonSchema = node["properties"][step]
        return child
    options = _options(node, schema)
    for option in options:
        if option.get("properties", {}).get("kind", {}).get("const") == step:
            return option
    tables = [option for option in options if "properties" in option]
    return tables[0] if tables else node


def _options(node: JsonSchema, schema: JsonSchema) -> list[JsonSchema]:
    node = _resolved(node, schema)
    options = [_resolved(option, schema) for key in ("oneOf", "anyOf") for option in node.get(key, [])]
    # an optional component is a union of null and a union of kinds
    return [inner for option in options for inner in (_options(option, schema) or [option])]


def _resolved(node: JsonSchema, schema: JsonSchema) -> JsonSchema:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return node


def kind_of(properties: JsonSchema) -> str:
    """Return the kind of the component whose table has these properties; empty if the table describes none."""
    kind: str = properties.get("kind", {}).get("const", "")
    return kind
