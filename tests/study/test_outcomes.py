"""The table of the outcomes of the study's runs counts lost hits, misses and hits without a sync."""

import pandas as pd
import pytest
from outcomes import main, markdown, outcomes

import fdabench
from support.digits_results import FULL, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outcomes") / "study"
    write(folder, FULL)
    return folder


def test_each_method_has_a_row_for_each_workload_and_target_with_the_numbers_of_its_runs(folder):
    view = fdabench.load(folder)
    rows = pd.DataFrame(outcomes(view))
    targets = view.targets["target"].nunique()
    assert (rows.groupby(["workload", "method"]).size() == targets).all()
    assert set(rows["workload"]) == set(view.runs["workload"])
    row = rows[rows["method"] == "FedAvg"].iloc[0]
    own = view.runs[view.runs["label"].str.startswith("FedAvg") & (view.runs["strategy"] == "fedavg")]
    own = own[own["workload"] == row["workload"]]
    hits = view.targets[view.targets["cell_id"].isin(own["cell_id"]) & (view.targets["target"] == row["target"])]
    assert (row["runs"], row["reached"]) == (len(own), int(hits["reached"].sum()))
    assert row["final"] == pytest.approx(own["final_accuracy"].mean())
    assert row["total_bytes"] == pytest.approx(own["bytes_total"].mean())
    assert (rows["kept"] <= rows["reached"]).all()
    assert (rows["without_sync"] <= rows["reached"]).all()


def test_the_table_states_which_hits_were_lost_and_which_had_no_sync():
    row = {"suite": "s", "workload": "w", "final": 3.75, "sd": 0.1, "syncs": 2.0, "total_bytes": 2e7, "runs": 10}
    early = {"method": "A", "target": 2.6, "reached": 10, "kept": 1, "without_sync": 9, "bytes": 8e6}
    no_hit = {"method": "A", "target": 2.4, "reached": 0, "kept": 0, "without_sync": 0, "bytes": float("nan")}
    text = markdown(pd.DataFrame([row | early, row | no_hit, row | early | {"workload": "x", "method": "B"}]))
    assert [line for line in text.splitlines() if line.startswith("#")] == ["## s: w", "## s: x"]
    assert "| B |" not in text.split("## s: x")[0]
    assert "10 of 10, 8.00 MB (9 before the first sync; 9 lost it again) | 0 of 10 |" in text


def test_the_program_writes_both_files(folder, tmp_path):
    main([folder], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["outcomes.csv", "outcomes.md"]
