"""Invalid codecs and error feedback are refused with the key of the suite and the remedy."""

from pathlib import Path

import pytest

from fdabench.errors import SuiteError
from fdabench.suite.reader import read_suite
from support.suites import digits_suite


def refusal(folder: Path, keys: str) -> str:
    """The message on a suite whose strategy has these keys."""
    path = folder / "suite.toml"
    path.write_text(digits_suite([f'kind = "fedavg"\nlocal_steps = 2\n{keys}'], steps=4, every_steps=2))
    with pytest.raises(SuiteError) as raised:
        read_suite(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("keys", "expected_message"),
    [
        ('codec = "sign"', "Sign is biased and does not converge alone; add feedback = 1.0"),
        ("feedback = 1.0", "there is no codec whose losses it could make up for; remove it or add a codec"),
        ('codec = "bf16"\nfeedback = 0.0', "strategy.0.feedback: "),
        ('codec = "bf16"\nfeedback = 1.1', "strategy.0.feedback: "),
        ('codec = { kind = "topk", share = 0 }', "strategy.0.codec.share: "),
        ('codec = { kind = "topk", share = 1.5 }', "strategy.0.codec.share: "),
        ('codec = { kind = "topk", share = 0.1, reply = "recode" }', "strategy.0.codec.reply: "),
        ('codec = { kind = "randk", share = 0.0 }', "strategy.0.codec.share: "),
        ('codec = { kind = "qsgd", levels = 0 }', "strategy.0.codec.levels: "),
        ('codec = { kind = "qsgd", levels = 2000000 }', "strategy.0.codec.levels: "),
        ('codec = { kind = "int8", chunk = 0 }', "strategy.0.codec.chunk: "),
        (
            'codec = { kind = "chunk-topk", top = 65, chunk = 64 }',
            "top: 65 numbers of a chunk of 64; it is at most chunk",
        ),
        ('codec = "powersgd"', "PowerSGD is biased and does not converge alone; add feedback = 1.0"),
        ('codec = { kind = "powersgd", reply = "recode" }\nfeedback = 1.0', '"recode" is for messages that are packed'),
        ('codec = { kind = "powersgd", rank = 0 }\nfeedback = 1.0', "strategy.0.codec.rank: "),
        ('codec = "int9"', 'did you mean "int8"'),
    ],
)
def test_an_invalid_combination_is_refused(keys: str, expected_message: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, keys)
    assert "suite.toml:" in message
    assert expected_message in message


def test_a_grid_crosses_codecs_with_feedback(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    keys = 'codec = ["bf16", { kind = "topk", share = [0.01, 0.1] }]\nfeedback = [0.9, 1.0]'
    path.write_text(digits_suite([f'kind = "fedavg"\nlocal_steps = 2\n{keys}'], steps=4, every_steps=2))
    labels = [cell.label for cell in read_suite(path).cells]
    assert len(labels) == len(set(labels)) == 6
