"""Text files as sequences of bytes, which belong to owners such as the roles of a play.

A token is a byte, so the vocabulary has 256 tokens. The text of each owner is cut into a training part and a test part,
and each part into windows. A window of T tokens starts where the one before ends; its targets are the T bytes that
follow each of its bytes. No window has bytes of two owners or of both parts.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fdabench.datasets.base import DatasetTensors
from fdabench.errors import WorkloadError, did_you_mean
from fdabench.formatting import plural
from fdabench.regular_files import read_regular

VOCABULARY = 256
Tokens = NDArray[np.uint8]


class TextFile(NamedTuple):
    """A file and its name in the names of owners, which is its path relative to the folder that all files are in."""

    name: str
    path: Path


def find_files(path: str) -> list[TextFile]:
    """The files of a path, in the order of their names.

    Args:
        path: a file, a folder, whose files `*.txt` at any depth are found, or a pattern such as `plays/**/*.md`.

    Raises:
        WorkloadError: there are none.
    """
    place = Path(path)
    if place.is_file():
        return [TextFile(place.name, place)]
    folder, pattern = (place, "**/*.txt") if place.is_dir() else _split_pattern(place)
    files = [file for file in folder.glob(pattern) if file.is_file()] if folder.is_dir() else []
    if not files:
        what = "this folder has no file *.txt" if place.is_dir() else "there is no such file or folder"
        raise WorkloadError(f"{path}: {what}; expected a file, a folder or a pattern such as plays/**/*.md")
    return sorted(TextFile(file.relative_to(folder).as_posix(), file) for file in files)


def read_texts(files: Sequence[TextFile]) -> dict[str, bytes]:
    """The contents of files, by name.

    Raises:
        WorkloadError: files cannot be read; the message lists all of them.
    """
    texts, faults = {}, []
    for file in files:
        try:
            texts[file.name] = read_regular(file.path)
        except OSError as error:
            faults.append(f"{file.path.as_posix()}: cannot be read: {error.strerror}")
    if faults:
        raise WorkloadError("\n".join(faults))
    return texts


def compile_owners(owners: str) -> re.Pattern[bytes] | None:
    """Compile the regular expression of owners; None for `file` and `folder`.

    Raises:
        WorkloadError: it is no regular expression, or it has not exactly one group.
    """
    if owners in ("file", "folder"):
        return None
    allowed = "expected 'file', 'folder' or a regular expression with one group, which is the owner's name"
    try:
        pattern = re.compile(owners.encode())
    except re.error as error:
        raise WorkloadError(f"{allowed}; {owners!r} is no regular expression: {error}") from error
    if pattern.groups != 1:
        hint = did_you_mean(owners, ("file", "folder"))
        raise WorkloadError(f"{allowed}; {owners!r} has {plural(pattern.groups, 'group')}{hint}")
    return pattern


def owner_texts(texts: Mapping[str, bytes], owners: str) -> dict[str, bytes]:
    """The text of each owner, in the order in which they first appear.

    Args:
        texts: the contents of files, by file name.
        owners: `file`: the owner of a text is its file; `folder`: the folder of its file; otherwise a regular
            expression with one group. It is searched in each line; where it matches, the text of the owner that the
            group names begins with the next line. Text before the first such line of a file is left out. Equal names in
            two files are two owners.

    Raises:
        WorkloadError: the regular expression is none, or it matches no line.
    """
    pattern = compile_owners(owners)
    parts: dict[str, list[bytes]] = defaultdict(list)
    for name, content in texts.items():
        if pattern is not None:
            for owner, part in _speeches(content, pattern):
                parts[f"{name}: {owner}"].append(part)
        else:
            parts[name if owners == "file" else Path(name).parent.as_posix()].append(content)
    if not parts:
        raise WorkloadError(f"{owners!r} matches no line of {', '.join([*texts][:3])}{', ...' * (len(texts) > 3)}")
    return {owner: b"".join(speeches) for owner, speeches in parts.items()}


def make_windows(texts: Mapping[str, bytes], context: int, test_share: float) -> DatasetTensors:
    """Cut the text of each owner into samples. Owners whose text is too short for a single sample are left out.

    Args:
        texts: the text of each owner.
        context: T, the tokens of a sample.
        test_share: the fraction of each owner's text, at its end, that is the test set.

    Raises:
        WorkloadError: no owner has a training sample, or none has a test sample.
    """
    train: list[Tokens] = []
    test: list[Tokens] = []
    sizes: dict[str, tuple[int, int]] = {}
    for owner, text in texts.items():
        tokens = np.frombuffer(text, np.uint8)
        cut = len(tokens) - int(len(tokens) * test_share)
        pieces = _windows(tokens[:cut], context), _windows(tokens[cut:], context)
        if any(map(len, pieces)):
            train.append(pieces[0])
            test.append(pieces[1])
            sizes[owner] = (len(pieces[0]), len(pieces[1]))
    for part, column in (("training", 0), ("test", 1)):
        if not any(counts[column] for counts in sizes.values()):
            longest = max(map(len, texts.values()), default=0)
            raise WorkloadError(
                f"no owner has a {part} sample of context + 1 = {context + 1} bytes; the longest text of an owner has "
                f"{longest} bytes. Use a smaller context, or a larger share of test data if test samples are missing"
            )
    counts = np.array(list(sizes.values()), dtype=np.int64)
    (train_x, train_y), (test_x, test_y) = (_tensors(np.concatenate(windows)) for windows in (train, test))
    train_owners, test_owners = (torch.from_numpy(np.repeat(np.arange(len(sizes)), part)) for part in counts.T)
    return DatasetTensors(train_x, train_y, test_x, test_y, VOCABULARY, train_owners, test_owners, tuple(sizes))


def _windows(tokens: Tokens, context: int) -> Tokens:
    """Windows of context + 1 tokens, shape [N, context + 1]; the last token of each is the first of the next."""
    if len(tokens) <= context:
        return np.empty((0, context + 1), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]


def _tensors(windows: Tokens) -> tuple[Tensor, Tensor]:
    tokens = torch.from_numpy(windows.astype(np.int64))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _speeches(content: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[str, bytes]]:
    """The owner and the text of each part of a file."""
    owner: str | None = None
    lines: list[bytes] = []
    for line in content.splitlines(keepends=True):
        match = pattern.search(line.rstrip(b"\r\n"))
        if match is None:
            lines.append(line)
            continue
        if owner is not None:
            yield owner, b"".join(lines)
        owner, lines = (match[1] or b"").decode(errors="replace"), []
    if owner is not None:
        yield owner, b"".join(lines)


def _split_pattern(path: Path) -> tuple[Path, str]:
    """Split a path with wildcards at the first of them, into a folder and a pattern."""
    parts = path.parts
    wild = [place for place, part in enumerate(parts) if any(letter in part for letter in "*?[")]
    cut = wild[0] if wild else len(parts) - 1
    return Path(*parts[:cut]), "/".join(parts[cut:])
