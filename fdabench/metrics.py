"""The metrics by which a suite judges models: how each is computed, which direction is better, and how it is written.

`eval.metric` of a suite names one. Everything that compares two values, or a value with a target, takes the direction
from `Metric.score`, which is greater for a better model.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fdabench.cell_config import MetricName
from fdabench.formatting import DASH, format_percent, format_significant, format_target

if TYPE_CHECKING:
    # `fdabench status` reads metrics and must not import pandas, which takes half a second
    import pandas as pd

Values = TypeVar("Values", float, "pd.Series[float]", npt.NDArray[np.float64])


@dataclass(frozen=True)
class Metric:
    """A quality of a model that is computed from an evaluation.

    Args:
        name: its key in a suite.
        title: its name in tables, figures and sentences.
        unit: of its values and targets; empty for a number without one. Accuracies are fractions in 0..1 in files, and
            written in percent.
        higher_is_better: the direction.
        source: what it is computed from, the suffix of the columns of the results: "accuracy", or "loss" in nats.
        lowest, highest: targets lie above `lowest`, and at or below `highest`.
    """

    name: MetricName
    title: str
    unit: str
    higher_is_better: bool
    source: Literal["accuracy", "loss"]
    lowest: float = 0.0
    highest: float = math.inf

    def convert(self, values: Values) -> Values:
        """Compute the metric from values of its source: loss / ln 2 for bits per byte, exp(loss) for perplexity."""
        if self.name == "bits_per_byte":
            return values / math.log(2)
        if self.name == "perplexity":
            # The loss of a diverged model may be too large; the perplexity is infinite then.
            with np.errstate(over="ignore"):
                return cast(Values, np.exp(values))
        return values

    def of(self, table: "pd.DataFrame", prefix: str) -> "pd.Series[float]":
        """Return the metric of each row.

        Args:
            table: evaluations (`prefix` "test" or "train") or runs (`prefix` "final" or "best").
            prefix: of the column that it is computed from, as in `test_loss`.
        """
        return self.convert(table[f"{prefix}_{self.source}"].astype(float))

    def score(self, values: Values) -> Values:
        """Return the values with a sign by which greater is better."""
        return values if self.higher_is_better else -values

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is better than `other`; false if one is NaN."""
        return bool(self.score(value) > self.score(other))

    def reached(self, values: "pd.Series[float]", target: float, comparison: str) -> "pd.Series[bool]":
        """Return which values reach the target.

        Args:
            values: in the metric's unit. NaN reaches no target.
            target: in the same unit.
            comparison: ">=" counts a value that is equal to the target, ">" only better ones. Both read in the
                direction of the metric: for a loss they mean <= and <.
        """
        scores, threshold = self.score(values), self.score(target)
        return scores > threshold if comparison == ">" else scores >= threshold

    def best(self, values: Iterable[float], default: float = math.nan) -> float:
        """Return the best value, of targets the hardest one; `default` if there is none."""
        return max(values, key=self.score, default=default)

    def easiest_first(self, targets: Iterable[float]) -> list[float]:
        """Sort targets by how hard they are to reach."""
        return sorted(targets, key=self.score)

    def margin(self, before: Values, after: Values) -> Values:
        """Return how much worse `after` is than `before`, in the metric's unit; negative if it is better."""
        return self.score(before) - self.score(after)

    @property
    def label(self) -> str:
        """The title with the unit, for an axis: `test loss, nats`."""
        return f"test {self.title}, {self.unit}" if self.unit and self.unit != self.title else f"test {self.title}"

    @property
    def hardest(self) -> str:
        """The word for the hardest of several targets: "highest" or "lowest"."""
        return "highest" if self.higher_is_better else "lowest"

    @property
    def easiest(self) -> str:
        """The word for the easiest of several targets."""
        return "lowest" if self.higher_is_better else "highest"

    @property
    def worse_side(self) -> str:
        """Where worse values lie: "below" or "above" another value."""
        return "below" if self.higher_is_better else "above"

    @property
    def better_side(self) -> str:
        """Where better values lie: "above" or "below" another value."""
        return "above" if self.higher_is_better else "below"

    def format(self, value: float, decimals: int = 1) -> str:
        """Write a value with its unit.

        Args:
            value: in the metric's unit.
            decimals: of a percentage. Other values have two significant digits more than this number.

        >>> METRICS["accuracy"].format(0.985), METRICS["loss"].format(2.0873), METRICS["perplexity"].format(8.06)
        ('98.5 %', '2.09 nats', '8.06')
        """
        if not math.isfinite(value):
            return DASH
        if self.name == "accuracy":
            return format_percent(value, decimals)
        return self._with_unit(format_significant(value, decimals + 2))

    def format_spread(self, mean: float, deviation: float) -> str:
        """Write a mean and a standard deviation, which is left out if it is NaN.

        >>> METRICS["accuracy"].format_spread(0.912, 0.003), METRICS["loss"].format_spread(2.0873, math.nan)
        ('91.20 ± 0.30 %', '2.087 nats')
        """
        if not math.isfinite(mean):
            return DASH
        if self.name == "accuracy":
            spread = f" ± {100 * deviation:.2f}" if math.isfinite(deviation) else ""
            return f"{100 * mean:.2f}{spread} %"
        spread = f" ± {format_significant(deviation, 2)}" if math.isfinite(deviation) else ""
        return self._with_unit(f"{format_significant(mean, 4)}{spread}")

    def format_target(self, target: float) -> str:
        """Write a target with as many digits as it has, so that it can be read alone.

        >>> [METRICS[name].format_target(3.5) for name in ("loss", "bits_per_byte", "perplexity")]
        ['3.5 nats', '3.5 bits per byte', 'perplexity 3.5']
        """
        if self.name == "accuracy":
            return format_target(target)
        return self._with_unit(f"{target:.10g}") if self.unit else f"{self.title} {target:.10g}"

    def _with_unit(self, text: str) -> str:
        return f"{text} {self.unit}" if self.unit else text


ACCURACY = Metric("accuracy", "accuracy", "%", True, "accuracy", highest=1.0)
LOSS = Metric("loss", "loss", "nats", False, "loss")
METRICS: dict[str, Metric] = {
    "accuracy": ACCURACY,
    "loss": LOSS,
    "bits_per_byte": Metric("bits_per_byte", "bits per byte", "bits per byte", False, "loss"),
    "perplexity": Metric("perplexity", "perplexity", "", False, "loss", lowest=1.0),
}
