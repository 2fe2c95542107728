"""Accuracy and rounds at nominal epochs: the evaluation at the end of the epoch, not the one before or after."""

from pathlib import Path

from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.tables.epochs import milestones_frame, milestones_tables
from fdabench.results.load import load
from support.lenet5_results import SyntheticCell, write_lenet5_results

# an epoch of 10 workers with batches of 32 is 187.5 steps: it ends in step 188
FIRST = SyntheticCell([(187, 0.5, 1), (188, 0.9, 2), (375, 0.95, 4), (18_750, 0.987, 400)], (100, 200, 300))
SECOND = SyntheticCell([(188, 0.8, 4), (376, 0.96, 5)], (100, 200, 300), seed=1)


def data_of(root: Path, *cells: SyntheticCell) -> ReportData:
    return combine_results([load(write_lenet5_results(root / "epochs", cells))])


def test_a_milestone_is_the_evaluation_in_which_the_epoch_ended(tmp_path: Path) -> None:
    frame = milestones_frame(data_of(tmp_path, FIRST, SECOND))
    actual = {(row["seed"], row["milestone"]): row["test_accuracy"] for row in frame.to_dict("records")}
    # step 376 is a whole step late for the second epoch
    assert actual == {(0, 1): 0.9, (0, 2): 0.95, (0, 100): 0.987, (1, 1): 0.8}


def test_the_table_has_means_over_seeds_and_rounds_in_brackets(tmp_path: Path) -> None:
    (table,) = milestones_tables(data_of(tmp_path, FIRST, SECOND))
    assert table.titles[2:] == ("epoch 1", "epoch 2", "epoch 100")
    assert table.rows[0][2:] == ("85.00 % (3)", "95.00 % (4)", "98.70 % (400)")


def test_evaluations_between_epochs_make_no_table(tmp_path: Path) -> None:
    assert milestones_tables(data_of(tmp_path, SyntheticCell([(100, 0.5, 1), (200, 0.6, 2)], (100,)))) == []
