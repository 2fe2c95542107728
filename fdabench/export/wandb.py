"""`--to wandb`: offline runs of Weights & Biases, one for each cell, for `wandb sync PATH/wandb/offline-run-*`."""

from pathlib import Path

import wandb

from fdabench.export.curves import curves_of
from fdabench.results.load import Results


def write_wandb(results: Results, path: Path) -> None:
    """Write the folder. Nothing is sent over the network, whatever the value of `WANDB_MODE`.

    Charts named `by_step/...` have steps as their x axis and charts named `by_bytes/...` have bytes. The id of a run is
    the id of its cell, so a second upload does not make a second run.
    """
    path.mkdir(parents=True)
    # this process did not train, so its console, its load and its git revision are not those of the cell
    settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    for curve in curves_of(results):
        run = wandb.init(
            project=results.lock.suite,
            dir=path,
            id=curve.cell_id,
            name=curve.title,
            group=curve.label,
            tags=[curve.state],
            config=dict(curve.settings),
            mode="offline",
            reinit="create_new",
            settings=settings,
        )
        run.define_metric("by_step/*", step_metric="step")
        run.define_metric("by_bytes/*", step_metric="bytes_total")
        for evaluation in curve.evaluations:
            values = {f"{axis}/{name}": v for axis in ("by_step", "by_bytes") for name, v in evaluation.values.items()}
            run.log({"step": evaluation.step, "bytes_total": evaluation.bytes_total, **values})
        run.finish()
    wandb.teardown()  # ends the process that writes the files
