"""Checks the limits that a suite sets. They apply to every run of the cells that they select, without a baseline."""

from collections.abc import Iterator

from fdabench.gate.baseline.model import ResultsSummary, RunSummary
from fdabench.gate.compare.exact import MISSED
from fdabench.gate.compare.settings import GateConfig, LimitConfig
from fdabench.gate.compare.verdict import Finding, Value, Verdict
from fdabench.gate.output.units import target_metric
from fdabench.metrics import METRICS, Metric
from fdabench.validation.toml_text import format_toml


def check_limits_of_runs(summary: ResultsSummary, gate: GateConfig) -> list[Finding]:
    """Return one finding for each limit and run.

    A limit that selects no cell would have no effect, so it fails.
    """
    unmatched = [_unmatched(number, limit) for number, limit in enumerate(gate.limit) if not limit.cells]
    return unmatched + [
        finding
        for limit in gate.limit
        for run in summary.runs
        if run.id in limit.cells
        for finding in _of_run(run, limit, summary.metric)
    ]


def _unmatched(number: int, limit: LimitConfig) -> Finding:
    keys = ", ".join(f"{key} = {format_toml(value)}" for key, value in limit.settings.items())
    return Finding("limit", Verdict.fail, f"gate.limit.{number}", None, "cells", keys, 0, note="no cell matches")


def _of_run(run: RunSummary, limit: LimitConfig, metric: Metric) -> Iterator[Finding]:
    if limit.min_accuracy is not None:
        yield _finding(run, "min_accuracy", limit.min_accuracy, run.accuracy, run.accuracy >= limit.min_accuracy)
    losses = (
        ("loss", limit.max_loss),
        ("bits_per_byte", limit.max_bits_per_byte),
        ("perplexity", limit.max_perplexity),
    )
    for name, most in losses:
        if most is not None:
            value = METRICS[name].convert(run.loss)
            yield _finding(run, f"max_{name}", most, value, value <= most)
    if limit.max_bytes is not None:
        yield _finding(run, "max_bytes", limit.max_bytes, run.bytes_total, run.bytes_total <= limit.max_bytes)
    to_target = (
        ("max_bytes_to_target", limit.max_bytes_to_target, run.bytes_to),
        ("max_steps_to_target", limit.max_steps_to_target, run.steps_to),
    )
    for key, most, costs in to_target:
        if most is not None:
            target = str(limit.target)
            cost = costs.get(target)
            satisfied = cost is not None and cost <= most
            yield _finding(run, target_metric(key, target, metric), most, MISSED if cost is None else cost, satisfied)


def _finding(run: RunSummary, metric: str, limit: Value, value: Value, satisfied: bool) -> Finding:
    verdict = Verdict.unchanged if satisfied else Verdict.fail
    return Finding("limit", verdict, run.cell, run.seed, metric, limit, value, note="" if satisfied else "past a limit")
