"""`fdabench.sync` in a Lightning Trainer. Importing this module needs the package `lightning`."""

from collections.abc import Callable

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from fdabench.errors import UsageError
from fdabench.own_loop.session import DisabledSession, SyncSession


class SyncCallback(Callback):  # type: ignore[misc]
    """Synchronizes the models of a Lightning Trainer by a strategy.

        callback = SyncCallback(partial(sync, strategy="fda", monitor="linear", theta="balanced"))
        Trainer(strategy="ddp", callbacks=[callback]).fit(model, loader)
        callback.session.save("results/my-run")

    Args:
        make_session: returns a session from a model and its optimizer. It is called when the training starts.
    """

    def __init__(
        self, make_session: Callable[[nn.Module, torch.optim.Optimizer], SyncSession | DisabledSession]
    ) -> None:
        self._make_session = make_session
        self._session: SyncSession | DisabledSession | None = None

    @property
    def session(self) -> SyncSession | DisabledSession:
        """The session of the last `fit`.

        Raises:
            UsageError: no training has started.
        """
        if self._session is None:
            raise UsageError("SyncCallback: there is no session before the training starts; call trainer.fit first")
        return self._session

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make a session and hook the optimizer.

        Raises:
            UsageError: the module has several optimizers, or Lightning computes gradients where the strategy would
                have corrected them already.
        """
        if len(trainer.optimizers) != 1:
            raise UsageError(
                f"SyncCallback: the module has {len(trainer.optimizers)} optimizers, and a session has one; return one "
                "from configure_optimizers"
            )
        model = trainer.strategy.model
        session = self._make_session(pl_module if model is None else model, trainer.optimizers[0])
        if session.corrects_gradients and pl_module.automatic_optimization:
            raise UsageError(
                "SyncCallback: Lightning computes gradients within optimizer.step, after the strategy would correct "
                "them; set automatic_optimization = False in the LightningModule, or take a strategy that does not "
                "correct gradients, such as fda or fedavg"
            )
        self._session = session
        session.__enter__()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ranks with more steps: the validation has collectives of its own."""
        if self._session is not None and trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._session.join()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.session.__exit__(None, None, None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._session is not None:
            self._session.__exit__(type(exception), exception, exception.__traceback__)
