"""Converts pydantic's validation errors of a suite's table to issues with a path in the file and a message.

`suite.reader` calls it for the suite as a whole, `suite.grid` for each variant of a workload, strategy or exclude.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fdabench.shared_types import ParsedTable
from fdabench.suite.synonyms import suggest_replacement
from fdabench.validation.messages import Issue, explain, explain_missing, explain_unknown, explain_value, format_names
from fdabench.validation.schema_walk import Keys, Loc, kind_of, kinds_at, properties_beside
from fdabench.validation.toml_text import KeyPath, format_value


def format_validation_errors(
    error: ValidationError, raw: object, model: type[BaseModel], places: Mapping[KeyPath, KeyPath], kinds: Keys
) -> list[Issue]:
    """Create one issue for each error.

    Unknown keys come first, because a misspelled key causes two errors: the unknown key and the missing one.

    Args:
        error: raised by `model`.
        raw: the value that was validated.
        model: the pydantic model that validated it.
        places: the path in the file of each value in `raw`.
        kinds: if `model` is the table of one kind of component, the keys of all kinds of the same role. The message
            about an unknown key names the kinds that have it.
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    return [_issue(detail, raw, model, places, kinds) for detail in details]


def _issue(
    detail: ErrorDetails, raw: object, model: type[BaseModel], places: Mapping[KeyPath, KeyPath], kinds: Keys
) -> Issue:
    """Convert one error of pydantic; arguments as in `format_validation_errors`."""
    path, error = _without_tags(detail["loc"], raw), detail["type"]
    if error == "missing":
        owner = kind_of(properties_beside(detail["loc"], model))
        return Issue(_location(path[:-1], places), explain_missing(str(path[-1]), owner))
    if error == "extra_forbidden":
        return Issue((*_location(path[:-1], places), path[-1]), _unknown_key(detail["loc"], model, kinds))
    place = _location(path, places)
    if error in ("union_tag_not_found", "model_attributes_type") and (allowed_kinds := kinds_at(detail["loc"], model)):
        value, allowed = detail["input"], format_names(allowed_kinds)
        if isinstance(value, dict):
            return Issue(place, f"kind is missing; allowed: {allowed}")
        return Issue(
            place, f"expected a kind, or a table with a kind, found {format_value(value)}; allowed kinds: {allowed}"
        )
    if error == "union_tag_invalid" and "kind" in _inside(raw, path):
        return Issue((*place, "kind"), explain_value(detail["ctx"]["tag"], list(kinds_at(detail["loc"], model))))
    if error == "value_error":
        # the message of a component begins with the name of the field, as in ValueError("depth: 4 is even")
        key, colon, message = explain(detail).partition(": ")
        if colon and key in _inside(raw, path):
            return Issue((*place, key), message)
    return Issue(place, explain(detail))


def _inside(raw: Any, path: KeyPath) -> ParsedTable:
    """The table at a path of `raw`; an empty table if there is none."""
    node = raw
    for step in path:
        inside = step in node if isinstance(node, dict) else isinstance(node, list)
        node = node[step] if inside else None
    return node if isinstance(node, dict) else {}


def _unknown_key(loc: Loc, model: type[BaseModel], kinds: Keys) -> str:
    key, properties = str(loc[-1]), properties_beside(loc, model)
    # `extends` is read before the tables are checked
    allowed = [*_kind_first(properties), *(["extends"] if "workload" in properties and len(loc) == 1 else [])]
    same_role = kinds if len(loc) == 1 else kinds_at(loc[:-2], model)
    takers = [kind for kind, keys in same_role.items() if key in keys]
    return explain_unknown(key, allowed, kind_of(properties), takers, suggest_replacement(key, allowed))


def _kind_first(keys: Iterable[str]) -> list[str]:
    """The keys with `kind` and those after it first, so that a strategy's own keys precede those of every strategy."""
    keys = list(keys)
    start = keys.index("kind") if "kind" in keys else 0
    return keys[start:] + keys[:start]


def _without_tags(loc: Loc, raw: Any) -> KeyPath:
    """The location of an error without the tags of unions.

    Pydantic inserts the tag of the chosen variant, such as the kind of a component, into locations. The file has no
    such level.
    """
    path: list[str | int] = []
    here = raw
    for i, step in enumerate(loc):
        inside = isinstance(here, dict) and step in here
        last = i == len(loc) - 1
        if inside and not last and _is_tag(str(step), here) and loc[i + 1] in here:
            continue  # the tag has the same name as one of the table's keys
        if inside or isinstance(step, int) or (last and not _is_tag(step, here)):
            path.append(step)
            here = here[step] if inside or (isinstance(here, list) and isinstance(step, int)) else None
    return tuple(path)


def _is_tag(step: str, here: Any) -> bool:
    """Whether a step of a location is the tag of a union, and not a key of the value `here`."""
    if isinstance(here, dict):
        by_preset = "preset" in here and step.endswith(f"-{here['preset']}")
        return step in ("table", here.get("kind")) or by_preset
    return here is not None and (step == "number" or step == here)


def _location(path: KeyPath, places: Mapping[KeyPath, KeyPath]) -> KeyPath:
    # the longest part of the path that the file contains; the rest are keys that are missing or have defaults
    nearest = next((path[:length] for length in range(len(path), -1, -1) if path[:length] in places), ())
    return (*places.get(nearest, ()), *path[len(nearest) :])
