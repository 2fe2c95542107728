"""The data set `shakespeare`: three plays, which the package contains, so nothing is downloaded.

The owner of a text is the role that speaks it. `shakespeare/SOURCE.md` names the source of the files.
"""

from pathlib import Path

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.datasets.text import VOCABULARY, find_files, make_windows, owner_texts, read_texts

SPEECH = r"^\[(.+)\]$"
"""Matches the line before a speech; the group is the name of the role."""
FOLDER = Path(__file__).parent / "shakespeare"
CONTEXT, TEST_SHARE = 64, 0.1


def load(root: Path) -> DatasetTensors:
    """Load the plays. Tokens are bytes, and the last tenth of the text of each role is the test set.

    Args:
        root: the data folder; not used.
    """
    texts = read_texts(find_files(str(FOLDER)))
    return make_windows(owner_texts(texts, SPEECH), CONTEXT, TEST_SHARE)


def _locate(root: Path) -> str:
    return "comes with fdabench"


SHAKESPEARE = DatasetSpec(
    load,
    4878,
    (CONTEXT,),
    VOCABULARY,
    "Hamlet, Much Ado About Nothing and The Tempest by role; bytes as tokens, no download",
    ComponentInfo(name="Shakespeare", references=("caldas2018",)),
    _locate,
    "next-token",
    test_samples=506,
    has_owners=True,
)
