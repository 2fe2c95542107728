"""Cells that nothing could hold: told when a suite is read, before any memory is taken."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from fdabench.catalogue.kinds import Catalogue
from fdabench.suite.cell import Cell
from fdabench.suite.construct import span
from fdabench.suite.spec import MOST_STEPS

MOST_EVALUATIONS = 10**6
"""Of a cell. Each is a row that its process holds until the end."""


def size_faults(cells: Sequence[Cell], catalogue: Catalogue) -> list[str]:
    """What spans in epochs come to with a cell's number of samples, where that is too much; each once."""
    return list(dict.fromkeys(fault for cell in cells for fault in _faults(cell.config, catalogue)))


def _faults(config: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    workers, batch_size = config["workers"], config["batch_size"]
    epoch = Fraction(catalogue.datasets[config["dataset"]].train_samples, workers * batch_size)
    steps = span(config["budget"], ("steps", "epochs"), epoch)
    where = f"for {config['dataset']}, workers = {workers} and batch_size = {batch_size}"
    if steps > MOST_STEPS:
        yield f"budget: {where} it comes to {float(steps):.3g} local steps; at most {MOST_STEPS:.0e} are allowed"
    # more than one in a step there is not
    evaluations = min(steps, steps / span(config["eval"], ("every_steps", "every_epochs"), epoch))
    if evaluations > MOST_EVALUATIONS:
        said = f"{float(evaluations):.3g} evaluations; at most {MOST_EVALUATIONS:.0e} are allowed"
        yield f"eval: {where} there would be {said}: take a longer period"
