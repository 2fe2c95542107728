"""Fuzz the readers of suites and results by coverage, where atheris is installed.

    pip install atheris
    PYTHONPATH=tests python tests/faults/fuzz_atheris.py suites -max_total_time=60
    PYTHONPATH=tests python tests/faults/fuzz_atheris.py results -max_total_time=60

libFuzzer receives the options after `suites` or `results`. An exception other than an FdabenchError ends the run and
leaves its input in a file. `tests/results/test_fuzz.py` does the same with hypothesis, each time the tests run.
"""

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]

with atheris.instrument_imports(include=["fdabench.suite", "fdabench.results", "fdabench.errors"]):
    from fdabench.errors import FdabenchError
    from fdabench.results.load import load
    from fdabench.suite.reader import read_suite

from support.lenet5_results import SyntheticCell, write_lenet5_results  # noqa: E402

Target = Callable[[bytes], None]


def suites(folder: Path) -> tuple[Target, list[bytes]]:
    """Read any bytes as a suite; the seeds are the suites of the repository."""
    path = folder / "suite.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(FdabenchError):
            read_suite(path)

    return read, [suite.read_bytes() for suite in sorted((ROOT / "suites").rglob("*.toml"))]


def results(folder: Path) -> tuple[Target, list[bytes]]:
    """Replace a file of a valid results folder; the first byte selects the file."""
    good = write_lenet5_results(folder / "good", [SyntheticCell([(100, 0.5, 1), (200, 0.99, 2)], [100])])
    paths = sorted(path for path in good.rglob("*") if path.is_file())
    whole = [path.read_bytes() for path in paths]

    def read(data: bytes) -> None:
        which = data[0] % len(paths) if data else 0
        paths[which].write_bytes(data[1:])
        try:
            with suppress(FdabenchError):
                load(good)
        finally:
            paths[which].write_bytes(whole[which])

    return read, [bytes([which]) + content for which, content in enumerate(whole)]


def main() -> None:
    targets = {"suites": suites, "results": results}
    if len(sys.argv) < 2 or sys.argv[1] not in targets:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        target, seeds = targets[sys.argv[1]](Path(folder))
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], "-max_len=65536", str(corpus)], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
