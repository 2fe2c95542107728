"""A number of the study with its intervals, and the tables of such numbers; `answers.py` computes and writes them."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with the two intervals of the study; an end is NaN if the data leave it open.

    Args:
        mean: the estimate or, with a bound, the bound.
        low, high: ends of the 95 % interval.
        clear_low, clear_high: ends of the Bonferroni interval.
        bound: "≥" or "≤" if misses leave the other end open, else "".
        pairs: how many pairs of the same workload and seed.
    """

    mean: float
    low: float
    high: float
    clear_low: float
    clear_high: float
    bound: str
    pairs: int

    def verdict(self, none: float) -> str:
        """Return "clear" or "likely" if an interval excludes the value of no difference, else "open"."""
        if _excludes(self.clear_low, self.clear_high, none, self.bound):
            return "clear"
        return "likely" if _excludes(self.low, self.high, none, self.bound) else "open"


def _excludes(low: float, high: float, value: float, bound: str) -> bool:
    if bound:
        return low > value if bound == "≥" else high < value
    return low > value or high < value


@dataclass(frozen=True)
class Answer:
    """One number of the study.

    Args:
        question: 1 to 8, as in README.md.
        number: what was measured, such as "bytes to 0.55, LinearFDA / FedAvg".
        where: the workloads that the number is a mean over: "all", those of a suite, or a single one, which has a name
            such as "study-cifar10: cifar10 cnn, K=8, b=32, iid".
        unit: "ratio", or the unit of a difference or a share.
        value: the estimate with its intervals.
    """

    question: int
    number: str
    where: str
    unit: str
    value: Interval

    @property
    def verdict(self) -> str:
        """Whether the number differs from "no difference"; "" for a share, which answers no such question."""
        if self.unit == "share":
            return ""
        return self.value.verdict(1.0 if self.unit == "ratio" else 0.0)


def record_of(answer: Answer) -> dict[str, object]:
    """Return a row of the CSV files."""
    value = answer.value
    return {
        "question": answer.question,
        "number": answer.number,
        "where": answer.where,
        "unit": answer.unit,
        "bound": value.bound,
        "mean": value.mean,
        "low": value.low,
        "high": value.high,
        "clear_low": value.clear_low,
        "clear_high": value.clear_high,
        "pairs": value.pairs,
        "verdict": answer.verdict,
    }


def markdown(rows: Sequence[Answer]) -> str:
    """Return two Markdown tables: the answers with 95 % intervals, and the first methods of each workload.

    Of question 8 the first table has the numbers over all workloads.
    """
    shown = [item for item in rows if item.question != 8 or item.where == "all"]
    return "\n".join([_answers(shown), *_winners(rows)])


def _answers(rows: Iterable[Answer]) -> str:
    lines = ["| question | number | where | estimate [95 %] | pairs | verdict |", "|--:|---|---|--:|--:|---|"]
    for item in rows:
        value = item.value
        ends = "" if value.bound or math.isnan(value.low) else f" [{value.low:.3g}, {value.high:.3g}]"
        bound = f"{value.bound} " if value.bound else ""
        unit = "" if item.unit in ("ratio", "tau") else f" {item.unit}"
        lines.append(
            f"| {item.question} | {item.number} | {item.where} | {bound}{value.mean:.3g}{unit}{ends} "
            f"| {value.pairs} | {item.verdict} |"
        )
    return "\n".join(lines) + "\n"


def _winners(rows: Sequence[Answer]) -> Iterator[str]:
    """Yield the table of the three methods of the fewest bytes of each workload, in each convention."""
    winners: dict[tuple[str, str], list[str]] = {}
    for item in rows:
        name = re.fullmatch(r"bytes to the target \((.+)\), (.+) / DDP", item.number)
        if name and ": " in item.where and not item.value.bound:
            winners.setdefault((item.where, name[1]), []).append(f"{name[2]} {item.value.mean:.3g}")
    if winners:
        yield "## The fewest bytes to the target\n"
        yield "Bytes relative to DDP, of the methods that need no bound.\n"
        yield "| workload | convention | first | second | third |\n|---|---|---|---|---|"
        for (where, convention), methods in winners.items():
            yield f"| {where} | {convention} | {' | '.join([*methods[:3], *['—'] * (3 - len(methods))])} |"
        yield ""
