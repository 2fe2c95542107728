"""The programs of the study read an archive where they read a results folder."""

import answers
import figures
import outcomes
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from fdabench.results.archive import write_archive
from support.digits_results import FULL, write


def run(program, *arguments):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(program.main)
    result = CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_an_archive_gives_the_tables_and_figures_of_its_folder(tmp_path):
    write(tmp_path / "study", FULL)
    archive = tmp_path / "study.tar.xz"
    write_archive(tmp_path / "study", archive)
    for program, name in ((answers, "answers.csv"), (outcomes, "outcomes.csv")):
        for path in ("study", archive.name):
            run(program, tmp_path / path, "-o", tmp_path / f"of-{path}")
        tables = [pd.read_csv(tmp_path / f"of-{path}" / name) for path in ("study", archive.name)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)

    # the results have no DDP, so there are no ratios to draw
    run(figures, tmp_path / "of-study" / "answers.csv", "--tuning", archive, "-o", tmp_path / "figures")
    assert len(list((tmp_path / "figures").glob("*.png"))) == 1
