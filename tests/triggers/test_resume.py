"""A cell whose trigger has a state resumes from a checkpoint at any step to the same syncs and bits."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.suite.reader import read_suite
from support.suites import digits_suite

STEPS = 16
COSINE = '{ kind = "sgd", lr = 0.1, schedule = { kind = "cosine", warmup = 0.2, final = 0.05 } }'
STRATEGIES = {
    "qsr": ('kind = "qsr"\nwhen = { rate = 0.15, least = 2 }', [2, 4, 6, 8, 11, 16]),
    "stages": ('kind = "stages"\nwhen = { switch_steps = 3, local_epochs = 0.1 }', [1, 2, 3, 6, 8, 10, 12, 15]),
    "doubling": (
        'kind = "rounds"\nwhen = { kind = "doubling", every_steps = 4, most = 4 }',
        [1, 2, 3, 4, 6, 8, 12, 16],
    ),
    "adacomm": ('kind = "adacomm"\nwhen = { first = 3, most = 4 }', None),
    "streaming-diloco": ('kind = "streaming-diloco"\nlocal_steps = 9\nfragments = 3\ndelay = 2', [5, 8, 11, 14]),
    "layerwise-fda": ('kind = "layerwise-fda"\ntheta = 0.02\ncodec = "int8"\nfeedback = 1.0', None),
    "powersgd": (
        'kind = "fedavg"\nlocal_steps = 3\ncodec = "powersgd"\nfeedback = 1.0\nserver = "nesterov"',
        [3, 6, 9, 12, 15],
    ),
    "gm": ('kind = "gm"\nwhen = { theta = 0.02 }', None),
}


@pytest.mark.parametrize("kind", STRATEGIES)
def test_a_cell_stopped_at_every_step_has_the_same_syncs(kind: str, tmp_path: Path) -> None:
    table, expected = STRATEGIES[kind]
    path = tmp_path / "tiny.toml"
    path.write_text(digits_suite([table], steps=STEPS, every_steps=5, optimizer=COSINE), encoding="utf-8")
    (cell,) = read_suite(path).cells
    digits = load_datasets(["digits"], Path("no-data"))["digits"]
    on = ExecutionContext(ExecutionConfig(torch.device("cpu"), "sequential", checkpoint_s=3600.0), lambda name: digits)
    whole, broken = ResultsFolder(tmp_path / "whole"), ResultsFolder(tmp_path / "broken")
    (record,) = run_cells_batched([cell], whole, on, CellCallbacks())
    assert record.state == "done", record
    for made in range(1, STEPS):
        (record,) = run_cells_batched([cell], broken, on, CellCallbacks(should_stop=lambda: True))
        assert (record.state, record.steps, record.remarks) == ("interrupted", made, [])
    (record,) = run_cells_batched([cell], broken, on, CellCallbacks())
    assert (record.state, record.resumed_at_step) == ("done", STEPS - 1)
    for name in TABLES:
        one, other = (store.read_cell_table(cell.id, name).to_pandas() for store in (whole, broken))
        clocks = [column for column in CLOCK_COLUMNS if column in one]
        pd.testing.assert_frame_equal(one.drop(columns=clocks), other.drop(columns=clocks), check_exact=True, obj=name)
    syncs = whole.read_cell_table(cell.id, "rounds").to_pandas()["step"].tolist()
    assert len(syncs) > 2
    if expected is not None:
        assert syncs == expected
