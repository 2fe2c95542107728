"""`--to tensorboard`: one run for each cell. Every metric is drawn over steps and, as `by_bytes/...`, over bytes."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from fdabench.export.curves import Evaluation, curves_of
from fdabench.results.load import Results


def write_tensorboard(results: Results, path: Path) -> None:
    """Write the folder. TensorBoard's x axis is an integer that it calls step; for `by_bytes/...` it counts bytes."""
    for curve in curves_of(results):
        writer = EventFileWriter(str(path / curve.name))
        for evaluation in curve.evaluations:
            for event in _events(evaluation):
                writer.add_event(event)
        writer.close()


def _events(evaluation: Evaluation) -> list[Event]:
    axes = (("by_step", evaluation.step), ("by_bytes", evaluation.bytes_total))
    return [
        Event(
            step=x,
            summary=Summary(
                value=[Summary.Value(tag=f"{axis}/{name}", simple_value=v) for name, v in evaluation.values.items()]
            ),
        )
        for axis, x in axes
    ]


class LiveTensorBoard:
    """`run --log-to tensorboard`: one run for each cell, flushed after each evaluation."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writers = folder, dict[str, EventFileWriter]()

    def write(self, cell: str, evaluation: Evaluation) -> None:
        """Add the metrics over steps and over bytes."""
        if cell not in self._writers:
            self._writers[cell] = EventFileWriter(str(self._folder / cell))
        for event in _events(evaluation):
            self._writers[cell].add_event(event)
        self._writers[cell].flush()

    def close(self) -> None:
        """Close the files of all cells."""
        for writer in self._writers.values():
            writer.close()
