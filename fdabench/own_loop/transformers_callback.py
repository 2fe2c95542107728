"""`fdabench.sync` in `transformers.Trainer`. Importing this module needs `transformers` and `accelerate`."""

from typing import ClassVar

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fdabench.own_loop.callback_session import CallbackSession, MakeSession


class SyncCallback(CallbackSession, TrainerCallback):  # type: ignore[misc]
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

    training_call: ClassVar[str] = "trainer.train"

    def __init__(self, trainer: Trainer, make_session: MakeSession) -> None:
        super().__init__(make_session)
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        """Make a session and hook the optimizer."""
        self._enter_session(self._make_session(self._trainer.model_wrapped, self._trainer.optimizer))

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
