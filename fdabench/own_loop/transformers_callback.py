"""`fdabench.sync` in `transformers.Trainer`. Importing this module needs `transformers` and `accelerate`."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fdabench.errors import UsageError
from fdabench.own_loop.session import DisabledSession, SyncSession


class SyncCallback(TrainerCallback):  # type: ignore[misc]
    """Synchronizes the models of a Trainer by a strategy.

        callback = SyncCallback(trainer, partial(sync, strategy="fda", monitor="linear", theta="balanced"))
        trainer.add_callback(callback)
        trainer.train()
        callback.session.save("results/my-run")

    Args:
        trainer: whose model this synchronizes. In several processes the Trainer wraps it in DistributedDataParallel,
            and callbacks are given the model without it.
        make_session: returns a session from a model and its optimizer. It is called when the training starts.
    """

    def __init__(
        self,
        trainer: Trainer,
        make_session: Callable[[nn.Module, torch.optim.Optimizer], SyncSession | DisabledSession],
    ) -> None:
        self._trainer, self._make_session = trainer, make_session
        self._session: SyncSession | DisabledSession | None = None

    @property
    def session(self) -> SyncSession | DisabledSession:
        """The session of the last `train`.

        Raises:
            UsageError: no training has started.
        """
        if self._session is None:
            raise UsageError("SyncCallback: there is no session before the training starts; call trainer.train first")
        return self._session

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        """Make a session and hook the optimizer."""
        self._session = self._make_session(self._trainer.model_wrapped, self._trainer.optimizer)
        self._session.__enter__()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        """Wait for ranks with more steps where the Trainer logs, evaluates or saves: it gathers then."""
        if control.should_log or control.should_evaluate or control.should_save:
            self.session.join()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        self.session.__exit__(None, None, None)
