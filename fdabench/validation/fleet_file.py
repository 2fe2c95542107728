"""Reads a fleet file: a TOML file with tables `[[fleet]]`, for the option `--fleet`."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from fdabench.accounting.fleets import FLEETS, Fleet
from fdabench.errors import UsageError, did_you_mean
from fdabench.regular_files import read_regular
from fdabench.results.fleets import fleet_of
from fdabench.results.suite_lock import FleetTable
from fdabench.validation.messages import STRICT_TABLE, Issue, format_issue, line_origins, table_issues
from fdabench.validation.toml_text import key_lines


class FleetFile(BaseModel):
    """The contents of a fleet file."""

    model_config = STRICT_TABLE

    fleet: list[FleetTable] = Field(min_length=1)


def named_fleets(values: Iterable[str]) -> dict[str, Fleet]:
    """Return the fleets that all values of `--fleet` name; errors as in `read_fleets`."""
    return {name: fleet for value in values for name, fleet in read_fleets(value).items()}


def read_fleets(name: str) -> Mapping[str, Fleet]:
    """Return the fleets that one value of `--fleet` names.

    Args:
        name: the name of a built-in fleet, or the path of a fleet file.

    Raises:
        UsageError: there is neither a fleet nor a file of that name, or the file is invalid. The message has all
            faults.
        ResultError: a trace that the file names cannot be read.
    """
    if name in FLEETS:
        return {name: FLEETS[name]}
    path = Path(name)
    try:
        text = read_regular(path).decode("utf-8-sig")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise UsageError(
            f"--fleet {name}: neither a file nor a fleet; fleets: {', '.join(FLEETS)}{did_you_mean(name, FLEETS)}"
        ) from None
    except OSError as error:
        raise UsageError(f"--fleet {name}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--fleet {name}: not TOML: {error}") from error
    try:
        tables = FleetFile.model_validate(raw).fleet
    except ValidationError as error:
        origins = line_origins(path.as_posix(), key_lines(text))
        faults = [format_issue(_without_kind(issue), origins) for issue in table_issues(error, FleetFile)]
        raise UsageError("\n".join(dict.fromkeys(faults))) from error
    return {table.name: fleet_of(table, path.parent) for table in tables}


def _without_kind(issue: Issue) -> Issue:
    """Pydantic puts the kind of a law into the path, `fleet.0.step.pareto.alpha`; it is no key of the file."""
    path = issue.path
    at = path.index("step") + 1 if "step" in path else len(path)
    return issue._replace(path=(*path[:at], *path[at + 1 :]))
