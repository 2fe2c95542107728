"""What the callbacks of Lightning and of transformers share: the session of the last training."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn

from fdabench.errors import UsageError
from fdabench.own_loop.session import DisabledSession, SyncSession

MakeSession = Callable[[nn.Module, torch.optim.Optimizer], SyncSession | DisabledSession]
"""Returns a session from a model and its optimizer, as `functools.partial(sync, strategy="fda", ...)` does."""


class CallbackSession:
    """Base class of the callbacks: makes a session when a training starts.

    Args:
        make_session: is called when the training starts.
    """

    training_call: ClassVar[str]
    """The call that starts a training, for messages."""

    def __init__(self, make_session: MakeSession) -> None:
        self._make_session = make_session
        self._session: SyncSession | DisabledSession | None = None

    @property
    def session(self) -> SyncSession | DisabledSession:
        """The session of the last training.

        Raises:
            UsageError: no training has started.
        """
        if self._session is None:
            raise UsageError(
                f"SyncCallback: there is no session before the training starts; call {self.training_call} first"
            )
        return self._session

    def _enter_session(self, session: SyncSession | DisabledSession) -> None:
        self._session = session
        session.__enter__()
