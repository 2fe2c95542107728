"""`--to csv`: one row for each evaluation, with the settings of its cell, for spreadsheets and other programs."""

from pathlib import Path

from fdabench.export.curves import METRICS, Evaluation, curves_of
from fdabench.results.escaping import csv_cell
from fdabench.results.files import atomic_write_bytes
from fdabench.results.load import Results
from fdabench.tables import csv_text


def write_csv(results: Results, path: Path) -> None:
    """Write the file. A value that is not finite is empty, and so is a setting that a cell does not have."""
    curves = curves_of(results)
    settings = list(dict.fromkeys(key for curve in curves for key in curve.settings))
    keys = ["cell_id", "label", "step", "bytes_total", *METRICS, *settings]
    records = [
        {
            **dict.fromkeys(keys, ""),
            **curve.settings,
            "cell_id": curve.cell_id,
            "label": curve.label,
            "step": evaluation.step,
            "bytes_total": evaluation.bytes_total,
            **evaluation.values,
        }
        for curve in curves
        for evaluation in curve.evaluations
    ]
    atomic_write_bytes(path, csv_text(records, keys, csv_cell).encode())


class LiveCsv:
    """`run --log-to csv`: a row for each evaluation, appended and flushed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, cell: str, evaluation: Evaluation) -> None:
        """Append a row; the first one is preceded by the names of the columns."""
        keys = ["cell", "step", "bytes_total", "test_accuracy", "test_loss"]
        record = {"cell": cell, "step": evaluation.step, "bytes_total": evaluation.bytes_total}
        text = csv_text([{**dict.fromkeys(keys, ""), **record, **evaluation.values}], keys, csv_cell)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.split("\n", 1)[1] if file.tell() else text)

    def close(self) -> None:
        """Do nothing: the file is closed after each row."""
