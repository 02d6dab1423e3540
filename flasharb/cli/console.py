"""The console of the verbs: rich's, except that a reader who goes away (``… | head``) is no failure."""

from __future__ import annotations

from rich.console import Console as RichConsole


class Console(RichConsole):
    """Lets ``BrokenPipeError`` out to ``main``, which ends with exit code 0; rich would exit with 1 by itself."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
