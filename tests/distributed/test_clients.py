"""Client participation over several processes: the state of a client moves with it to another process."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import fdabench
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from support.suites import ADAM, FEDAVG, digits_suite

SCAFFOLD = 'kind = "scaffold"\nlocal_steps = 3\ncorrection = { kind = "scaffold", of = "gradient" }'
TOPK = 'kind = "fedavg"\nlocal_steps = 3\ncodec = { kind = "topk", share = 0.05 }\nfeedback = 1.0'


def run(folder: Path, out: str, *more: str) -> ResultsFolder:
    """Run the suite of a folder in processes of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(fdabench.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fdabench", "run", "suite.toml", "-o", out, "--jobs", "1", *more]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return ResultsFolder(folder / out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client_state", "availability", "more", "strategies"),
    [
        ("kept", "share = 0.7", "", (FEDAVG, SCAFFOLD, TOPK)),
        ("fresh", "share = 0.7", "", (FEDAVG, SCAFFOLD, TOPK)),
        ("kept", 'trace = "day.parquet"', 'speeds = { values = "1 0.5 0.3" }\naveraging = "steps"', (FEDAVG, TOPK)),
    ],
)
def test_clients_that_move_between_two_processes_have_the_bits_of_one_process(
    client_state: str, availability: str, more: str, strategies: tuple[str, ...], tmp_path: Path
) -> None:
    output = f'clients = 8, client_state = "{client_state}", availability = {{ {availability}, period = 4 }}'
    workload = f"participation = {{ {output} }}\n{more}"
    day = pd.DataFrame({"client": [0, 1, 2, 2, 3], "start": [0, 1, 0, 3, 2], "stop": [3, 4, 2, 4, 4]})
    day.to_parquet(tmp_path / "day.parquet")
    text = digits_suite(strategies, steps=18, every_steps=6, workers=3, optimizer=ADAM, workload=workload)
    (tmp_path / "suite.toml").write_text(text, encoding="utf-8")
    alone = run(tmp_path, "alone")
    spread = run(tmp_path, "spread", "--engine", "distributed", "--processes", "2")
    cells = alone.read_lock().cell
    assert len(cells) == len(strategies)
    for cell in cells:
        for name in TABLES:
            expected, actual = (store.read_cell_table(cell.id, name).to_pandas() for store in (alone, spread))
            clocks = [column for column in CLOCK_COLUMNS if column in expected]
            pd.testing.assert_frame_equal(actual.drop(columns=clocks), expected.drop(columns=clocks), check_exact=True)
