"""Three plays by Shakespeare, which are part of the package: small real text with owners, without a download.

The owner of a text is the role that speaks it. `shakespeare/SOURCE.md` says where the files come from.
"""

from pathlib import Path

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.datasets.text import VOCABULARY, find_files, make_windows, owner_texts, read_texts

SPEECH = r"^\[(.+)\]$"
"""The line before a speech, with the name of the role."""
FOLDER = Path(__file__).parent / "shakespeare"
CONTEXT, TEST_SHARE = 64, 0.1


def load(root: Path) -> DatasetTensors:
    """Load the plays; bytes are tokens, and the last tenth of what each role says is the test set.

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
