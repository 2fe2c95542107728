"""The figures of a report, in the order in which the report shows them. `report.build` draws each of `PLOTS`."""

from fdabench.report.figures.accuracy import BYTES, STEPS
from fdabench.report.figures.attainment import ATTAINMENT
from fdabench.report.figures.barrier import BARRIER, JITTER
from fdabench.report.figures.cost import COST
from fdabench.report.figures.crossover import CROSSOVER
from fdabench.report.figures.estimate import ESTIMATE
from fdabench.report.figures.heterogeneity import HETEROGENEITY
from fdabench.report.figures.pareto import PARETO
from fdabench.report.figures.partitions import PARTITIONS
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.profile import PROFILE
from fdabench.report.figures.published import PUBLISHED
from fdabench.report.figures.round_length import ROUND_LENGTH
from fdabench.report.figures.scaling import SCALING
from fdabench.report.figures.sweep import SWEEP
from fdabench.report.figures.sync_series import RESIDUALS, THETA
from fdabench.report.figures.timeline import TIMELINE

PLOTS: tuple[FigureSpec, ...] = (
    PARETO,
    PUBLISHED,
    COST,
    PROFILE,
    ATTAINMENT,
    BYTES,
    STEPS,
    SWEEP,
    HETEROGENEITY,
    SCALING,
    CROSSOVER,
    BARRIER,
    JITTER,
    TIMELINE,
    ESTIMATE,
    ROUND_LENGTH,
    THETA,
    RESIDUALS,
    PARTITIONS,
)
