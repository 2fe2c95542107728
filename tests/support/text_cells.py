"""A small suite that trains a GPT on the plays of the package."""

from pathlib import Path

from fdabench.cell_config import CellConfig
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

TEXT_SUITE = """
name = "text"
[budget]
steps = 6
[eval]
every_steps = 3
[[workload]]
dataset = "shakespeare"
model = "gpt-nano"
workers = 3
batch_size = 2
optimizer = { kind = "adamw", lr = 3e-3, clip = 1.0, schedule = { kind = "cosine", warmup = 0.3 } }
partition = "natural"
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.5
[[strategy]]
kind = "diloco"
local_steps = 2
"""


def text_cells(folder: Path, *overrides: str) -> list[Cell]:
    """The cells of the suite, which is written into `folder`."""
    (folder / "text.toml").write_text(TEXT_SUITE)
    return list(read_suite(folder / "text.toml", overrides).cells)


def text_config(folder: Path, *overrides: str) -> CellConfig:
    """The configuration of the first cell of the suite."""
    return text_cells(folder, *overrides)[0].config
