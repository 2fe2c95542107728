"""Defines the columns, types and units of the tables of a run, for the code that writes or reads them and the docs.

A `step` is one local optimizer step by every worker, counted from 1; step 0 is the initial distribution.
Bytes are totals over all workers. Columns `bytes_*` (`runs`, `hits`) follow the convention of the suite. Columns
`paper_bytes_*` (`evals`) always follow the `paper` convention, because a cell may belong to several suites. The bytes
in any convention are computed from `ledger`.
"""

from collections.abc import Callable, Collection, Mapping
from math import inf

import pyarrow as pa

SCHEMA_VERSION = "2"
"""Version 2 renamed keys, columns and tables. Results of version 1 cannot be read or converted."""


def _table(**columns: tuple[pa.DataType, str]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, metadata={"unit": unit}) for name, (kind, unit) in columns.items()])


_TEXT, _INT, _REAL, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

EVALS = _table(
    cell_id=(_TEXT, "first 12 hex digits of SHA-256 of the cell's canonical JSON"),
    step=(_INT, "local steps made by each worker"),
    epoch=(_REAL, "nominal epochs: step * workers * batch_size / training samples"),
    round=(_INT, "syncs + 1, as the paper counts"),
    syncs=(_INT, "model or gradient averagings completed before this evaluation"),
    after_sync=(_FLAG, "whether the sync of this step is counted, as when the model that a sync made is evaluated"),
    paper_bytes_model=(_INT, "bytes, all workers, paper convention: models, the initial one included, and gradients"),
    paper_bytes_state=(_INT, "bytes, all workers, paper convention: local states of the monitor"),
    paper_bytes_optimizer=(_INT, "bytes, all workers, paper convention: averaged optimizer state"),
    paper_bytes_total=(_INT, "bytes, all workers, paper convention, whatever the suite's is"),
    test_accuracy=(
        _REAL,
        "fraction of the test set, or of the validation split; of which model: the suite's eval.model",
    ),
    test_loss=(_REAL, "mean cross-entropy in nats, of the same model"),
    train_loss=(_REAL, "mean cross-entropy in nats of the local steps since the last evaluation"),
    train_accuracy=(_REAL, "fraction, local models on their own batches since the last evaluation"),
    estimate=(
        _REAL,
        "H(S) at this step, the monitor's bound of the model variance; NaN without a monitor",
    ),
    variance=(_REAL, "model variance, squared L2 norm, computed exactly and unmetered"),
    wall_s=(_REAL, "seconds since the cell began (a clock column)"),
)

LEDGER = _table(
    kind=(_TEXT, "initial | model | gradient | control | state | statistics | optimizer | factor"),
    first_step=(_INT, "step of the first collective of this row"),
    last_step=(_INT, "step of the last; the row's collectives are evenly spaced between them"),
    count=(_INT, "collectives in this row"),
    elements=(_INT, "numbers that one worker put into one collective"),
    dtype=(_TEXT, "torch dtype of those numbers"),
    payload_bytes=(_INT, "bytes that one worker put into one collective"),
    operation=(_TEXT, "all_reduce | gather (packed messages, the mean comes back) | all_gather (each receives all)"),
    down_bytes=(_INT, "bytes that one worker received in one collective"),
    slack=(_INT, "local steps until the result was used"),
)

ADDED_COLUMNS: Mapping[str, Mapping[str, Callable[[pa.Table], pa.Array]]] = {
    "payload_bytes": {
        "operation": lambda ledger: pa.repeat("all_reduce", len(ledger)),
        "down_bytes": lambda ledger: ledger["payload_bytes"],
        "slack": lambda ledger: pa.repeat(0, len(ledger)).cast(_INT),
    },
    "variance": {
        "lr": lambda rounds: pa.nulls(len(rounds), _REAL),
        "residual": lambda rounds: pa.nulls(len(rounds), _REAL),
    },
}
"""Columns that earlier files lack, and functions that return their values.

The outer key is a column that identifies the table: `payload_bytes` the ledger, `variance` the rounds. Every collective
in an earlier ledger was an all-reduce.
"""

ROUNDS = _table(
    round=(_INT, "index of the round that this sync ended, from 1"),
    step=(_INT, "local steps made when it synchronized"),
    steps=(_INT, "local steps since the last sync"),
    estimate=(_REAL, "H(S) that ended the round; NaN without a monitor"),
    variance=(_REAL, "model variance just before the sync, squared L2 norm"),
    theta=(_REAL, "threshold that the estimate was compared with, squared L2 norm; NaN without one"),
    lr=(_REAL, "mean learning rate of the local steps since the last sync; NaN where the optimizer has none"),
    residual=(
        _REAL,
        "norm of what a worker's message left out, over the norm of what it should say, mean over the workers; "
        "NaN without error feedback",
    ),
)

TRACE = _table(
    step=(_INT, "local steps made"),
    estimate=(_REAL, "H(S) at this step; about 2,000 evenly spaced steps are kept"),
)

PARTITION = _table(
    worker=(_INT, "index of the worker"),
    label=(_INT, "class"),
    samples=(_INT, "training samples of that class held by that worker"),
)

WIRE = _table(
    step=(_INT, "local steps made when the last collective of this row ended"),
    kind=(
        _TEXT,
        "model | gradient | control | state | statistics | optimizer; evaluation and flags (the agreement on each step "
        "of a user's loop), which the ledger does not count",
    ),
    count=(_INT, "collectives in this row; the local states between two syncs are one row"),
    payload_bytes=(_INT, "bytes that one worker put into one collective"),
    predicted_bytes=(_INT, "bytes over all processes, by the algorithm of the collective, without framing"),
    received_bytes=(_INT, "bytes over all interfaces, by their counters; null if no counter was read"),
    seconds=(_REAL, "seconds in these collectives, of the slowest process (a clock column)"),
)

RUNS = _table(
    cell_id=(_TEXT, "key of the cell's folder"),
    suite=(_TEXT, "name"),
    workload=(_TEXT, "title of the cell's settings except its strategy and seed"),
    workload_id=(_TEXT, "first 12 hex digits of SHA-256 of these settings"),
    dataset=(_TEXT, "name"),
    model=(_TEXT, "name"),
    num_parameters=(_INT, "trainable parameters"),
    workers=(_INT, "workers"),
    batch_size=(_INT, "samples per worker and step"),
    precision=(_TEXT, "number format of matrix products"),
    batchnorm_stats=(_TEXT, "running statistics of batch normalization at a sync: local | averaged"),
    partition=(_TEXT, "kind, with its parameters"),
    alpha=(_REAL, "Dirichlet concentration; infinity for IID; NaN for other partitions"),
    strategy=(_TEXT, "kind"),
    monitor=(_TEXT, "kind, empty without one"),
    server=(_TEXT, "kind of server optimizer"),
    trigger=(_TEXT, "kind, of the strategy rounds and its presets; empty without one"),
    codec=(_TEXT, "kind, empty without one"),
    correction=(_TEXT, "kind, empty without one"),
    theta=(_REAL, "threshold, squared L2 norm; NaN without one"),
    period=(_REAL, "local steps per round of a periodic strategy; NaN otherwise"),
    optimizer=(_TEXT, "kind of local optimizer"),
    lr=(_REAL, "learning rate of the local optimizer"),
    seed=(_INT, "repeat; pairs the strategies"),
    label=(_TEXT, "name of the strategy in plots, with the settings that vary"),
    reference=(_FLAG, "whether the suite compares the others against it"),
    state=(_TEXT, "done | target_reached | diverged | failed | oom | lost | interrupted | pending"),
    steps=(_INT, "local steps made by each worker"),
    syncs=(_INT, "model or gradient averagings in total"),
    bytes_model=(_INT, "bytes, all workers, the suite's convention: models, the initial one included, and gradients"),
    bytes_state=(_INT, "bytes, all workers, the suite's convention"),
    bytes_optimizer=(_INT, "bytes, all workers, the suite's convention"),
    bytes_total=(_INT, "bytes, all workers, the suite's convention"),
    bytes_up=(_INT, "bytes that the workers sent, the suite's convention"),
    bytes_down=(_INT, "bytes that the workers received, the suite's convention"),
    peak_step_bytes=(_INT, "most bytes in one local step, all workers, the suite's convention"),
    final_accuracy=(_REAL, "fraction of the test set, or of the validation split, at the last evaluation"),
    best_accuracy=(_REAL, "fraction of the test set, or of the validation split, at the best evaluation"),
    final_loss=(_REAL, "mean cross-entropy in nats, of the same samples, at the last evaluation"),
    best_loss=(_REAL, "mean cross-entropy in nats, of the same samples, at its best evaluation"),
    wall_s=(_REAL, "seconds (a clock column)"),
    worker_steps_per_s=(_REAL, "local steps of all workers per second (a clock column)"),
)

HITS = _table(
    cell_id=(_TEXT, "key of the cell's folder"),
    target=(_REAL, "value to reach of the suite's metric: an accuracy is a fraction, a loss is in nats"),
    reached=(_FLAG, "whether it was reached within the budget"),
    step=(_INT, "local steps at the evaluation that reached it; null when missed"),
    step_before=(
        _INT,
        "local steps at the evaluation before it; the target was reached between the two; null when missed",
    ),
    syncs=(_INT, "model or gradient averagings completed at that evaluation; null when missed"),
    bytes_model=(_INT, "bytes until that evaluation, the suite's convention; null when missed"),
    bytes_state=(_INT, "bytes until that evaluation, the suite's convention; null when missed"),
    bytes_total=(_INT, "bytes until that evaluation, the suite's convention; null when missed"),
    bytes_up=(_INT, "bytes that the workers sent until that evaluation, the suite's convention; null when missed"),
    bytes_down=(
        _INT,
        "bytes that the workers received until that evaluation, the suite's convention; null when missed",
    ),
    bytes_before=(_INT, "bytes until the evaluation before it, the suite's convention; null when missed"),
)

OPTIONAL_COLUMNS: Mapping[str, pa.Schema] = {
    "evals": _table(
        test_worst_decile=(
            _REAL,
            "mean over the worst tenth of owners of their accuracy, or of their loss in nats; only with "
            "eval.worst_decile",
        ),
    ),
    "runs": _table(
        final_worst_decile=(
            _REAL,
            "mean over the worst tenth of owners of their accuracy, or of their loss in nats, at the last evaluation; "
            "only with eval.worst_decile",
        ),
    ),
}
"""Columns of a table that it has only if the suite asked for them."""


_NOT_NEGATIVE, _FROM_ONE, _FRACTION = (0, inf), (1, inf), (0, 1)
BOUNDS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "evals": {
        "step": _FROM_ONE,
        "round": _FROM_ONE,
        "syncs": _NOT_NEGATIVE,
        "paper_bytes_model": _NOT_NEGATIVE,
        "paper_bytes_state": _NOT_NEGATIVE,
        "paper_bytes_optimizer": _NOT_NEGATIVE,
        "paper_bytes_total": _NOT_NEGATIVE,
        "test_accuracy": _FRACTION,
    },
    "ledger": {
        "first_step": _NOT_NEGATIVE,
        "last_step": _NOT_NEGATIVE,
        "count": _FROM_ONE,
        "elements": _NOT_NEGATIVE,
        "payload_bytes": _NOT_NEGATIVE,
        "down_bytes": _NOT_NEGATIVE,
        "slack": _NOT_NEGATIVE,
    },
    "rounds": {"round": _FROM_ONE, "step": _FROM_ONE, "steps": _NOT_NEGATIVE},
    "trace": {"step": _FROM_ONE},
    "partition": {"worker": _NOT_NEGATIVE, "samples": _NOT_NEGATIVE},
}
"""The lowest and highest value of each column that has one, by table. Such a column has no missing value and no NaN."""
NEVER_EMPTY = ("evals", "ledger")
"""Every cell with a result was evaluated, and sent the initial model."""


def extend_schema(schema: pa.Schema, table: str, columns: Collection[str]) -> pa.Schema:
    """Add those optional columns of a table to its schema that are among `columns`."""
    optional = OPTIONAL_COLUMNS.get(table, pa.schema([]))
    return pa.schema([*schema, *(field for field in optional if field.name in columns)])


CLOCK_COLUMNS = ("wall_s", "worker_steps_per_s")


def other_version(place: object, version: object) -> str:
    """Return the message about results of another schema version.

    Args:
        place: the file.
        version: its version.
    """
    # a line break would begin a line of its own, which a CI system could read as a command
    text = " ".join(str(version).split())
    return (
        f"{place}: results of schema version {text:.60}; this fdabench reads version {SCHEMA_VERSION}. Run the "
        "suite again into another folder (-o), or read these results with the fdabench that wrote them."
    )
