"""Validates a baseline file with pydantic models, because users merge the file and edit it by hand."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fdabench.accounting.costs import CONVENTIONS
from fdabench.formatting import plural
from fdabench.metrics import METRICS
from fdabench.results.cell_record import SUCCESS_STATES
from fdabench.shared_types import ParsedTable
from fdabench.validation.messages import STRICT_TABLE, Issue, explain_value, table_issues
from fdabench.validation.toml_text import format_toml, format_value


def _check_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"expected a line of text, found {format_value(text)}")
    return text


def _check_named_line(text: str) -> str:
    if not text:
        raise ValueError("the text is empty")
    return _check_line(text)


def _one_of(names: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(explain_value(name, names))
        return name

    return check


def _check_accuracy(value: float) -> float:
    # pydantic's bounds would reject NaN.
    if not math.isnan(value) and not 0 <= value <= 1:
        raise ValueError(f"{format_value(value)} is out of range: an accuracy is a fraction from 0 to 1")
    return value


def _check_syncs(text: str) -> str:
    """Check a text of steps with their estimates, such as `4 0.3009, 9 0.4104`, or of steps alone."""
    try:
        is_valid = all(
            int(item.split(" ")[0]) > 0 and len([*map(float, item.split(" "))]) <= 2 for item in text.split(", ")
        )
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f'expected steps with their estimates, as in "4 0.31, 9 0.42", found {format_value(text)}')
    return text


_OptionalLine = Annotated[str, AfterValidator(_check_line)]
_Line = Annotated[str, AfterValidator(_check_named_line)]
_Count = Annotated[int, Field(ge=0)]
_Target = Annotated[float, Field(ge=0)]
_Sizes = Annotated[
    tuple[_Count, ...],
    Field(min_length=1, strict=False),
    # If all messages of a kind have the same size, as nearly always, the file contains a single number.
    BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
]


class _Table(BaseModel):
    model_config = STRICT_TABLE


class ReasonTable(_Table):
    """Why numbers were accepted: see `gate.baseline.write.AcceptedChange`."""

    reason: str
    runs: _Count
    revision: _OptionalLine = ""
    fdabench: _OptionalLine = ""


class EnvironmentTable(_Table):
    """An environment. Only its id is validated; its other keys are those of `gate.baseline.keys.environment_class`."""

    model_config = ConfigDict(extra="allow")

    id: _Line


class CellTable(_Table):
    """A cell's configuration, which is the same for all its seeds."""

    cell: _Line
    config: ParsedTable


class RunTable(_Table):
    """One run: see `gate.baseline.model.RunSummary`."""

    cell: _Line
    seed: _Count
    id: _Line
    state: Annotated[str, AfterValidator(_one_of(SUCCESS_STATES))]
    accuracy: Annotated[float, Field(allow_inf_nan=True), AfterValidator(_check_accuracy)]
    """NaN for a run that diverged."""
    loss: Annotated[float, Field(ge=0, allow_inf_nan=True)] = math.nan
    """In nats. The runs of a suite with another metric than the accuracy have it."""
    bytes_total: _Count
    bytes_to: dict[str, _Count] = {}
    syncs: _Count
    steps: _Count
    num_parameters: _Count
    theta: Annotated[float, Field(ge=0, allow_inf_nan=True)] | None = None
    period: Annotated[float, Field(gt=0, allow_inf_nan=True)] | None = None
    bytes_model: _Count
    bytes_state: _Count
    bytes_optimizer: _Count
    payload: dict[str, _Sizes] = {}
    partition: _Line
    seeds: _Line
    environment: _Line
    sync_steps: _Line
    first_syncs: Annotated[str, AfterValidator(_check_syncs)] | None = None


class BaselineFile(_Table):
    """The content of a baseline file."""

    schema_version: Annotated[str, Field(alias="schema")]
    suite: _Line
    convention: Annotated[str, AfterValidator(_one_of(tuple(CONVENTIONS)))]
    metric: Annotated[str, AfterValidator(_one_of(tuple(METRICS)))] = "accuracy"
    targets: list[_Target]
    consecutive: Annotated[int, Field(ge=1)]
    comparison: Annotated[str, AfterValidator(_one_of((">=", ">")))]
    history: list[ReasonTable]
    environments: list[EnvironmentTable]
    cells: list[CellTable]
    runs: list[RunTable]
    end: dict[str, object]
    """`runs`, the number of runs. It is the last line of the file, so that a truncated file is detected."""


def validate(raw: ParsedTable) -> tuple[BaselineFile | None, list[Issue]]:
    """Validate a parsed baseline file.

    Returns:
        The file's tables, or None with the list of errors.
    """
    try:
        file = BaselineFile.model_validate(raw)
    except ValidationError as error:
        return None, table_issues(error, BaselineFile)
    issues = list(_inconsistencies(file))
    return (None if issues else file), issues


def _inconsistencies(file: BaselineFile) -> Iterator[Issue]:
    """Yield errors that concern several values, such as a repeated id."""
    if file.end != {"runs": len(file.runs)}:
        counts = ", ".join(f"{key} = {format_value(value)}" for key, value in file.end.items()) or "nothing"
        yield Issue(
            ("end",),
            f"it states {counts}, but the file has {plural(len(file.runs), 'run')}: the file was truncated or merged",
        )
    yield from _repeated("runs", "id", [run.id for run in file.runs])
    yield from _repeated("environments", "id", [table.id for table in file.environments])
    yield from _repeated("cells", "cell", [table.cell for table in file.cells])
    metric = METRICS[file.metric]
    for i, value in enumerate(file.targets):
        if value > metric.highest:
            text = f"{format_value(value)} is out of range: it must be at most {metric.highest:g}"
            yield Issue(("targets", i), text)
    targets = {str(target): target for target in file.targets}
    environments, cells = {table.id for table in file.environments}, {table.cell for table in file.cells}
    for i, run in enumerate(file.runs):
        for target in run.bytes_to.keys() - targets.keys():
            message = f"it is not among the targets, which are {format_toml(file.targets)}"
            yield Issue(("runs", i, "bytes_to", target), message)
        if run.environment not in environments:
            yield Issue(("runs", i, "environment"), explain_value(run.environment, sorted(environments)))
        if run.cell not in cells:
            yield Issue(("runs", i, "cell"), explain_value(run.cell, sorted(cells)))
        if metric.source == "loss" and "loss" not in run.model_fields_set:
            yield Issue(("runs", i), f'loss is missing, which the metric "{metric.name}" needs')
        if math.isnan(run.accuracy) and run.state != "diverged":
            yield Issue(
                ("runs", i, "accuracy"), f'nan is for runs of the state "diverged"; it is {format_value(run.state)}'
            )


def _repeated(table: str, key: str, values: Sequence[str]) -> Iterator[Issue]:
    """Yield an error for each value that occurs more than once, at its last location."""
    last = {value: i for i, value in enumerate(values)}
    for value, times in Counter(values).items():
        if times > 1:
            yield Issue((table, last[value], key), f"{format_value(value)} occurs {times} times")
