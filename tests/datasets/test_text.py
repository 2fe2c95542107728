"""Text data: each byte of an owner is in the targets of at most one sample, and no sample has bytes of two owners."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdabench.datasets import DATASETS
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.checks import data_errors
from fdabench.datasets.shakespeare import FOLDER, SPEECH
from fdabench.datasets.text import TextFile, find_files, make_windows, owner_texts, read_texts
from fdabench.errors import WorkloadError

NOWHERE = Path("nowhere")


def windows_of(data: DatasetTensors, part: str, owner: str) -> list[bytes]:
    """The samples of an owner, each with the byte after its last input."""
    x, y, owners = (getattr(data, f"{part}_{name}") for name in ("x", "y", "owners"))
    actual = owners == data.owner_names.index(owner)
    return [
        bytes([*inputs, targets[-1]]) for inputs, targets in zip(x[actual].tolist(), y[actual].tolist(), strict=True)
    ]


texts = st.dictionaries(st.sampled_from("abcde"), st.binary(max_size=90), min_size=1)


@given(texts, st.integers(1, 12), st.floats(0.05, 0.9))
def test_windows_are_the_text_of_their_owner_in_order(
    actual: dict[str, bytes], context: int, test_share: float
) -> None:
    cuts = {owner: len(text) - int(len(text) * test_share) for owner, text in actual.items()}
    longest = max(cuts.values()), max(len(text) - cuts[owner] for owner, text in actual.items())
    if min(longest) <= context:
        with pytest.raises(WorkloadError, match=rf"context \+ 1 = {context + 1} bytes"):
            make_windows(actual, context, test_share)
        return
    data = make_windows(actual, context, test_share)
    assert torch.equal(data.train_x[:, 1:], data.train_y[:, :-1])
    assert torch.equal(data.test_x[:, 1:], data.test_y[:, :-1])
    assert set(data.owner_names) <= set(actual)
    for owner, text in actual.items():
        for part, piece in (("train", text[: cuts[owner]]), ("test", text[cuts[owner] :])):
            windows = windows_of(data, part, owner) if owner in data.owner_names else []
            assert len(windows) == max(0, (len(piece) - 1) // context)
            assert b"".join(window[:-1] for window in windows) == piece[: len(windows) * context]
            assert all(window == piece[n * context : n * context + context + 1] for n, window in enumerate(windows))


SPEECHES = b"a play\n[ANN]\nGood day.\nHow\n[BOB]\nWell.\r\n[ANN]\nFine.\n"


def test_a_line_that_matches_begins_the_text_of_an_owner() -> None:
    """What is before the first such line is nobody's; a name in another file is another owner."""
    actual = owner_texts({"one.txt": SPEECHES, "two.txt": b"[ANN]\nNo."}, r"^\[(.+)\]$")
    assert actual == {
        "one.txt: ANN": b"Good day.\nHow\nFine.\n",
        "one.txt: BOB": b"Well.\r\n",
        "two.txt: ANN": b"No.",
    }


def test_owners_are_files_or_folders() -> None:
    files = {"ann/1.txt": b"one", "ann/2.txt": b"two", "bob/1.txt": b"three"}
    assert owner_texts(files, "file") == files
    assert owner_texts(files, "folder") == {"ann": b"onetwo", "bob": b"three"}


REFUSED = {
    "flie": "has 0 groups; did you mean 'file'?",
    "(": "is not a regular expression",
    "(a)(b)": "has 2 groups",
    "^(nobody)$": "matches no line of one.txt",
}


@pytest.mark.parametrize(("owners", "message"), REFUSED.items(), ids=REFUSED)
def test_owners_that_match_nothing_are_refused(owners: str, message: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        owner_texts({"one.txt": SPEECHES}, owners)
    assert message.replace("'", '"') in str(caught.value).replace("'", '"')


def test_paths_are_files_folders_or_patterns(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "a/1.txt", "a/1.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    def names(path: str) -> list[str]:
        return [file.name for file in find_files(str(tmp_path / path))]

    assert names("") == ["a/1.txt", "b/1.txt", "b/2.txt"]
    assert names("b") == ["1.txt", "2.txt"]
    assert names("a/1.md") == ["1.md"]
    assert names("*/1.*") == ["a/1.md", "a/1.txt", "b/1.txt"]
    assert names("**/2.txt") == ["b/2.txt"]
    assert read_texts(find_files(str(tmp_path / "b"))) == {"1.txt": b"b/1.txt", "2.txt": b"b/2.txt"}


@pytest.mark.parametrize("path", ["missing", "missing.txt", "*.md", "a[", "x/*/y", "empty"])
def test_a_path_without_files_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkloadError, match=r"expected a file, a folder or a pattern such as plays/\*\*/\*\.md"):
        find_files(str(tmp_path / path))


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError) as caught:
        read_texts([TextFile("a", tmp_path), TextFile("b", tmp_path / "b")])
    assert str(caught.value).splitlines() == [
        f"{tmp_path.as_posix()}: cannot be read: it is no file, but a folder",
        f"{(tmp_path / 'b').as_posix()}: cannot be read: No such file or directory",
    ]


def test_shakespeare_has_the_declared_shapes_and_counts() -> None:
    source = DATASETS["shakespeare"]
    data = source.load(NOWHERE)
    assert data_errors(data, source) == []
    assert (data.task, data.shape, data.classes) == (source.task, source.shape, source.classes) == (
        "next-token", (64,), 256,
    )  # fmt: skip
    assert data.train_owners is not None
    counts = Counter(data.train_owners.tolist())
    (largest, samples), *_ = counts.most_common(1)
    assert data.owner_names[largest] == "hamlet.txt: HAMLET"
    assert samples > 800
    assert sum(count >= 8 for count in counts.values()) > 50
    first = bytes(data.train_x[0].tolist())
    assert first.startswith(b"Who's there?\nLong live the king!")


def test_shakespeares_plays_are_speeches_only() -> None:
    """Plain ASCII: no headings, stage directions, blank lines or marks of Markdown; a role before every speech."""
    files = sorted(FOLDER.glob("*.txt"))
    assert [file.name for file in files] == ["hamlet.txt", "much-ado-about-nothing.txt", "the-tempest.txt"]
    for file in files:
        lines = file.read_bytes().decode("ascii").splitlines()
        assert re.match(SPEECH, lines[0])
        assert all(line.strip() == line != "" and not re.search(r"^#|\*\*|\\", line) for line in lines)
        speeches = [line for line in lines if line.startswith("[")]
        assert all(re.fullmatch(r"\[[A-Za-z' ,.:&-]+\]", line) for line in speeches)
        assert len(speeches) > 600
