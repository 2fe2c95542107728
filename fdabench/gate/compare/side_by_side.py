"""Compares two results folders: the change of each metric with its interval, in each cell and over all cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fdabench.analysis.paired import design_of, half_widths
from fdabench.analysis.stats import geometric_mean
from fdabench.cell_config import Scalar
from fdabench.errors import NotComparedError
from fdabench.gate.baseline.model import RunPair, RunSummary
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.changed_settings import (
    SettingChange,
    closest_pairs,
    distance,
    runs_by_cell,
    setting_changes,
)
from fdabench.gate.compare.no_overlap import explain_no_overlap
from fdabench.gate.compare.samples import MetricLosses, quality_change, quality_sample, target_sample, total_sample
from fdabench.gate.compare.stats import ROUNDING, moderated_t
from fdabench.gate.output.units import format_metric
from fdabench.metrics import METRICS, Metric
from fdabench.results.flatten_keys import flatten_keys, varying_keys
from fdabench.results.load import Results
from fdabench.results.workloads import format_setting

PAIRED_BY = ("dataset", "model", "workers", "batch_size", "partition")
"""Settings that the cells of a pair have in common, in addition to the label of the strategy."""


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of a cell over its seeds, or of all cells.

    `cell` is the title of the cell in `a`, with the settings that the paired cell in `b` has otherwise.
    `a` and `b` are the means of both sides. `change` is a difference of fractions for accuracy, of nats for loss, and a
    ratio - 1 for costs. `verdict` is `same`, or `better` or `worse` if the 95 % interval excludes 0, or else `unclear`.
    """

    cell: str
    metric: str
    a: float
    b: float
    change: float
    interval: tuple[float, float] | None
    seeds: int
    bound: str
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The lines, the keys in which paired configurations differ, and the number of runs without a counterpart."""

    lines: tuple[ComparisonRow, ...]
    differing: tuple[str, ...]
    num_unpaired: int


def side_by_side(a: Results, b: Results) -> Comparison:
    """Compare the results `b` with `a`, by the targets and the convention of `a`.

    Runs are paired by id. The remaining cells are paired within one label, data set, model, partition, number of
    workers and batch size, those with the fewest differing settings first, and their runs by seed.

    Raises:
        NotComparedError: no run of one has a counterpart in the other.
    """
    before = summarize_results(a)
    after = summarize_results(b, before.protocol)
    old, new = before.by_id, after.by_id
    labels = {cell.id: cell.label for results in (a, b) for cell in results.lock.cell}
    closest = _closest_runs(
        [run for key, run in old.items() if key not in new], [run for key, run in new.items() if key not in old], labels
    )
    pairs = [RunPair(old[key], new[key]) for key in old if key in new] + closest
    if not pairs:
        reason = explain_no_overlap(before, after, str(a.root), str(b.root))
        raise NotComparedError(f"{a.root} and {b.root}: no run of one has a counterpart in the other{reason}")
    changes = {pair.before.cell: _changes(pair) for pair in closest}
    titles = {
        cell: ", ".join([title, *(change.text for change in changes.get(cell, ()))])
        for cell, title in _titles(old.values()).items()
    }
    lines = _lines(_by_title(pairs, titles), [str(float(target)) for target in before.protocol.targets], before.metric)
    differing = sorted({change.key for settings in changes.values() for change in settings})
    return Comparison(tuple(lines), tuple(differing), len(old) + len(new) - 2 * len(pairs))


def _closest_runs(old: Sequence[RunSummary], new: Sequence[RunSummary], labels: Mapping[str, str]) -> list[RunPair]:
    """Pair runs that have different ids; `labels` has the label of each run by its id."""
    old_cells, new_cells = runs_by_cell(old), runs_by_cell(new)
    comparable: dict[str, list[str]] = {}
    for other, (config, seeds) in new_cells.items():
        comparable.setdefault(_pairing_key(config, seeds, labels), []).append(other)
    candidates = [
        (distance(setting_changes(config, new_cells[other][0])), cell, other)
        for cell, (config, seeds) in old_cells.items()
        for other in comparable.get(_pairing_key(config, seeds, labels), ())
    ]
    return [
        RunPair(run, new_cells[other][1][seed])
        for cell, other in closest_pairs(candidates)
        for seed, run in old_cells[cell][1].items()
        if seed in new_cells[other][1]
    ]


def _pairing_key(config: Mapping[str, Scalar], seeds: Mapping[int, RunSummary], labels: Mapping[str, str]) -> str:
    """What paired cells have in common: the label and the settings of `PAIRED_BY`."""
    label = labels[next(iter(seeds.values())).id]
    return repr((label, sorted((key, value) for key, value in config.items() if key.partition(".")[0] in PAIRED_BY)))


def _changes(pair: RunPair) -> tuple[SettingChange, ...]:
    return setting_changes(flatten_keys(pair.before.config), flatten_keys(pair.after.config))


def _titles(runs: Iterable[RunSummary]) -> dict[str, str]:
    """The title of each cell, by its name. Where titles are equal, the settings that differ are added."""
    configs = {run.cell: flatten_keys(run.config) for run in runs}
    cells_by_title: dict[str, list[str]] = {}
    for cell in configs:
        cells_by_title.setdefault(format_metric(cell), []).append(cell)
    titles = {}
    for title, cells in cells_by_title.items():
        keys = varying_keys([configs[cell] for cell in cells])
        for cell in cells:
            values = [format_setting(key, configs[cell][key]) for key in keys if key in configs[cell]]
            titles[cell] = f"{title} | {' '.join(values)}" if values else title
    return titles


def _by_title(pairs: Sequence[RunPair], titles: Mapping[str, str]) -> list[tuple[str, list[RunPair]]]:
    """The title of each cell and its pairs. Cells that differ in digits that a title omits stay apart."""
    cells: dict[str, list[RunPair]] = {}
    for pair in pairs:
        cells.setdefault(pair.before.cell, []).append(pair)
    return [(titles[cell], of_cell) for cell, of_cell in cells.items()]


def _lines(
    cells: Sequence[tuple[str, Sequence[RunPair]]], targets: Sequence[str], metric: Metric
) -> list[ComparisonRow]:
    families = [[*_samples(cells, name, metric)] for name in (metric.name, "bytes_total", *targets)]
    lines = []
    for family in families:
        lines += [_line(sample) for sample in family]
        lines += [all_cells(family)] if len(family) > 1 else []
    return lines


def _samples(cells: Sequence[tuple[str, Sequence[RunPair]]], name: str, metric: Metric) -> Iterable[MetricLosses]:
    for cell, pairs in cells:
        if name == metric.name:
            sample = quality_sample(cell, pairs, metric)
        else:
            sample = total_sample(cell, pairs) if name == "bytes_total" else target_sample(cell, name, pairs, metric)
        if sample is not None and len(sample.losses):
            yield sample


def _line(sample: MetricLosses) -> ComparisonRow:
    (estimate,) = moderated_t([sample.losses])
    # If all seeds have the same loss of a cost, its variance is 0. If they have the same loss of accuracy, the reason
    # may be that accuracies are multiples of 1 / test samples, so the variance is unknown.
    coarse = sample.metric == "accuracy" and float(np.ptp(sample.losses)) < ROUNDING
    interval = (-math.inf, math.inf) if coarse else estimate.interval
    return _format_verdict(sample, sample.cell, estimate.mean, interval, len(sample.losses))


def _format_verdict(
    sample: MetricLosses, cell: str, mean: float, losses: tuple[float, float], seeds: int
) -> ComparisonRow:
    low, high = losses
    if sample.metric in METRICS:
        change, interval = quality_change(METRICS[sample.metric], mean, (low, high))
    else:
        change, interval = math.expm1(mean), (math.expm1(low), math.expm1(min(high, 700.0)))
    is_finite = math.isfinite(low)
    word = "same" if not sample.losses.any() else "worse" if low > 0 else "better" if high < 0 else "unclear"
    limits = interval if is_finite and word != "same" else None
    return ComparisonRow(cell, sample.metric, sample.before, sample.after, change, limits, seeds, sample.bound, word)


def all_cells(family: Sequence[MetricLosses]) -> ComparisonRow:
    """Return the comparison over all cells in one metric: the mean change of a quality, the geometric mean of costs.

    Cells have equal weights. The interval takes into account that runs of one seed are not independent, because they
    start from the same weights and draw the same batches.

    Args:
        family: the losses of the cells in one metric.
    """
    losses = np.concatenate([sample.losses for sample in family])
    cells = np.repeat(np.arange(len(family)), [len(sample.losses) for sample in family])
    design = design_of(cells, np.concatenate([sample.seeds for sample in family]))
    mean = float(losses @ design.weight_n)
    half = float(half_widths(losses[None], design)[0]) if design.has_chance else math.inf
    bounds = {sample.bound for sample in family}
    bound = bounds.pop() if len(bounds) == 1 else "~"
    a, b = (_mean(family, side) for side in ("before", "after"))
    name = "all cells (mean)" if family[0].metric in METRICS else "all cells (geometric mean)"
    suite_losses = MetricLosses(name, family[0].metric, losses, a, b, bound)
    return _format_verdict(suite_losses, name, mean, (mean - half, mean + half), len(losses))


def _mean(family: Sequence[MetricLosses], side: str) -> float:
    values = np.array([getattr(sample, side) for sample in family])
    return float(values.mean()) if family[0].metric in METRICS else geometric_mean(values)
