"""`fdabench advise`: which strategy would be fastest on the user's machines, estimated from results."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.network_time import NETWORKS
from fdabench.accounting.step_time import Constant
from fdabench.analysis.data import combine_results
from fdabench.analysis.order import NOT_KEPT
from fdabench.analysis.stats import Ratio
from fdabench.cli.console import AS_TABLE, print_note, print_result, print_table
from fdabench.cli.option_values import parse_whole_number
from fdabench.errors import UsageError, did_you_mean
from fdabench.formatting import (
    DASH,
    format_bytes,
    format_count,
    format_duration,
    format_percent,
    format_significant,
    plural,
)
from fdabench.planning.advice import FEW_SEEDS, Advice, Deployment, Estimate, advise
from fdabench.results.archive import SUFFIX, has_results
from fdabench.results.folder import corruption_as_result_error
from fdabench.results.load import Results, load
from fdabench.suite.cell import Cell
from fdabench.suite.selection import select
from fdabench.tables import Column, Table, column, number
from fdabench.validation.fleet_file import read_fleets

MOST_PARAMETERS, MOST_WORKERS = 10**11, 10**4
_UNITS = {"": 0, "K": 3, "M": 6, "B": 9}


class AdviseRequest(NamedTuple):
    """The command line of `advise`."""

    results: Path
    parameters: str
    workers: int
    network: str | None
    fleet: str | None
    step_ms: float
    steps: int
    expression: str | None


def print_advice(request: AdviseRequest, form: str) -> None:
    """Print the recommended strategy, the estimate for each strategy, and the assumptions of the estimates.

    Args:
        request: the command line.
        form: one of `options.Format`.

    Raises:
        UsageError: an option is wrong; the message has all faults.
        ResultError: the results cannot be read, or have no costs to estimate from.
    """
    deployment, machines = _deployment(request)
    results = [load(path) for path in _sources(request.results)]
    with corruption_as_result_error(request.results):
        advices = list(_advices(results, deployment, request.expression))
    if form in AS_TABLE:
        print_table(_table(advices, deployment), form)
        return
    print_result(
        f"{plural(deployment.parameters, 'parameter')}, {deployment.workers} workers, {machines}, "
        f"{format_duration(deployment.step_s)} a step"
    )
    for advice in advices:
        if len(advices) > 1:
            print_result(f"\n{', '.join(advice.suites)}:")
        for line in _recommendation(advice):
            print_result(line)
        print_result("")
        print_table(_table([advice], deployment), form)
        for line in _measurements(advice, deployment, request.results):
            print_note(line)
    print_note(
        "assumed to be as in the results at any size: the ratios of steps, and after which share of its steps a "
        "strategy synchronizes. Time is modeled (docs/fleets.md)"
    )


def _advices(results: Sequence[Results], deployment: Deployment, expression: str | None) -> Iterator[Advice]:
    """Yield the advice of the suites of each metric; those without a selected cell are left out.

    A target in one metric and a target in another do not have a common ratio of costs.
    """
    selected_ids = None
    if expression is not None:
        cells = [Cell.from_lock(locked) for one in results for locked in one.lock.cell]
        selected_ids = {cell.id for cell in select(cells, expression)}
    for metric in dict.fromkeys(one.lock.metric for one in results):
        of_metric = [one for one in results if one.lock.metric == metric]
        keys = {f"{one.lock.suite}:{cell.id}" for one in of_metric for cell in one.lock.cell}
        if selected_ids is not None:
            keys = {key for key in keys if key.rpartition(":")[2] in selected_ids}
        if keys:
            yield advise(combine_results(of_metric), deployment, None if selected_ids is None else keys)


def _sources(path: Path) -> list[Path]:
    """Return the results to read: the folder or the archive itself, or the archives in a folder that has no results."""
    archives = [] if has_results(path) else sorted(path.glob(f"*{SUFFIX}"))
    return archives or [path]


def parse_parameters(text: str) -> int | None:
    """Parse a number of parameters such as `125M`, `7B`, `60_000` or `1e6`; None if it is none or out of range.

    >>> parse_parameters("125M"), parse_parameters("7B"), parse_parameters("many")
    (125000000, 7000000000, None)
    """
    unit = text[-1:].upper() if text[-1:].upper() in _UNITS else ""
    return parse_whole_number(text[:-1] if unit else text, MOST_PARAMETERS, _UNITS[unit])


def _deployment(request: AdviseRequest) -> tuple[Deployment, str]:
    """Return the training that the user plans, and a text that names its fleet and its network."""
    faults = []
    parameters = parse_parameters(request.parameters)
    if parameters is None:
        faults.append(
            f"--parameters {request.parameters:.40}: expected a whole number from 1 to {format_count(MOST_PARAMETERS)}"
            ", such as 60000, 125M or 7B"
        )
    if not 2 <= request.workers <= MOST_WORKERS:
        faults.append(f"--workers {request.workers}: expected a number from 2 to {format_count(MOST_WORKERS)}")
    if not (math.isfinite(request.step_ms) and request.step_ms > 0):
        faults.append(f"--step-ms {request.step_ms:g}: expected a number above 0")
    if request.steps < 1:
        faults.append(f"--steps {request.steps}: expected a number of at least 1")
    if request.network is not None and request.network not in NETWORKS:
        faults.append(
            f"--network {request.network}: allowed: {', '.join(NETWORKS)}{did_you_mean(request.network, NETWORKS)}; "
            "a fleet file describes other links (--fleet)"
        )
    if request.network is None and request.fleet is None:
        faults.append("--network or --fleet is required: they have the speed of messages and the spread of step times")
    try:
        fleets = read_fleets(request.fleet) if request.fleet is not None else {}
    except UsageError as error:
        faults.append(str(error))
    if faults or parameters is None:
        raise UsageError("\n".join(faults))
    if len(fleets) > 1:
        raise UsageError(f"--fleet {request.fleet}: the file has {len(fleets)} fleets; give a file with one")
    name, fleet = next(iter(fleets.items()), ("", Fleet(Constant(), Links((1.0,)))))
    if request.network is not None:
        network = NETWORKS[request.network]
        links = Links((network.bandwidth,), (network.latency,), network.shared, fleet.links.rendezvous)
        fleet = replace(fleet, links=links, sites=1, between=None)
    machines = " with the links of ".join(filter(None, (f"fleet {name}" if name else "", request.network)))
    return Deployment(parameters, request.workers, fleet, request.step_ms / 1e3, request.steps), machines


def _recommendation(advice: Advice) -> Iterator[str]:
    best = advice.estimates[0]
    if best.label == advice.reference:
        yield f"Use {best.label}: no strategy is expected to be faster."
    else:
        unclear = f"No strategy is clearly faster than {advice.reference}. Lowest estimate: {best.label}, with"
        clear = f"Instead of {advice.reference}, use {best.label}: expect"
        yield (
            f"{unclear if advice.reference in advice.level else clear} {_times(best.time)} its time and "
            f"{_times(best.bytes)} its bytes, in {_times(best.steps)} its steps."
        )
    if others := [label for label in advice.level if label != advice.reference]:
        yield f"Not clearly slower than {best.label}: {', '.join(others)}."


def _times(ratio: Ratio) -> str:
    """A ratio as `0.15 times (0.12 to 0.19)`."""
    words = {"≥": "at least ", "≤": "at most "}.get(ratio.bound, "")
    interval = f" ({_short(ratio.low)} to {_short(ratio.high)})" if ratio.has_interval and not ratio.bound else ""
    return f"{words}{_short(ratio.mean)} times{interval}"


def _short(value: float) -> str:
    return format_significant(value, 2)


def _ratio_text(ratio: Ratio, is_reference: bool) -> str:
    if is_reference:
        return "reference"
    if not ratio.pairs:
        return DASH
    interval = f" ({_short(ratio.low)}–{_short(ratio.high)})" if ratio.has_interval and not ratio.bound else ""
    return f"{ratio.bound}{_short(ratio.mean)}×{interval}"


def _columns(deployment: Deployment) -> tuple[Column, ...]:
    def ratio(key: str, title: str) -> Column:
        return number(f"{key}_ratio", title, lambda text: str(text))

    steps = format_count(deployment.steps)
    return (
        column("strategy"),
        Column("reached", "reached", lambda record: f"{record['reached']}/{record['runs']}", "right"),
        ratio("steps", "steps"),
        ratio("bytes", "bytes"),
        ratio("time", "time"),
        number("bytes", f"bytes for {steps}", format_bytes),
        number("seconds", f"time for {steps}", format_duration),
        number("communication", "communicates", lambda share: format_percent(share, 0)),
        number("waiting", "waits", lambda share: format_percent(share, 0)),
    )


def _table(advices: Sequence[Advice], deployment: Deployment) -> Table:
    pairs = [(advice, estimate) for advice in advices for estimate in advice.estimates]
    records = [_record(estimate, advice) for advice, estimate in pairs]
    columns = [
        record
        | {f"{name}_ratio": _ratio_text(ratio, advice.reference == estimate.label) for name, ratio in _ratios(estimate)}
        for record, (advice, estimate) in zip(records, pairs, strict=True)
    ]
    return Table(columns, _columns(deployment), data=records)


def _ratios(estimate: Estimate) -> tuple[tuple[str, Ratio], ...]:
    return ("steps", estimate.steps), ("bytes", estimate.bytes), ("time", estimate.time)


def _record(estimate: Estimate, advice: Advice) -> dict[str, object]:
    """Return the estimate for programs."""
    ratios = {
        f"{name}_ratio{end}": value
        for name, ratio in _ratios(estimate)
        for end, value in (("", ratio.mean), ("_low", ratio.low), ("_high", ratio.high), ("_bound", ratio.bound))
    }
    return {
        "suite": ", ".join(advice.suites),
        "strategy": estimate.label,
        "is_reference": estimate.label == advice.reference,
        "is_fastest": estimate.label in (advice.estimates[0].label, *advice.level),
        "reached": estimate.reached,
        "runs": estimate.runs,
        "target": advice.target,
        "bytes": estimate.total_bytes,
        "seconds": estimate.seconds,
        "communication": estimate.communication,
        "waiting": estimate.waiting,
        **ratios,
    }


def _measurements(advice: Advice, deployment: Deployment, results: Path) -> Iterator[str]:
    """Yield what the estimates rest on, and by how much the deployment lies outside of it."""
    measured = f"{plural(advice.seeds, 'seed')} of {plural(len(advice.workloads), 'workload')}"
    yield (
        f"ratios to {advice.reference} until {advice.target}, with 95 % intervals over {measured} in "
        f"{results.as_posix()}; bytes and time are those of a training in which {advice.reference} needs "
        f"{deployment.steps:,} steps"
    )
    yield from _not_measured("parameters", deployment.parameters, advice.parameters)
    yield from _not_measured("workers", deployment.workers, advice.workers)
    if advice.not_kept:
        yield f"not recommended: {', '.join(advice.not_kept)} ({NOT_KEPT})"
    for title, labels in advice.reached_by_few:
        yield (
            f"{title}: only {', '.join(labels) or 'no strategy'} reached {advice.target}; -k selects workloads that "
            "resemble yours"
        )
    if advice.seeds < FEW_SEEDS:
        yield f"with fewer than {FEW_SEEDS} seeds, intervals are wide or missing: differences may be noise"


def _not_measured(name: str, planned: int, measured: tuple[int, ...]) -> Iterator[str]:
    """Yield a note if a number is outside the range of the results."""
    least, most = measured[0], measured[-1]
    if least <= planned <= most:
        return
    factor, more = (planned / most, "more") if planned > most else (least / planned, "fewer")
    ends = " to ".join(dict.fromkeys(map(format_count, (least, most))))
    yield f"not measured: {format_count(planned)} {name}, {_short(factor)} times {more} than in the results ({ends})"
