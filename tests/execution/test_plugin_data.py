"""Data of plug-ins: hashed where a plug-in adds them, and equal in every process of a cell."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fdabench.datasets.digits import DIGITS
from fdabench.errors import WorkloadError
from fdabench.execution.plugin_data import hash_plugin_data
from fdabench.experiment.distributed_cell import RankContext, _load_same
from fdabench.registry.plugin_loading import PackedPlugins, pack_plugins
from fdabench.registry.plugin_source import FilePlugin
from fdabench.registry.registry import BUILT_IN, Plugin, Registry

NOWHERE = Path("no-data")


def with_mine(loads: list[Path]) -> Registry:
    """A registry whose data set `mine`, the digits, comes from a plug-in; `loads` notes each time it is loaded."""

    def load(root: Path) -> Any:
        loads.append(root)
        return DIGITS.load(root)

    actual = replace(DIGITS, load=load)
    origin = FilePlugin("plugins[0]", Path("mine.py"), b'DATASETS = {"mine": 1}')
    plugin = Plugin(origin, {"datasets": {"mine": actual}}, {})
    return replace(BUILT_IN, datasets={**BUILT_IN.datasets, "mine": actual}, plugins=(plugin,))


def test_data_of_a_plugin_are_loaded_and_hashed_once_and_built_in_data_not_at_all() -> None:
    loads: list[Path] = []
    actual = hash_plugin_data(["mine", "digits", "mnist", "mine"], NOWHERE, with_mine(loads))
    assert (loads, set(actual.data), set(actual.registry.data_hashes)) == ([NOWHERE], {"mine"}, {"mine"})
    assert hash_plugin_data(["digits", "mnist"], NOWHERE, BUILT_IN).registry.data_hashes == {}


def test_the_hashes_are_sent_to_the_other_processes() -> None:
    assert PackedPlugins((), {"mine": "a"}).unpack().data_hashes == {"mine": "a"}
    assert pack_plugins(replace(BUILT_IN, data_hashes={"mine": "a"})) == PackedPlugins((), {"mine": "a"})


def test_a_process_with_other_data_than_rank_0_raises_an_error() -> None:
    seat = SimpleNamespace(registry=SimpleNamespace(data_hashes={"mine": "a"}), member=SimpleNamespace(rank=1))
    here = cast(RankContext, seat)
    data = DIGITS.load(NOWHERE)
    assert _load_same(lambda name: data, "a", here, "mine") is data
    assert _load_same(lambda name: data, "", here, "digits") is data
    with pytest.raises(WorkloadError, match="the data of mine differ: rank 1 has a, rank 0 has b"):
        _load_same(lambda name: data, "b", here, "mine")
    with pytest.raises(WorkloadError, match="rank 1 has none, rank 0 has b"):
        _load_same(lambda name: data, "b", here, "other")
