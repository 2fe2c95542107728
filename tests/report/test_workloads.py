"""Settings of a workload are not pooled in any table, mean, interval, count or figure."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fdabench.analysis.data import ReportData, combine_results
from fdabench.analysis.headline import headline_frame
from fdabench.report.caveats import find_caveats
from fdabench.report.figures.heterogeneity import groups_of as alphas_of
from fdabench.report.figures.scaling import groups_of as workers_of
from fdabench.report.summary import closing_summary
from fdabench.results.load import Results, load
from support.lenet5_results import LINEAR, SyntheticCell, write_lenet5_results

SYNCHRONOUS = {"kind": "synchronous", "server": {"kind": "average"}}
RATES = (1e-3, 1e-4)


def cells_of(axis: str, values: tuple[object, ...], hits: tuple[int, ...]) -> list[SyntheticCell]:
    """Synchronous and LinearFDA with two seeds and each of the values; a hit at the step of that value."""
    return [
        SyntheticCell(
            [(1, 0.5, 1), (hit + seed, 0.981, 2)],
            (1,),
            seed,
            label,
            strategy,
            8,
            {axis: value},
            strategy is SYNCHRONOUS,
        )
        for value, hit in zip(values, hits, strict=True)
        for label, strategy in (("Synchronous", SYNCHRONOUS), ("LinearFDA", LINEAR))
        for seed in (0, 1)
    ]


def data_of(root: Path, *cells: SyntheticCell) -> ReportData:
    return combine_results([load(write_lenet5_results(root / "pooled", cells))])


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("optimizer", tuple({"kind": "adam", "lr": lr, "state_on_sync": "keep"} for lr in RATES)),
        ("sampling", ("shuffle", "replacement")),
        ("last_batch", ("wrap", "drop")),
        ("averaging", ("uniform", "samples")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_setting_is_one_row(tmp_path: Path, axis: str, values: tuple[object, ...]) -> None:
    data = data_of(tmp_path, *cells_of(axis, values, (100, 1000)))
    frame = headline_frame(data, data.at_suite_target)
    assert len(data.workloads) == 2
    assert (
        frame[["cells", "reached", "bytes_ratio_pairs"]].query("bytes_ratio_pairs > 0").values.tolist() == [[2] * 3] * 2
    )
    assert frame["steps"].tolist() == pytest.approx([(100 * 101) ** 0.5] * 2 + [(1000 * 1001) ** 0.5] * 2)
    assert any("Few seeds: 4 of 4 pairs" in caveat for caveat in find_caveats(data))


def test_settings_have_no_interval_from_one_seed(tmp_path: Path) -> None:
    cells = [cell for cell in cells_of("averaging", ("uniform", "samples"), (100, 1000)) if cell.seed == 0]
    results = load(write_lenet5_results(tmp_path / "one", cells))
    text = closing_summary(results)
    assert "2 workloads, 1 seed, no interval from one seed" in text
    assert "[" not in text


def test_an_optimizer_that_all_strategies_of_a_workload_share_is_no_caveat(tmp_path: Path) -> None:
    rates = tuple({"kind": "adam", "lr": lr, "state_on_sync": "keep"} for lr in RATES)
    same = data_of(tmp_path / "same", *cells_of("optimizer", rates, (100, 1000)))
    assert not any(caveat.startswith("Local optimizers differ") for caveat in find_caveats(same))
    other = SyntheticCell([(100, 0.981, 2)], (1,), label="Other", changes={"optimizer": {"kind": "sgd", "lr": 0.1}})
    mixed = data_of(tmp_path / "mixed", *cells_of("averaging", ("uniform",), (100,)), other)
    assert any(caveat.endswith("sgd(lr=0.1): Other.") for caveat in find_caveats(mixed))


def test_scaling_draws_each_setting_for_itself(tmp_path: Path) -> None:
    def cell(workers: int, averaging: str) -> SyntheticCell:
        return SyntheticCell([(100, 0.981, 2)], (1,), changes={"workers": workers, "averaging": averaging})

    data = data_of(tmp_path, *(cell(workers, rule) for workers in (5, 20) for rule in ("uniform", "samples")))
    assert [(name, len(hits)) for name, hits in workers_of(data)] == [
        ("mnist lenet5, b=32, round-robin, averaging=uniform", 2),
        ("mnist lenet5, b=32, round-robin, averaging=samples", 2),
    ]


def test_heterogeneity_draws_each_setting_for_itself(tmp_path: Path) -> None:
    partitions = [{"kind": "iid"}]
    partitions += [{"kind": "dirichlet", "alpha": 0.1, "shares": shares} for shares in ("per-class", "per-worker")]
    cells = [
        SyntheticCell([(100, 0.981, 2)], (1,), changes={"partition": partition, "batch_size": size})
        for partition in partitions
        for size in (32, 64)
    ]
    assert [(key[1], len(group)) for key, group in alphas_of(data_of(tmp_path, *cells))] == [
        (f"mnist lenet5, K=10, b={size}, dirichlet(shares={shares})", 2)
        for size in (32, 64)
        for shares in ("per-class", "per-worker")
    ]


def test_the_time_of_a_step_is_that_of_the_same_suite(full: Results) -> None:
    """Two suites with the same workload, one on a machine that takes twice as long."""
    slow = replace(full, runs=full.runs.assign(worker_steps_per_s=full.runs["worker_steps_per_s"] / 2))
    steps = combine_results([full, slow]).volumes.groupby("suite")["step_s"].first()
    assert steps["full #2"] == pytest.approx(2 * steps["full"])


def test_old_results_without_the_newer_axes_are_read(results_of: Callable[..., Results]) -> None:
    results = results_of(seeds=(0,))
    assert "precision" not in results.lock.cell[0].config.to_dict()
    assert combine_results([results]).workloads == [("pretended", "digits mlp, K=4, b=32, dirichlet(0.1)")]
