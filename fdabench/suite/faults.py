"""From pydantic's errors for a table of a suite to the path of each in the file, and a message for it."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fdabench.suite.synonyms import instead
from fdabench.validation.messages import Issue, explain, explain_missing, explain_unknown, explain_value, format_names
from fdabench.validation.toml_text import KeyPath, format_value

Loc = tuple[int | str, ...]
"""pydantic's path of an error, which also has the kind that was chosen of several."""
Keys = Mapping[str, Collection[str]]
"""The keys of a table, by the kind of component that the table is for."""


def faults_of(
    error: ValidationError, raw: Any, model: type[BaseModel], places: Mapping[KeyPath, KeyPath], kinds: Keys
) -> list[Issue]:
    """One issue for each error. Unknown keys come first: a key that is missing may be what one of them was meant to be.

    Args:
        error: what `model` raised.
        raw: what was validated.
        places: the path in the file of each value in `raw`.
        kinds: the keys that the other kinds of the same role take, where `model` is one kind's table.
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    return [_issue(detail, raw, model, places, kinds) for detail in details]


def _issue(
    detail: ErrorDetails, raw: Any, model: type[BaseModel], places: Mapping[KeyPath, KeyPath], kinds: Keys
) -> Issue:
    path, error = _without_tags(detail["loc"], raw), detail["type"]
    if error == "missing":
        owner = _kind(_properties(detail["loc"], model))
        return Issue(_place(path[:-1], places), explain_missing(str(path[-1]), owner))
    if error == "extra_forbidden":
        return Issue((*_place(path[:-1], places), path[-1]), _unknown(detail["loc"], model, kinds))
    place = _place(path, places)
    if error in ("union_tag_not_found", "model_attributes_type") and (known := _kinds_at(detail["loc"], model)):
        found, allowed = detail["input"], format_names(known)
        if isinstance(found, dict):
            return Issue(place, f"kind is missing; allowed: {allowed}")
        return Issue(
            place, f"expected a kind, or a table with a kind, found {format_value(found)}; allowed kinds: {allowed}"
        )
    if error == "union_tag_invalid" and "kind" in _inside(raw, path):
        return Issue((*place, "kind"), explain_value(detail["ctx"]["tag"], list(_kinds_at(detail["loc"], model))))
    if error == "value_error":
        # a component says which of its fields is wrong, as in ValueError("depth: 4 is even")
        key, colon, message = explain(detail).partition(": ")
        if colon and key in _inside(raw, path):
            return Issue((*place, key), message)
    return Issue(place, explain(detail))


def _inside(raw: Any, path: KeyPath) -> Mapping[str, Any]:
    """The table at a path of `raw`; empty where there is none."""
    node = raw
    for step in path:
        inside = step in node if isinstance(node, dict) else isinstance(node, list)
        node = node[step] if inside else None
    return node if isinstance(node, dict) else {}


def _unknown(loc: Loc, model: type[BaseModel], kinds: Keys) -> str:
    key, properties = str(loc[-1]), _properties(loc, model)
    # `extends` is read before the tables are checked
    allowed = [*_kind_first(properties), *(["extends"] if "workload" in properties and len(loc) == 1 else [])]
    same_role = kinds if len(loc) == 1 else _kinds_at(loc[:-2], model)
    takers = [kind for kind, keys in same_role.items() if key in keys]
    return explain_unknown(key, allowed, _kind(properties), takers, instead(key, allowed))


def _kind(properties: Mapping[str, Any]) -> str:
    """The kind of component that a table with these keys is for; empty where it is for none."""
    kind: str = properties.get("kind", {}).get("const", "")
    return kind


def _kind_first(keys: Iterable[str]) -> list[str]:
    """A component's own keys before the options that every strategy has."""
    keys = list(keys)
    start = keys.index("kind") if "kind" in keys else 0
    return keys[start:] + keys[:start]


def _without_tags(loc: Loc, raw: Any) -> KeyPath:
    """pydantic puts the chosen kind into the location of what is inside; the file has no such level."""
    kept: list[str | int] = []
    here = raw
    for i, step in enumerate(loc):
        inside = isinstance(here, dict) and step in here
        last = i == len(loc) - 1
        if inside and not last and _is_tag(str(step), here) and loc[i + 1] in here:
            continue  # a kind that is also one of its table's keys
        if inside or isinstance(step, int) or (last and not _is_tag(step, here)):
            kept.append(step)
            here = here[step] if inside or (isinstance(here, list) and isinstance(step, int)) else None
    return tuple(kept)


def _is_tag(step: str, here: Any) -> bool:
    if isinstance(here, dict):
        return step == "table" or step in (here.get("kind"), f"adam-{here.get('preset')}")
    return here is not None and (step == "number" or step == here)


def _place(path: KeyPath, places: Mapping[KeyPath, KeyPath]) -> KeyPath:
    known = next((path[:length] for length in range(len(path), -1, -1) if path[:length] in places), ())
    return (*places.get(known, ()), *path[len(known) :])


def _properties(loc: Loc, model: type[BaseModel]) -> dict[str, Any]:
    """The keys allowed beside the last step of `loc`, with their schemas."""
    schema = _schema(model)
    properties: dict[str, Any] = _resolved(_node(loc[:-1], schema), schema).get("properties", {})
    return properties


def _kinds_at(loc: Loc, model: type[BaseModel]) -> Keys:
    """The kinds that a component at `loc` may have, with the keys of each; empty where `loc` holds no component."""
    schema = _schema(model)
    tables = [option.get("properties", {}) for option in _options(_node(loc, schema), schema)]
    return {kind: properties for properties in tables if (kind := _kind(properties))}


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
