"""Converts text files to sequences of bytes. Each sequence belongs to an owner, such as a role of a play.

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
    """A text file.

    Args:
        name: the path relative to the folder that is searched; names of owners contain it.
        path: the path for opening the file.
    """

    name: str
    path: Path


def find_files(path: str) -> list[TextFile]:
    """Return the text files at a path, sorted by name.

    Args:
        path: a file; a folder, whose files `*.txt` at any depth are returned; or a pattern such as `plays/**/*.md`.

    Raises:
        WorkloadError: there are none.
    """
    location = Path(path)
    if location.is_file():
        return [TextFile(location.name, location)]
    folder, pattern = (location, "**/*.txt") if location.is_dir() else _split_pattern(location)
    files = [file for file in folder.glob(pattern) if file.is_file()] if folder.is_dir() else []
    if not files:
        fault = "this folder has no file *.txt" if location.is_dir() else "there is no such file or folder"
        raise WorkloadError(f"{path}: {fault}; expected a file, a folder or a pattern such as plays/**/*.md")
    return sorted(TextFile(file.relative_to(folder).as_posix(), file) for file in files)


def read_texts(files: Sequence[TextFile]) -> dict[str, bytes]:
    """Return the contents of files, by the names of the files.

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
    """Compile the regular expression that selects the owners of lines.

    Args:
        owners: as in `owner_texts`.

    Returns:
        The regular expression, or None if `owners` is `file` or `folder`.

    Raises:
        WorkloadError: `owners` is not a regular expression, or the number of its groups is not 1.
    """
    if owners in ("file", "folder"):
        return None
    allowed = "expected 'file', 'folder' or a regular expression with one group, which is the owner's name"
    try:
        pattern = re.compile(owners.encode())
    except re.error as error:
        raise WorkloadError(f"{allowed}; {owners!r} is not a regular expression: {error}") from error
    if pattern.groups != 1:
        hint = did_you_mean(owners, ("file", "folder"))
        raise WorkloadError(f"{allowed}; {owners!r} has {plural(pattern.groups, 'group')}{hint}")
    return pattern


def owner_texts(texts: Mapping[str, bytes], owners: str) -> dict[str, bytes]:
    """Return the text of each owner, in the order in which owners first appear.

    Args:
        texts: the contents of files, by file name.
        owners: `file` if the owner of a text is its file; `folder` if it is the folder of its file; otherwise a regular
            expression with one group, which is searched in each line. After a line that matches, the text of the owner
            that the group names begins. Text before the first such line of a file is left out. Equal names in two files
            are two owners.

    Raises:
        WorkloadError: the regular expression cannot be compiled, or it matches no line.
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
    """Divide the text of each owner into samples. Owners whose text is too short for a single sample are left out.

    Args:
        texts: the text of each owner.
        context: T, the number of tokens of a sample.
        test_share: the fraction of each owner's text, at its end, that is the test set.

    Returns:
        The data set: inputs and targets, int64 of shape [N, T], and owners. Targets are shifted by one byte.

    Raises:
        WorkloadError: no owner has a training sample, or none has a test sample.
    """
    train: list[Tokens] = []
    test: list[Tokens] = []
    sizes: dict[str, tuple[int, int]] = {}
    for owner, text in texts.items():
        tokens = np.frombuffer(text, np.uint8)
        cut = len(tokens) - int(len(tokens) * test_share)
        train_windows, test_windows = _windows(tokens[:cut], context), _windows(tokens[cut:], context)
        if len(train_windows) or len(test_windows):
            train.append(train_windows)
            test.append(test_windows)
            sizes[owner] = (len(train_windows), len(test_windows))
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
    """Return windows of context + 1 tokens, shape [N, context + 1]; the last token of each is the first of the next."""
    if len(tokens) <= context:
        return np.empty((0, context + 1), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]


def _tensors(windows: Tokens) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, int64 [N, context]: all tokens of a window but the last, and all but the first."""
    tokens = torch.from_numpy(windows.astype(np.int64))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _speeches(content: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the owner and the text of each part of a file that begins after a line that `pattern` matches."""
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
    """Split a path before its first part with a wildcard, or before its last part, into a folder and a pattern."""
    parts = path.parts
    with_wildcard = [index for index, part in enumerate(parts) if any(letter in part for letter in "*?[")]
    cut = with_wildcard[0] if with_wildcard else len(parts) - 1
    return Path(*parts[:cut]), "/".join(parts[cut:])
