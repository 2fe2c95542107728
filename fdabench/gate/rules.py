"""What each value of a baseline may be: people merge the file and edit it by hand."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fdabench.errors import nearest
from fdabench.formatting import plural
from fdabench.results.costs import CONVENTIONS
from fdabench.results.store import RESULTS
from fdabench.results.text import one_line

Table = Mapping[str, Any]


class Rule(NamedTuple):
    """What a value may be, in words and as a test."""

    allowed: str
    holds: Callable[[Any], bool]
    needed: bool = True


def faults(raw: Table) -> list[str]:
    """One line for everything that fdabench would not have written."""
    above = [*of_table("", raw, _TOP)]
    if above:
        return above  # what is inside cannot be looked at
    # what an environment is told by is for `doctor` to say
    named = [{key: value for key, value in table.items() if key == "id"} for table in raw["environments"]]
    inside = [
        fault
        for name, tables, rules in (
            ("history", raw["history"], _REASON),
            ("environments", named, _ENVIRONMENT),
            ("cells", raw["cells"], _CELL),
        )
        for i, table in enumerate(tables)
        for fault in of_table(f"{name}[{i}]: ", table, rules)
    ]
    inside += [fault for i, run in enumerate(raw["runs"]) for fault in of_table(_place(run, i), run, _RUN)]
    return inside or [*_together(raw)]


def of_table(place: str, table: Table, rules: Mapping[str, Rule]) -> Iterator[str]:
    """One line for each key that is unknown or missing, and for each value that no rule allows."""
    for key in table:
        if key not in rules:
            yield one_line(f"{place}{key}: unknown key; allowed: {', '.join(rules)}{nearest(key, rules)}")
    for key, rule in rules.items():
        if key not in table:
            if rule.needed:
                yield one_line(f"{place}{key}: is missing")
        elif not rule.holds(table[key]):
            yield one_line(f"{place}{key}: expected {rule.allowed}, found {table[key]!r:.60}")


def _place(run: Table, index: int) -> str:
    return f"run {run['id'] if isinstance(run.get('id'), str) else f'number {index + 1}'}: "


def _together(raw: Table) -> Iterator[str]:
    """What is wrong only beside something else."""
    runs, targets = raw["runs"], {str(float(target)) for target in raw["targets"]}
    if raw["end"] != {"runs": len(runs)}:
        told = ", ".join(f"{key} = {value!r:.20}" for key, value in raw["end"].items())
        yield f"[end] says {told or 'nothing'}, and there are {plural(len(runs), 'run')}: the file was cut or merged"
    for target in sorted({target for run in runs for target in run.get("bytes_to", {})} - targets):
        yield f"bytes_to: {target!r:.60} is not among the targets ({', '.join(sorted(targets)) or 'there are none'})"
    for key, times in Counter(run["id"] for run in runs).items():
        if times > 1:
            yield f"run {key}: is there {times} times"
    for name, key in (("environments", "id"), ("cells", "cell")):
        for value, times in Counter(table[key] for table in raw[name]).items():
            if times > 1:
                yield f"{name}: {value} is there {times} times"
    environments, cells = {table["id"] for table in raw["environments"]}, {table["cell"] for table in raw["cells"]}
    for i, run in enumerate(runs):
        if run["environment"] not in environments:
            yield f"{_place(run, i)}environment: {run['environment']} is not among the environments"
        if run["cell"] not in cells:
            yield f"{_place(run, i)}cell: {run['cell']} is not among the cells"
        if run["accuracy"] != run["accuracy"] and run["state"] != "diverged":
            yield f"{_place(run, i)}accuracy: nan is for runs that diverged"


def whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def number(value: Any) -> bool:
    return type(value) in (int, float)


def _fraction(value: Any) -> bool:
    return number(value) and 0 <= value <= 1


def _sizes(value: Any) -> bool:
    return whole(value) or (isinstance(value, list) and bool(value) and all(map(whole, value)))


def _table_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(holds, value.values()))


def list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_syncs(value: Any) -> bool:
    """`4 0.3009, 9 0.4104`, or steps alone."""
    if not isinstance(value, str):
        return False
    try:
        return all(int(one.split(" ")[0]) > 0 and len([*map(float, one.split(" "))]) <= 2 for one in value.split(", "))
    except ValueError:
        return False


def _one_of(names: Sequence[str]) -> Rule:
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


_TEXT = Rule("a line of text", lambda value: isinstance(value, str) and value != "" and value.isprintable())
_ANY_TEXT = Rule("text", lambda value: isinstance(value, str))
_LINE_OR_NONE = Rule("a line of text", lambda value: isinstance(value, str) and value.isprintable(), needed=False)
_WHOLE = Rule("a whole number, 0 or more", whole)
_TABLES = Rule("tables", list_of(is_table))
_TOP = {
    "schema": _TEXT,
    "suite": _TEXT,
    "convention": _one_of(tuple(CONVENTIONS)),
    "targets": Rule("a list of fractions from 0 to 1", list_of(_fraction)),
    "hit": Rule("a whole number, 1 or more", lambda value: whole(value) and value > 0),
    "reach": _one_of(("at", "strictly")),
    "history": _TABLES,
    "environments": _TABLES,
    "cells": _TABLES,
    "runs": _TABLES,
    "end": Rule("a table", is_table),
}
_REASON = {
    "reason": _ANY_TEXT,
    "runs": _WHOLE,
    **dict.fromkeys(("revision", "fdabench"), _LINE_OR_NONE),
}
_ENVIRONMENT = {"id": _TEXT}
_CELL = {"cell": _TEXT, "config": Rule("a table", is_table)}
_RUN = {
    **dict.fromkeys(("cell", "id", "environment", "seeds", "partition", "sync_steps"), _TEXT),
    **dict.fromkeys(("seed", "num_parameters", "steps", "syncs"), _WHOLE),
    **dict.fromkeys(("bytes_model", "bytes_state", "bytes_optimizer", "bytes_total"), _WHOLE),
    "state": _one_of(RESULTS),
    "accuracy": Rule("a fraction from 0 to 1", lambda value: _fraction(value) or value != value),
    "theta": Rule("a number, 0 or more", lambda value: number(value) and value >= 0, needed=False),
    "period": Rule("a number, more than 0", lambda value: number(value) and value > 0, needed=False),
    "first_syncs": Rule("steps with their estimates, as '4 0.31, 9 0.42'", _is_syncs, needed=False),
    "payload": Rule("a table of whole numbers", _table_of(_sizes), needed=False),
    "bytes_to": Rule("a table of whole numbers", _table_of(whole), needed=False),
}
