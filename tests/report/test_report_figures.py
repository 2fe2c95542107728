"""Every figure draws what there is, and is None where there is nothing."""

from collections.abc import Callable

import pytest

from fdabench.report.data import combine
from fdabench.report.families import family_of, looks_of
from fdabench.report.figures import PLOTS
from fdabench.report.figures.plot import Plot
from fdabench.report.render import house_style
from fdabench.results.load import Results

BY_NAME = {plot.name: plot for plot in PLOTS}
# of results that the full set is not; they have tests of their own
ELSEWHERE = ("published", "theta-sweep", "scaling")


@pytest.mark.parametrize("plot", [plot for plot in PLOTS if plot.name not in ELSEWHERE], ids=lambda plot: plot.name)
def test_full_set_draws_and_empty_set_does_not(plot: Plot, full: Results, nothing: Results) -> None:
    with house_style():
        assert plot.draw(combine([full])) is not None
        assert plot.draw(combine([nothing])) is None
    assert len(plot.caption(combine([full]))) > 60


def test_bars_show_misses(full: Results) -> None:
    with house_style():
        figure = BY_NAME["bytes-to-target"].draw(combine([full]))
    assert figure is not None
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any(word.startswith("≥ ") and "0/3" in word for word in words)
    assert any(patch.get_hatch() for axes in figure.axes for patch in axes.patches)


def test_pareto_names_who_is_not_there(full: Results) -> None:
    with house_style():
        figure = BY_NAME["pareto"].draw(combine([full]))
    assert figure is not None
    assert "not reached by FedAdam" in figure.axes[0].get_xlabel()


def test_bands_need_three_seeds(results_of: Callable[..., Results], full: Results) -> None:
    draw = BY_NAME["accuracy-bytes"].draw
    with house_style():
        many, few = draw(combine([full])), draw(combine([results_of(seeds=(0, 1))]))
    assert many is not None
    assert few is not None
    assert many.axes[0].collections
    assert not few.axes[0].collections


def test_heterogeneity_needs_more_than_one_alpha(results_of: Callable[..., Results]) -> None:
    assert BY_NAME["heterogeneity"].draw(combine([results_of(seeds=(0,))])) is None


def test_iid_stands_at_the_right(full: Results) -> None:
    with house_style():
        figure = BY_NAME["heterogeneity"].draw(combine([full]))
    assert figure is not None
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0.1", "IID"]


def test_no_two_strategies_look_alike() -> None:
    labels = {f"{name} θ={theta}": name for name in ("LinearFDA", "SketchFDA", "Kamp", "Gossip") for theta in range(5)}
    looks = looks_of(labels)
    assert len({(look.marker, look.fill) for look in looks.values()}) == len(labels)
    assert len({look.color for look in looks.values()}) == len(labels)


@pytest.mark.parametrize(
    ("label", "strategy", "monitor", "family"),
    [
        ("LinearFDA θ=1", "fda", "linear", "LinearFDA"),
        ("mine", "fda", "sketch", "SketchFDA"),
        ("GmFDA θ=2", "fda", "gm", "GmFDA"),
        ("FedAvg E=1", "fedavg", "", "FedAvg"),
        ("Kamp θ=1", "kamp", "", "kamp"),
    ],
)
def test_families(label: str, strategy: str, monitor: str, family: str) -> None:
    assert family_of(label, strategy, monitor) == family
