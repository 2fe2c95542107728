"""Error messages for TOML tables that pydantic rejects.

A message has the value that was found, what is allowed, and the nearest name for a misspelled one. `suite` and `gate`
prefix it with the file and the line.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from fdabench.errors import did_you_mean
from fdabench.results.escaping import one_line
from fdabench.validation.schema_walk import properties_beside
from fdabench.validation.toml_text import KeyPath, format_key, format_path, format_value

STRICT_TABLE = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""The pydantic configuration of every TOML table: strict types, no unknown keys, finite numbers."""

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
    """A fault of the value or of the table at a path."""

    path: KeyPath
    message: str


def format_issue(issue: Issue, origins: Mapping[KeyPath, str]) -> str:
    """Format a fault on one line: `suite.toml:27: strategy.2.theta: -1 is out of range: ...`.

    Args:
        issue: the fault. An empty path stands for the whole file; the caller names the file then.
        origins: path -> the text in front of the message, such as `suite.toml:27:`. A path without an entry has the
            text of the nearest table above it.

    >>> issue = Issue(("strategy", 2, "theta"), "-1 is out of range")
    >>> format_issue(issue, {("strategy", 2): "suite.toml:27:"})
    'suite.toml:27: strategy.2.theta: -1 is out of range'
    """
    above = (issue.path[:length] for length in range(len(issue.path), 0, -1))
    origin = next((origins[path] for path in above if path in origins), "")
    place = f"{format_path(issue.path)}:" if issue.path else ""
    return one_line(" ".join(text for text in (origin, place, issue.message) if text))


def line_origins(file: str, lines: Mapping[KeyPath, int]) -> dict[KeyPath, str]:
    """Return the argument `origins` of `format_issue` for one file.

    Args:
        file: the name of the file.
        lines: path -> line, as `key_lines` returns it.
    """
    return {path: f"{file}:{line}:" for path, line in lines.items()}


def table_issues(error: ValidationError, model: type[BaseModel]) -> list[Issue]:
    """Return one fault for each error of a pydantic model.

    The locations of the errors must be paths of the file. That is not so for tables of components, whose locations also
    have the kind.
    """
    return [_issue(detail, model) for detail in error.errors(include_url=False)]


def _issue(detail: ErrorDetails, model: type[BaseModel]) -> Issue:
    path = detail["loc"]
    if detail["type"] == "missing":
        return Issue(path[:-1], explain_missing(str(path[-1])))
    if detail["type"] == "extra_forbidden":
        return Issue(path, explain_unknown(str(path[-1]), properties_beside(path, model)))
    return Issue(path, explain(detail))


def explain(detail: ErrorDetails) -> str:
    """Return the message for an error, except those for unknown and missing keys.

    `explain_unknown` and `explain_missing` return the messages for these.
    """
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        percent = "; a fraction, so 98 % is 0.98" if key == "le" and context[key] == 1 else ""
        return f"{format_value(value)} is out of range: it must be {words} {context[key]:g}{percent}"
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, found {format_value(value)}"
    if kind == "literal_error":
        return explain_value(value, _quoted(context["expected"]))
    if kind == "union_tag_invalid":
        return f"kind {explain_value(context['tag'], _quoted(context['expected_tags']))}"
    if kind == "too_short":
        return f"the list is too short: it must have at least {context['min_length']} entry"
    if kind == "too_long":
        return f"the list has {context['actual_length']} entries; at most {context['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        return (
            f'{format_value(value)} is no name: a name has letters, digits, ".", "_" and "-", at most 64 of them, and '
            "begins with a letter or digit"
        )
    return detail["msg"].removeprefix("Value error, ")


def explain_value(value: object, allowed: Collection[str]) -> str:
    """Return the message for an unknown name.

    >>> explain_value("fdaa", ["fedavg", "fda"])
    '"fdaa" is unknown; allowed: "fedavg", "fda"; did you mean "fda"?'
    """
    return f"{format_value(value)} is unknown; allowed: {format_names(allowed)}{did_you_mean(str(value), allowed)}"


def explain_unknown(
    key: str, allowed: Iterable[str], owner: str = "", others: Collection[str] = (), hint: str = ""
) -> str:
    """Return the message for an unknown key.

    Args:
        key: the unknown key.
        allowed: the keys that are allowed in the table.
        owner: the kind of the component that the table describes; empty if it describes none.
        others: kinds of the same role that have this key.
        hint: replaces the suggestion of the nearest key.

    >>> explain_unknown("theta", ["kind", "name"], "synchronous", ["fda"])
    'unknown key: synchronous takes no theta (fda does); allowed: kind, name'
    """
    allowed = list(allowed)
    verb = "does" if len(others) == 1 else "do"
    kinds_with_key = f" ({', '.join(others)} {verb})" if others else ""
    subject = f": {owner} takes no {format_key(key)}{kinds_with_key}" if owner else ""
    return f"unknown key{subject}; allowed: {', '.join(allowed)}{hint or did_you_mean(key, allowed)}"


def explain_missing(key: str, owner: str = "") -> str:
    """Return the message for a missing key.

    >>> explain_missing("theta", "fda")
    'theta is missing; fda needs it'
    """
    return f"{format_key(key)} is missing" + (f"; {owner} needs it" if owner else "")


def format_names(names: Iterable[str]) -> str:
    """Format names as TOML values.

    >>> print(format_names(["fedavg", "fda"]))
    "fedavg", "fda"
    """
    return ", ".join(map(format_value, names))


def _quoted(expected: str) -> list[str]:
    """Return the names in a text of pydantic such as `'sgd', 'adam' or 'adamw'`."""
    return expected.split("'")[1::2]
