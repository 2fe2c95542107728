"""The figures of the study are drawn from the tables of its answers and from the results of tuning."""

import pandas as pd
import pytest
from figures import draw_learning_rates, draw_ratios, main
from matplotlib import pyplot as plt

from support.digits_results import FULL, write

IID, UNLIKE = "study-s: mnist cnn, K=8, iid", "study-s: mnist cnn, K=8, dirichlet(0.1)"


def answers() -> pd.DataFrame:
    rows = [
        ("FedAvg", IID, "", 0.1, 0.08, 0.13),
        ("QSR", IID, "", 0.4, 0.2, 0.7),
        ("FedProx", IID, "≥", 0.9, 0.9, None),
        ("QSR", UNLIKE, "", 0.6, 0.5, 0.7),
    ]
    return pd.DataFrame(
        {
            "question": 8,
            "where": where,
            "number": f"bytes to the target (paper), {method} / DDP",
            "bound": bound,
            "mean": mean,
            "low": low,
            "high": high,
            "clear_low": low * 0.9,
            "clear_high": None if high is None else high * 1.1,
        }
        for method, where, bound, mean, low, high in rows
    )


def test_each_workload_has_a_panel_with_the_fewest_bytes_on_top_and_a_bound_has_no_interval():
    figure = draw_ratios(answers())
    axes, unlike = figure.axes
    assert [panel.get_title() for panel in figure.axes] == ["mnist cnn\niid", "mnist cnn\ndirichlet(0.1)"]
    assert [line.get_ydata()[0] for line in unlike.get_lines() if line.get_marker() == "o"] == [1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["FedProx", "QSR", "FedAvg"]
    points = [line for line in axes.get_lines() if line.get_marker() in ("o", ">")]
    assert sorted((line.get_ydata()[0], line.get_marker()) for line in points) == [(0, ">"), (1, "o"), (2, "o")]
    intervals = [line for line in axes.get_lines() if line.get_marker() == "None" and len(set(line.get_xdata())) == 2]
    assert len(intervals) == 4
    plt.close(figure)


@pytest.mark.parametrize("workloads", [[IID], [IID, UNLIKE], [IID, UNLIKE, "study-s: mnist cnn, K=8, dirichlet(1)"]])
def test_the_label_of_the_axis_is_within_the_figure(workloads):
    rows = answers()
    figure = draw_ratios(pd.concat([rows[rows["where"] == IID].assign(where=workload) for workload in workloads]))
    figure.canvas.draw()
    (label,) = (panel.xaxis.label for panel in figure.axes if panel.get_xlabel())
    box = label.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    plt.close(figure)


def test_a_method_that_reached_the_target_before_its_first_sync_has_an_open_circle():
    figure = draw_ratios(answers(), [(IID, "QSR")])
    points = [line for axes in figure.axes for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in points] == [False, True, False]
    assert "mean; reached before the first sync" in [text.get_text() for text in figure.legends[0].get_texts()]
    plt.close(figure)


def test_learning_rates_have_a_panel_for_each_method(tmp_path):
    write(tmp_path / "tuning", FULL)
    _, figure = draw_learning_rates([tmp_path / "tuning"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["Synchronous", "FedAvg", "FedAdam", "NaiveFDA", "LinearFDA", "SketchFDA"]
    plt.close(figure)


@pytest.mark.slow
def test_the_program_writes_a_figure_of_ratios_for_each_suite_and_each_figure_twice(tmp_path):
    other = answers().replace({IID: "study-t: shakespeare gpt-nano, K=8, iid", UNLIKE: "all"})
    pd.concat([answers(), other]).to_csv(tmp_path / "answers.csv", index=False)
    write(tmp_path / "tuning", FULL)
    main(tmp_path / "answers.csv", [tmp_path / "tuning"], tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert len(list((tmp_path / "figures").iterdir())) == 6
    assert {"bytes-vs-ddp-s", "bytes-vs-ddp-t"} < names
