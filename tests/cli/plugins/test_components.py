"""A plug-in defines components of every role, in a file or in an installed package."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.own_plugin import MINE, plan, refused
from support.suites import replace_text

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]


def test_list_shows_components_of_plugins_with_their_file(own: InProcess) -> None:
    rows = json.loads(own("list", "strategies", "--suite", "own.toml", "--output-format", "json").stdout)
    assert rows[-1] == {
        "kind": "doubling",
        "keys": ["first"],
        "about": "Sync after `first` steps, then after twice as many, and so on",
        "display_name": None,
        "memory_vectors": 0.0,
        "cites": [],
        "formula": None,
        "plug-in": "mine.py",
    }
    assert {row["plug-in"] for row in rows[:-1]} == {None}
    assert "doubling" not in own("list", "strategies").stdout
    assert (
        "Doubling"
        in json.loads(own("validate", "--schema", "own.toml").stdout)["properties"]["strategy"]["items"]["anyOf"][-1][
            "title"
        ]
    )


EVERYTHING = '''
"""One of everything."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from fdabench.core.row_sums import row_squared_norms
from fdabench.core.strategy import ServerOptimizer
from fdabench.datasets.digits import DIGITS
from fdabench.models.mlp import MLP
from fdabench.servers.average import Average


@dataclass(frozen=True)
class Half:
    share: float = 0.5
    is_plain_average = False

    def init(self, w_D):
        return ()

    def update(self, w_D, u_D, state, info):
        return w_D + self.share * u_D, state


@dataclass(frozen=True)
class Norm:
    scale: float = 1.0

    def state_size(self, num_parameters):
        return 1

    def local_state(self, u_KD, r):
        return self.scale * row_squared_norms(u_KD)[:, None]

    def variance_bound(self, s_S):
        return s_S[0]


@dataclass(frozen=True)
class Plain:
    speed: float
    state_on_sync: str = "keep"

    def build(self, rows):
        return torch.optim.SGD(rows, lr=self.speed)


@dataclass(frozen=True)
class Stripes:
    width: int = 1

    def split(self, labels, workers, rng):
        return [np.arange(len(labels))[k::workers] for k in range(workers)]


SERVERS = {"half": Half}
MONITORS = {"norm": Norm}
OPTIMIZERS = {"plain": Plain}
PARTITIONS = {"stripes": Stripes}
DATASETS = {"mine": replace(DIGITS, load=lambda root: DIGITS.load(root))}
MODELS = {"net": replace(MLP, build=lambda shape, classes: torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(64, classes)))}
'''


@pytest.mark.slow
def test_a_plugin_can_define_components_of_every_role(own: InProcess, fdabench_in: Fdabench) -> None:
    Path("mine.py").write_text(EVERYTHING)
    replace_text(
        "own.toml", 'kind = "doubling"\nfirst = 2', 'kind = "fda"\nmonitor = "norm"\ntheta = 0.001\nserver = "half"'
    )
    replace_text("own.toml", '{ kind = "sgd", lr = 0.1 }', '{ kind = "plain", speed = 0.1 }\npartition = "stripes"')
    replace_text("own.toml", 'dataset = "digits"\nmodel = "mlp"', 'dataset = "mine"\nmodel = "net"')
    assert {status for status, _ in plan(own).values()} == {"to run"}
    result = fdabench_in("run", "own.toml", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    assert set(runs["state"]) == {"done"}
    names = ["dataset", "model", "partition", "monitor", "server", "optimizer", "num_parameters"]
    assert runs.loc["NormFDA half", names].tolist() == ["mine", "net", "stripes(width=1)", "norm", "half", "plain", 650]
    assert own("report", "results/own").exit_code == 0
    assert own("cite", "own.toml").exit_code == 0
    replace_text("mine.py", "return s_S[0]", "return 2 * s_S[0]")
    assert {status for status, _ in plan(own).values()} == {"stale"}, "both cells use its data"


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package that has a plug-in."""
    root = tmp_path_factory.mktemp("site")
    (root / "fdabench_double").mkdir()
    (root / "fdabench_double" / "__init__.py").write_text(
        "from fdabench_double.strategy import STRATEGIES as STRATEGIES\n"
    )
    (root / "fdabench_double" / "strategy.py").write_text(MINE)
    info = root / "fdabench_double-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fdabench-double\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[fdabench.plugins]\ndouble = fdabench_double\n")
    return root


@pytest.mark.slow
def test_an_installed_package_provides_a_plugin(own: InProcess, fdabench_in: Fdabench, package: Path) -> None:
    import fdabench

    path = {"PYTHONPATH": f"{Path(fdabench.__file__).parents[1]}{os.pathsep}{package}", "PYTHONDONTWRITEBYTECODE": "1"}
    replace_text("own.toml", 'plugins = ["mine.py"]', "")
    os.unlink("mine.py")
    assert '"doubling" is unknown' in refused(own)
    result = fdabench_in("run", "own.toml", "--jobs", "2", **path)
    assert result.returncode == 0, result.stderr
    assert "note: own.toml: plug-in double of fdabench-double 1.2 adds strategies.doubling" in result.stderr
    lock = tomllib.loads(Path("results/own/suite.lock.toml").read_text())
    files = {"plug-in fdabench_double/__init__.py", "plug-in fdabench_double/strategy.py"}
    assert [set(item["code"]) for item in lock["plugins"]] == [files]
    (package / "fdabench_double" / "strategy.py").write_text(MINE.replace("t + 1 <", "t <"))
    planned = fdabench_in("plan", "own.toml", **path).stdout
    assert "1 done | 1 stale: plug-in fdabench_double/strategy.py changed | 0 to run" in planned
    listed = fdabench_in("list", "strategies", **path).stdout.splitlines()
    assert listed[-1].endswith("fdabench_double/__init__.py")
    (package / "fdabench_double" / "strategy.py").write_text("1 / 0")
    broken = fdabench_in("plan", "tiny.toml", **path)
    assert broken.returncode == 2
    assert "fdabench-double 1.2: " in broken.stderr
    assert "ZeroDivisionError" in broken.stderr
