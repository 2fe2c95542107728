"""`fdabench inspect`: describes data on disk, or checks whether a model can be trained, and prints the TOML for it."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from fdabench.cli.console import print_result
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats import FORMATS
from fdabench.datasets.formats.base import DataError, load_data
from fdabench.datasets.formats.detect import detect_format
from fdabench.errors import UsageError, WorkloadError
from fdabench.formatting import plural
from fdabench.planning.inspect_model import ModelFacts, inspect_model
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.components.own import model_spec
from fdabench.validation.toml_text import format_toml


def inspect(path: Path | None, model: str | None, shape: str, classes: int) -> None:
    """Print the description of data or of a model, and its TOML.

    Args:
        path: data on disk.
        model: the value of the key `model` of a workload, in TOML: a name or a table.
        shape: of the images that the model is tried on, such as `3x32x32`.
        classes: the number of outputs that the model is built with.

    Raises:
        UsageError: neither a path nor a model is given, or both, or the model is not TOML.
        WorkloadError: the data cannot be read, or the model cannot be built.
    """
    if (path is None) == (model is None):
        raise UsageError("inspect: give the path of data, or --model TABLE")
    lines = _data_lines(path) if path is not None else _model_lines(str(model), shape, classes)
    for line in lines:
        print_result(line)


def _data_lines(path: Path) -> list[str]:
    detected = detect_format(path)
    lines = [f"kind: {detected.table['kind']}"]
    if detected.columns:
        lines.append(f"columns: {', '.join(detected.columns)}")
    keys = {key: value for key, value in detected.table.items() if key != "kind"}
    source = FORMATS[detected.table["kind"]](**keys)
    try:
        data = load_data(source, Path())
    except DataError as error:
        return [*lines, "The data cannot be read with the detected keys; correct them:", *str(error).splitlines(),
                f"dataset = {format_toml(detected.table)}"]  # fmt: skip
    counts = _range(data.train_y.bincount(minlength=data.classes).tolist())
    lines += [
        f"samples: {len(data.train_y):,} training, {len(data.test_y):,} test",
        f"shape: {'x'.join(map(str, data.shape))} (channels x height x width)",
        f"classes: {data.classes}, {counts} training samples each",
        *_owner_lines(data),
        f"dataset = {format_toml(detected.table)}",
    ]
    return lines


def _range(counts: list[int]) -> str:
    return f"{min(counts):,} to {max(counts):,}" if min(counts) != max(counts) else f"{counts[0]:,}"


def _owner_lines(data: DatasetTensors) -> list[str]:
    """The number of owners, their training samples, and how much their labels differ."""
    if data.train_owners is None:
        return ["owners: none"]
    counts = np.zeros((len(data.owner_names), data.classes))
    np.add.at(counts, (data.train_owners.numpy(), data.train_y.numpy()), 1)
    sizes = counts.sum(1)
    with_samples = counts[sizes > 0] / sizes[sizes > 0, None]
    skew = np.average(abs(with_samples - counts.sum(0) / sizes.sum()).sum(1) / 2, weights=sizes[sizes > 0])
    text = f"{plural(len(data.owner_names), 'owner')}, {_range([int(size) for size in sizes])} training samples each"
    distance = "the mean total variation distance between the labels of an owner and those of all"
    return [f"owners: {text}", f"label skew: {skew:.3f} ({distance}; 0 = the same, near 1 = one class of many)"]


def _model_lines(text: str, shape: str, classes: int) -> list[str]:
    try:
        table: Any = tomllib.loads(f"model = {text}")["model"]
    except ValueError:
        table = text
    axes = tuple(int(part) if part.isdecimal() else 0 for part in shape.split("x"))
    if len(axes) not in (1, 3) or not all(axes) or classes < 2:
        message = "expected CxHxW, as in 3x32x32, or the length of a sequence, as in 64, and at least 2 classes"
        raise UsageError(f"--shape {shape} --classes {classes}: {message}")
    name, spec = model_spec(table, BUILT_IN)
    facts = inspect_model(spec, axes, classes)
    return [f"model: {name}", *_fact_lines(facts), f"model = {format_toml(table)}"]


def _fact_lines(facts: ModelFacts) -> list[str]:
    losses = ", ".join(f"{engine} {loss:.6f}" for engine, loss in facts.losses.items())
    lines = [
        f"parameters: {facts.parameters:,} ({4 * facts.parameters:,} bytes in a sync)",
        f"frozen parameters: {facts.frozen:,}" + (" (once for all workers)" if facts.frozen else ""),
        f"running statistics: {facts.statistics:,}" + (" (set batchnorm_stats)" if facts.statistics else ""),
        f"tied weights: {', '.join(facts.tied) or 'none'}",
        f"dropout layers: {facts.dropout}",
        *(f"not supported by the engine {engine}: {error}" for engine, error in facts.errors.items()),
    ]
    if not facts.losses:
        raise WorkloadError("\n".join(lines))
    verdict = "agree" if facts.engines_agree else "do not agree"
    return [*lines, f"training loss after 2 steps: {losses}" + ("" if facts.errors else f"; the engines {verdict}")]
