"""Runs with changed settings are paired by their unchanged ones; each strategy has a sentence with its main numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fdabench.gate.baseline.model import RunSummary, UnfinishedRun
from fdabench.gate.compare.changed_settings import pair_changed
from fdabench.gate.compare.verdict import CheckResult, Verdict
from fdabench.gate.output.cell_rows import cell_rows
from fdabench.gate.output.github import annotations
from fdabench.gate.output.junit import junit
from fdabench.gate.output.markdown import pr_comment
from fdabench.gate.output.sentences import sentences, unchanged
from fdabench.gate.output.source_files import relative_to_cwd, source_file, source_files
from fdabench.gate.output.text import head, hints, to_json, verdict_line
from fdabench.gate.output.units import span
from support.digits_results import make_lock
from support.gate_runs import make_run

Compare = Callable[..., CheckResult]


def runs(theta: float, total: int = 100_000, seeds: Sequence[int] = (0, 1, 2), **changes: Any) -> list[RunSummary]:
    """One cell of FDA with this theta; seed s sends `total` + 1000 s bytes."""
    config = {
        "dataset": "digits",
        "model": "mlp",
        "optimizer": {"kind": "adam", "lr": changes.pop("lr", 0.001)},
        "strategy": {"kind": "fda", "monitor": {"kind": changes.pop("monitor", "linear")}, "theta": theta},
    }
    cell = f"fda linear theta={theta:g} | digits mlp | iid | K=4 b=32 #{abs(hash(repr(config))) % 10**6:06}"
    return [
        make_run(cell, seed, id=f"{theta:g}-{config['optimizer']['lr']}-{seed}", config=config,
                bytes_total=total + 1000 * seed, **changes)
        for seed in seeds
    ]  # fmt: skip


def test_runs_with_another_theta_are_paired_and_reported_and_the_gate_fails(compared: Compare) -> None:
    same = [make_run("fedavg local_steps=5 | b #1", seed) for seed in (0, 1)]
    before = [*runs(1.0), *same]
    checked = compared(before, [*runs(0.6, 131_000, accuracy=0.904), *same])
    (changed,) = checked.changed
    assert changed.text == ("fda linear, theta 1 -> 0.6: 3 runs, +30 to +31 % bytes, accuracy +0.4 points: not judged")
    assert (checked.missing, checked.added, checked.exit_code, checked.status) == ((), (), 4, "changed")
    assert verdict_line(checked) == "2 runs compared: pass; 3 changed settings, not judged"
    assert head(checked) == [changed.text, "unchanged: fedavg (2 runs)"]
    accepted = "if this is intended: fdabench baseline accept out/x --baseline 'b c.toml' --reason \"...\""
    reference = replace(checked, results="out/x", baseline="b c.toml")
    assert hints(reference) == [accepted]
    assert accepted.removeprefix("if this is intended: ") in pr_comment(reference)
    assert changed.text in junit(reference, "2026-11-23T12:50:39").replace("&gt;", ">")
    (line,) = annotations(reference)
    assert line.startswith("::error title=fdabench%3A settings changed::fda linear, theta 1 -> 0.6: 3 runs, ")
    assert accepted in line
    message = to_json(reference)
    assert (message["verdict"], message["compared"], message["sentences"]) == ("changed", 2, head(reference))
    assert message["changed"][0]["settings"] == [{"key": "strategy.theta", "before": 1.0, "after": 0.6}]
    assert [run["bytes"] for run in message["changed"][0]["runs"]] == [131_000, 132_000, 133_000]


def test_a_regression_beside_changed_settings_fails(compared: Compare) -> None:
    same = make_run("fedavg local_steps=5 | b #1", 0)
    checked = compared([*runs(1.0), same], [*runs(0.6), replace(same, syncs=9)])
    assert (checked.exit_code, checked.status) == (1, "fail")
    assert verdict_line(checked) == "1 run compared: fail: 1 cell of fedavg; 3 changed settings, not judged"


def test_where_all_settings_changed_the_changes_are_counted(compared: Compare) -> None:
    checked = compared(runs(1.0), runs(0.6))
    assert (checked.exit_code, verdict_line(checked)) == (4, "nothing to compare; 3 changed settings, not judged")


def test_the_fewest_settings_and_the_nearest_numbers_are_paired() -> None:
    old, new = [*runs(0.5), *runs(1.0)], [*runs(1.1), *runs(0.6), *runs(0.5, lr=0.01, seeds=(0,))]
    actual = pair_changed(old, new)
    message = {setting.text for item in actual for setting in item.settings}
    assert message == {"theta 0.5 -> 0.6", "theta 1 -> 1.1"}
    both = pair_changed(runs(1.0), runs(0.6, lr=0.01))
    assert [setting.text for setting in both[0].settings] == ["optimizer.lr 0.001 -> 0.01", "theta 1 -> 0.6"]


def test_runs_that_differ_in_more_than_settings_are_not_paired(compared: Compare) -> None:
    """Another monitor is another strategy; a seed without a partner is new, or gone."""
    assert pair_changed(runs(1.0), runs(1.0, monitor="sketch")) == []
    assert pair_changed(runs(1.0, seeds=[0]), runs(0.6, seeds=[1])) == []
    assert pair_changed([replace(run, config={}) for run in runs(1.0)], runs(0.6)) == []
    checked = compared(runs(1.0, seeds=[0, 1]), runs(0.6, seeds=[1, 2]))
    (changed,) = checked.changed
    assert [pair.after.seed for pair in changed.pairs] == [1]
    assert [run.name[-2:] for run in checked.missing] == ["s0"]
    assert [who[-2:] for who in checked.added] == ["s2"]


def test_one_sentence_for_each_strategy_and_one_row_for_each_cell(compared: Compare) -> None:
    before = [
        make_run(f"kamp theta=1 | digits mlp | {part} #0", seed, 0.9 + seed / 1000, bytes_to={"0.9": 13_200_000})
        for part in ("iid", "dirichlet 0.3")
        for seed in range(3)
    ]
    quiet = [make_run("fedavg local_steps=5 | digits mlp | iid #9", seed) for seed in range(3)]
    after = [
        replace(run, bytes_total=int(run.bytes_total * (1.08 + run.seed * 0.045)), syncs=run.syncs + 1, sync_steps="x",
                bytes_model=run.bytes_model + 9, accuracy=run.accuracy + (-1) ** run.seed / 1000,
                bytes_to={"0.9": 18_152_000})
        for run in before
    ]  # fmt: skip
    checked = compared([*before, *quiet], [*after, *quiet])
    (sentence,) = sentences(checked)
    start, end = sentence.line.split(" (limit 0 %); ")
    assert start == "kamp: +8 to +17 % bytes in 6 of 6 runs"
    assert end.startswith("accuracy not measurably changed (+0.03 points [")
    assert unchanged(checked) == "unchanged: fedavg (3 runs)"
    iid, _ = sorted(cell_rows(checked), key=lambda row: row.cell, reverse=True)
    assert iid.cell == "kamp theta=1 | digits mlp | iid"
    costs, total, syncs, accuracy = iid.facts
    assert costs == "bytes to 90 %: 13.2 MB -> 18.2 MB (+37.5 % in 3 of 3 runs)"
    assert total.startswith("bytes 88.0 kB -> 103 kB at worst (+8 to +17 % in 3 of 3 runs)")
    assert syncs == "syncs 0 -> 1 in 3 of 3 runs"
    assert accuracy.startswith("accuracy 90.10 % -> 90.13 %")


def test_a_failed_run_is_reported_with_the_line_that_raised(compared: Compare) -> None:
    run = make_run("fedavg | b #1", 0)
    checked = compared([run], [run])
    broken = UnfinishedRun(
        "kamp theta=1 | b #2", "kamp theta=1 | b #2 s0", "failed", "abc", "NameError: no 'x'", "kamp.py:21"
    )
    checked = replace(checked, missing=(broken,), results="out")
    (sentence,) = sentences(checked)
    assert sentence.line == "kamp: 1 of 1 run without a result (kamp.py:21: NameError: no 'x')"
    assert annotations(checked)[0] == f"::error file=kamp.py,line=21,title=fdabench%3A kamp::{sentence.line}"
    for text in (pr_comment(checked), junit(checked, "2026-11-23T12:50:39")):
        assert "kamp.py:21: NameError: no 'x'" in text
    assert hints(checked) == ["inspect: fdabench show out abc"]
    assert (checked.exit_code, verdict_line(checked)) == (4, "1 run compared: pass; 1 missing")


def test_strategies_that_differ_in_a_setting_have_different_labels(compared: Compare) -> None:
    before = [make_run(f"kamp theta={theta} | b #{theta}", 0) for theta in (1, 2)]
    checked = compared(before, [replace(before[0], syncs=3), before[1]])
    assert [sentence.strategy for sentence in sentences(checked)] == ["kamp theta=1"]
    assert unchanged(checked) == "unchanged: kamp theta=2 (1 run)"


def test_a_mean_over_cells_fails_where_a_cell_does(compared: Compare) -> None:
    before = [make_run(f"kamp | b #{cell}", seed, 0.9 + seed / 1e4) for cell in range(2) for seed in range(5)]
    after = [
        replace(run, accuracy=run.accuracy - (0.03 + run.seed / 1e4) * (run.cell == "kamp | b #0")) for run in before
    ]
    (sentence,) = sentences(compared(before, after))
    assert sentence.verdict == Verdict.fail
    assert "accuracy worse by more than the margin in 1 of 2 cells (-1.5 points [" in sentence.text


def test_annotations_name_the_suite_or_the_plug_in(tmp_path: Path) -> None:
    for name in ("gate.toml", "kamp.py"):
        (tmp_path / name).write_text("")
    plugins = [
        {"name": "kamp.py", "adds": ["strategies.kamp"]},
        {"name": "gone.py", "adds": ["monitors.other"]},
    ]
    lock = make_lock([], source=str(tmp_path / "gate.toml"), plugins=plugins)
    files = source_files(lock)
    assert {key: Path(path).name for key, path in files.items()} == {"": "gate.toml", "kamp": "kamp.py"}
    assert [Path(source_file(files, name)).name for name in ("kamp theta=1", "fda other", "")] == [
        "kamp.py",
        "gate.toml",
        "gate.toml",
    ]
    assert source_file({}, "kamp") == ""
    assert relative_to_cwd("/elsewhere/kamp.py:21") == "kamp.py:21"
    assert relative_to_cwd(str(Path.cwd() / "a" / "kamp.py")) == "a/kamp.py"


def test_a_range_is_one_number_where_both_ends_are_written_equally() -> None:
    assert span([0.3101, 0.3399]) == "+31 to +34 %"
    assert span([0.375]) == "+37.5 %"
    assert span([0.011, 0.0849]) == "+1.1 to +8.5 %"
    assert span([-0.2, 0.3]) == "-20 to +30 %"


def test_fewer_bytes_of_a_formula_are_reported_as_wrong(compared: Compare) -> None:
    before = make_run("fedavg local_steps=5 | b #1", 0, period=5.0)
    (sentence,) = sentences(compared([before], [replace(before, bytes_total=44_000)]))
    assert sentence.text == "-50.0 % bytes in 1 of 1 run (a formula: must be equal); accuracy unchanged"
    assert sentence.verdict == Verdict.fail


def test_a_cost_of_another_environment_states_why_it_cannot_be_compared(compared: Compare) -> None:
    before = make_run("fda linear theta=1 | b #1", 0)
    checked = compared([before], [replace(before, bytes_total=90_000, environment="there")])
    (sentence,) = sentences(checked)
    assert sentence.text.startswith("+2.3 % bytes in 1 of 1 cell of another environment (1 inconclusive)")
    (row,) = cell_rows(checked)
    assert row.facts[0].startswith("bytes 88.0 kB -> 90.0 kB (+2.3 %): the noise is unknown: more seeds are needed")
