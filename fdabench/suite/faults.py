"""What is wrong with a table, said for a person: the place, the value found, what is allowed, the nearest name."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fdabench.errors import nearest
from fdabench.results.text import one_line
from fdabench.suite.spread import Loc
from fdabench.suite.synonyms import instead

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}


def faults_of(error: ValidationError, raw: Any, model: type[BaseModel], places: Mapping[Loc, str]) -> list[str]:
    """One line for each fault, with the place in the file of the value that is wrong; unknown keys come first, as what
    is missing may be what they were meant to be.
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    return [one_line(_fault(detail, raw, model, places)) for detail in details]


def _fault(detail: ErrorDetails, raw: Any, model: type[BaseModel], places: Mapping[Loc, str]) -> str:
    loc = _without_tags(detail["loc"], raw)
    place = _place(loc, places)
    if detail["type"] == "missing":
        above = _place(loc[:-1], places)
        return f"{above}: {loc[-1]!r} is missing" if above else f"{loc[-1]!r} is missing"
    if detail["type"] == "extra_forbidden":
        above = _place(loc[:-1], places)
        return f"{above}.{loc[-1]}: {_unknown(detail['loc'], model)}".lstrip(".")
    # what is wrong with the whole file says its place itself
    return f"{place}: {_what(detail)}" if place else _what(detail)


def _unknown(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """`unknown key of fedavg; allowed: kind, local_steps; did you mean 'local_steps'?`"""
    properties = _siblings(loc, model)
    # a suite's file is read before its tables are checked
    allowed = [*properties, *(["extends"] if "workload" in properties and len(loc) == 1 else [])]
    kind = properties.get("kind", {}).get("const")
    key = str(loc[-1])
    hint = instead(key, allowed) or nearest(key, allowed)
    return f"unknown key{f' of {kind}' if kind else ''}; allowed: {', '.join(allowed)}{hint}"


def _what(detail: ErrorDetails) -> str:
    kind, found, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        percent = "; a fraction, so 98 % is 0.98" if key == "le" and context[key] == 1 else ""
        return f"{shown(found)} is out of range: it must be {words} {context[key]:g}{percent}"
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, found {shown(found)}"
    if kind == "literal_error":
        hint = nearest(str(found), _quoted(context["expected"]))
        return f"{shown(found)} is unknown; allowed: {context['expected']}{hint}"
    if kind == "union_tag_invalid":
        return f"kind {shown(context['tag'])} is unknown; allowed: {context['expected_tags']}" + nearest(
            str(context["tag"]), _quoted(context["expected_tags"])
        )
    if kind == "union_tag_not_found":
        return f"expected a table with a kind, found {shown(found)}"
    if kind == "too_short":
        return "is empty"
    if kind == "too_long":
        return f"has {context['actual_length']} entries; at most {context['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        return f"{shown(found)}: only letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"
    return detail["msg"].removeprefix("Value error, ")


def shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _quoted(expected: str) -> list[str]:
    return expected.split("'")[1::2]


def _without_tags(loc: tuple[int | str, ...], raw: Any) -> tuple[str, ...]:
    """pydantic puts the chosen kind into the location of what is inside; the file has no such level."""
    kept: list[str] = []
    here = raw
    for i, step in enumerate(loc):
        inside = isinstance(here, dict) and step in here
        last = i == len(loc) - 1
        if inside and not last and _is_tag(str(step), here) and loc[i + 1] in here:
            continue  # a kind that is also one of its table's keys
        if inside or isinstance(step, int) or (last and not _is_tag(step, here)):
            kept.append(str(step) if isinstance(step, str) else f"[{step}]")
            here = here[step] if inside or (isinstance(here, list) and isinstance(step, int)) else None
    return tuple(kept)


def _is_tag(step: str, here: Any) -> bool:
    if isinstance(here, dict):
        by_preset = "preset" in here and step.endswith(f"-{here['preset']}")
        return step in ("table", here.get("kind")) or by_preset
    return here is not None and (step == "number" or step == here)


def _place(loc: tuple[str, ...], places: Mapping[Loc, str]) -> str:
    known = next((loc[:length] for length in range(len(loc), -1, -1) if loc[:length] in places), ())
    rest = "".join(step if step.startswith("[") else f".{step}" for step in loc[len(known) :])
    return (places.get(known, "") + rest).lstrip(".")


def _siblings(loc: tuple[int | str, ...], model: type[BaseModel]) -> dict[str, Any]:
    """The keys allowed beside the last step of `loc`, with their schemas."""
    schema = model.model_json_schema()
    node: Any = schema
    for step in loc[:-1]:
        node = _child(node, step, schema)
    properties: dict[str, Any] = _resolved(node, schema).get("properties", {})
    return properties


def _child(node: Any, step: int | str, schema: Any) -> Any:
    node = _resolved(node, schema)
    if isinstance(step, int):
        return node.get("items", {})
    if step in node.get("properties", {}):
        return node["properties"][step]
    options = [_resolved(option, schema) for key in ("oneOf", "anyOf") for option in node.get(key, [])]
    for option in options:
        if option.get("properties", {}).get("kind", {}).get("const") == step:
            return option
    tables = [option for option in options if "properties" in option]
    return tables[0] if tables else node


def _resolved(node: Any, schema: Any) -> Any:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return node
