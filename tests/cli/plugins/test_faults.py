"""A plug-in that cannot be used is the user's fault: the message names its file and line."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.own_plugin import MINE, refused
from support.suites import replace_text

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]


FAULTS: dict[str, tuple[str, str, str]] = {
    "raises": ("STRATEGIES =", "1 / 0\nSTRATEGIES =", "mine.py:24: ZeroDivisionError: division by zero"),
    "no Python": ("class Doubling:", "class Doubling", "mine.py:10: SyntaxError: expected ':'"),
    "nul": ("class Doubling:", "\0", "mine.py"),
    "exits": ("STRATEGIES =", "exit(0)\nSTRATEGIES =", "mine.py:24: SystemExit: 0"),
    "import": ("from dataclasses", "import nowhere\nfrom dataclasses", "mine.py:4: ModuleNotFoundError: "),
    "nothing": ("STRATEGIES =", "STRATEGY =", "mine.py:1: adds nothing: expected STRATEGIES = {\"name\": Class}"),
    "near": ("STRATEGIES =", "STRATEGY =", 'did you mean "STRATEGIES"?'),
    "no dict": ('{"doubling": Doubling}', "[Doubling]", "mine.py:24: STRATEGIES must be a dict"),
    "no class": ('": Doubling}', '": Doubling(2)}', "a strategy is a frozen dataclass; a Doubling is none"),
    "no dataclass": ("@dataclass(frozen=True)", "", "a strategy is a frozen dataclass; Doubling is none"),
    "not frozen": ("(frozen=True)", "", "STRATEGIES['doubling']: Doubling is a dataclass that is not frozen"),
    "no step": ("def step(", "def stepp(", "Doubling lacks step(self, ctx: fdabench.core.strategy.StepContext"),
    "no init": ("def init(", "def start(", "Doubling lacks init(self, w_D: torch.Tensor)"),
    "other step": ("def step(self, ctx, ", "def step(self, ", "Doubling.step(self, r, channel) should be step("),
    "built in": ('"doubling"', '"fda"', "mine.py:24: 'fda' is taken: of the strategies, 'fda' is built in"),
    "other case": ('"doubling"', '"FedAvg"', "mine.py:24: 'FedAvg' is taken: of the strategies, 'fedavg' is built in"),
    "name": ('"doubling"', '"../doubling"', "a name has only letters, digits"),
    "long name": ('"doubling"', '"a" * 5000', "at most 64"),
    "number for a name": ('"doubling"', "3", "a name has only letters, digits"),
    "own name": ("first: Count", "name: str", "mine.py:24: doubling: the field 'name' is a key that the suite's table"),
    "tensor": ("first: Count", "first: StepResult", "the field 'first': a suite can give numbers, strings"),
    "annotation": ("first: Count", "first: 'Cuont'", "mine.py:24: doubling: name 'Cuont' is not defined"),
    "theta": ("first: Count", "theta: str", "the field 'theta': results take it for a number"),
    "monitor": ("first: Count", "monitor: str", "the field 'monitor': results take it for a component"),
    "list": ("first: Count", "first: list[int]", "the field 'first': a suite can give numbers, strings"),
    "private": ("first: Count", "_first: int", "mine.py:24: doubling: "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected_message"), FAULTS.values(), ids=FAULTS)
def test_a_plugin_that_cannot_be_used_is_the_users_fault_with_file_and_line(
    own: InProcess, old: str, new: str, expected_message: str
) -> None:
    replace_text("mine.py", old, new)
    message = refused(own)
    assert message.startswith("fdabench: own.toml: ")
    assert "plugins.0: mine.py" in message
    assert expected_message in message


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ('["nowhere.py"]', "plugins.0: 'nowhere.py': there is no such file"),
        ('["mine.py", "sub"]', "plugins.1: 'sub': expected the path of a Python file"),
        ('["https://example.org/mine.py"]', "expected the path of a Python file"),
        ('["file:///mine.py"]', "expected the path of a Python file"),
        ('["folder.py"]', "plugins.0: 'folder.py': there is no such file"),
        ('["a\\u0000.py"]', "expected the path of a Python file"),
        ('["' + "a" * 5000 + '.py"]', "cannot be read: File name too long"),
        ('["/dev/zero"]', "expected the path of a Python file"),
        ('["zero.py"]', "plugins.0: 'zero.py': there is no such file"),
        ('["huge.py"]', "larger than 1,000,000 bytes"),
        ('"mine.py"', 'plugins: expected a list, found "mine.py"'),
        ("[3]", "plugins.0: expected a string, found 3"),
    ],
)
def test_a_file_that_is_not_a_plugin_is_refused(own: InProcess, plugins: str, message: str) -> None:
    Path("folder.py").mkdir()
    Path("zero.py").symlink_to("/dev/zero")
    Path("huge.py").write_text("#" * 1_000_001)
    replace_text("own.toml", '["mine.py"]', plugins)
    assert message in refused(own)


SEVERAL = """

@dataclass
class Thawed(Doubling):
    pass


@dataclass(frozen=True)
class Listed(Doubling):
    values: list[int] = ()


STRATEGIES |= {"thawed": Thawed, "../x": Doubling, "fda": Doubling, "listed": Listed}
SERVERS = {"halves": 3}
"""


def test_all_errors_of_a_plugin_are_reported_at_once(own: InProcess) -> None:
    """What is declared wrongly, names that are taken, and fields that no suite can give."""
    with Path("mine.py").open("a") as file:
        file.write(SEVERAL.replace("@dataclass\nclass Thawed(Doubling)", "@dataclass\nclass Thawed"))
    output = refused(own)
    wanted = [
        "STRATEGIES['thawed']: Thawed is a dataclass that is not frozen: write @dataclass(frozen=True)",
        "STRATEGIES['thawed']: Thawed lacks init(",
        "STRATEGIES['thawed']: Thawed lacks step(",
        "STRATEGIES['../x']: a name has only letters",
        "SERVERS['halves']: a server is a frozen dataclass; a int is none",
        "'fda' is taken: of the strategies, 'fda' is built in",
        "listed: the field 'values'",
    ]
    assert [text for text in wanted if text not in output] == []
    assert len(output.splitlines()) == 1 + len(wanted), output


def test_two_plugins_with_one_name_are_refused_with_both_places(own: InProcess) -> None:
    Path("sub").mkdir()
    Path("sub/other.py").write_text(MINE)
    replace_text("own.toml", '["mine.py"]', '["mine.py", "sub/other.py"]')
    text = refused(own)
    assert (
        "plugins.1: sub/other.py:24: 'doubling' is taken: of the strategies, 'doubling' is added by mine.py:24" in text
    )
    shutil.move("sub/other.py", "sub/mine.py")
    replace_text("own.toml", "sub/other.py", "sub/mine.py")
    assert "another plug-in mine.py is mine.py: rename one of them" in refused(own)


def test_errors_in_a_plugin_components_table_are_reported_like_any_other(own: InProcess) -> None:
    replace_text("own.toml", "first = 2", "frist = 2")
    output = refused(own)
    allowed = "kind, first, name, reference, optimizer"
    assert f'unknown key: doubling takes no frist; allowed: {allowed}; did you mean "first"?' in output
    assert "strategy.1: first is missing; doubling needs it" in output
    replace_text("own.toml", "frist = 2", "first = 0")
    assert "strategy.1.first: 0 is out of range: it must be at least 1" in refused(own)
    replace_text("mine.py", "    def init", "    def __post_init__(self):\n        {}['no']\n\n    def init")
    replace_text("own.toml", "first = 0", "first = 1")
    assert "strategy.1: Doubling refuses it: KeyError: 'no'" in refused(own)
