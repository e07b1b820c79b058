"""How long work tells what it is doing, without knowing who listens. Rank 0."""

from typing import Protocol


class Progress(Protocol):
    """Somebody who wants to know. Called from several threads."""

    def step(self, text: str) -> None:
        """A milestone, worth a line of its own."""

    def detail(self, text: str) -> None:
        """What is going on inside a step right now; may be shown for a moment only."""


class Silent:
    """Nobody."""

    def step(self, text: str) -> None:
        pass

    def detail(self, text: str) -> None:
        pass
