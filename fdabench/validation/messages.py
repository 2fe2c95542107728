"""Error messages for a table that pydantic refused: the value that was found, what is allowed, the nearest name."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from fdabench.errors import did_you_mean
from fdabench.results.escaping import one_line
from fdabench.validation.schema_walk import properties_beside
from fdabench.validation.toml_text import KeyPath, format_key, format_path, format_value

STRICT_TABLE = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""Of a TOML table: strict types, no unknown keys, finite numbers."""

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


class Issue(NamedTuple):
    """What is wrong with the value, or in the table, at a path."""

    path: KeyPath
    message: str


def format_issue(issue: Issue, origins: Mapping[KeyPath, str]) -> str:
    """`suite.toml:27: strategy.2.theta: -1 is out of range: ...`, on one line.

    Args:
        issue: an empty path stands for the whole file, whose name is said elsewhere.
        origins: what stands before a path, such as `suite.toml:27:`. Without an entry for the path itself, that of the
            table which holds it is used.
    """
    above = (issue.path[:length] for length in range(len(issue.path), 0, -1))
    origin = next((origins[path] for path in above if path in origins), "")
    place = f"{format_path(issue.path)}:" if issue.path else ""
    return one_line(" ".join(text for text in (origin, place, issue.message) if text))


def line_origins(file: str, lines: Mapping[KeyPath, int]) -> dict[KeyPath, str]:
    """What `format_issue` puts before the paths of one file."""
    return {path: f"{file}:{line}:" for path, line in lines.items()}


def table_issues(error: ValidationError, model: type[BaseModel]) -> list[Issue]:
    """One issue for each error, for a model without components, whose locations are paths of the file."""
    return [_issue(detail, model) for detail in error.errors(include_url=False)]


def _issue(detail: ErrorDetails, model: type[BaseModel]) -> Issue:
    path = detail["loc"]
    if detail["type"] == "missing":
        return Issue(path[:-1], explain_missing(str(path[-1])))
    if detail["type"] == "extra_forbidden":
        return Issue(path, explain_unknown(str(path[-1]), properties_beside(path, model)))
    return Issue(path, explain(detail))


def explain(detail: ErrorDetails) -> str:
    """What pydantic found, as a sentence; unknown and missing keys are for `explain_unknown` and `explain_missing`."""
    kind, found, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        percent = "; a fraction, so 98 % is 0.98" if key == "le" and context[key] == 1 else ""
        return f"{format_value(found)} is out of range: it must be {words} {context[key]:g}{percent}"
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, found {format_value(found)}"
    if kind == "literal_error":
        return explain_value(found, _quoted(context["expected"]))
    if kind == "union_tag_invalid":
        return f"kind {explain_value(context['tag'], _quoted(context['expected_tags']))}"
    if kind == "too_short":
        return f"the list is too short: it must have at least {context['min_length']} entry"
    if kind == "too_long":
        return f"the list has {context['actual_length']} entries; at most {context['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        return (
            f'{format_value(found)} is no name: a name has letters, digits, ".", "_" and "-", at most 64 of them, and '
            "begins with a letter or digit"
        )
    return detail["msg"].removeprefix("Value error, ")


def explain_value(found: object, allowed: Collection[str]) -> str:
    """`"fdaa" is unknown; allowed: "fedavg", "fda"; did you mean "fda"?`"""
    return f"{format_value(found)} is unknown; allowed: {format_names(allowed)}{did_you_mean(str(found), allowed)}"


def explain_unknown(
    key: str, allowed: Iterable[str], owner: str = "", others: Collection[str] = (), hint: str = ""
) -> str:
    """`unknown key: synchronous takes no theta (fda does); allowed: kind, name`

    Args:
        key: the key that the table may not have.
        allowed: the keys that it may have.
        owner: the kind of component that the table is for, if it is for one.
        others: kinds of the same role that take this key.
        hint: what to write instead, where more is known than the names of keys.
    """
    allowed = list(allowed)
    verb = "does" if len(others) == 1 else "do"
    elsewhere = f" ({', '.join(others)} {verb})" if others else ""
    whose = f": {owner} takes no {format_key(key)}{elsewhere}" if owner else ""
    return f"unknown key{whose}; allowed: {', '.join(allowed)}{hint or did_you_mean(key, allowed)}"


def explain_missing(key: str, owner: str = "") -> str:
    """`theta is missing; fda needs it`"""
    return f"{format_key(key)} is missing" + (f"; {owner} needs it" if owner else "")


def format_names(names: Iterable[str]) -> str:
    """`"fedavg", "fda"`: as values of a TOML file."""
    return ", ".join(map(format_value, names))


def _quoted(expected: str) -> list[str]:
    """The names in pydantic's text `'sgd', 'adam' or 'adamw'`."""
    return expected.split("'")[1::2]
