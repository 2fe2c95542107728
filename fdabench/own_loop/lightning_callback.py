"""`fdabench.sync` in a Lightning Trainer. Importing this module needs the package `lightning`."""

from typing import ClassVar

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from fdabench.errors import UsageError
from fdabench.own_loop.callback_session import CallbackSession


class SyncCallback(CallbackSession, Callback):  # type: ignore[misc]
    """Synchronizes the models of a Lightning Trainer by a strategy.

        callback = SyncCallback(partial(sync, strategy="fda", monitor="linear", theta="balanced"))
        Trainer(strategy="ddp", callbacks=[callback]).fit(model, loader)
        callback.session.save("results/my-run")

    Args:
        make_session: returns a session from a model and its optimizer. It is called when the training starts.
    """

    training_call: ClassVar[str] = "trainer.fit"

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
        self._enter_session(session)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ranks with more steps: the validation has collectives of its own."""
        if self._session is not None and trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._session.join()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.session.__exit__(None, None, None)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._session is not None:
            self._session.__exit__(type(exception), exception, exception.__traceback__)
