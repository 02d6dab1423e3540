"""Stdout of a service: a reader that goes away ends the run in order, a full disk ends it by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TextIO

from flasharb.errors import OutsideError


class Output:
    """Writes text at once; after the reader has gone away everything is dropped."""

    def __init__(self, stream: TextIO | None, gone: Callable[[], None]) -> None:
        """``gone`` is called once, when nobody reads any more (``… | head``). No stream: stdout was closed."""
        self._stream = stream
        self._gone = gone

    def write(self, text: str) -> None:
        """Write and flush.

        Raises:
            OutsideError: it cannot be written, and not because its reader ended.
        """
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            # What is still in the buffer would fail again, at the interpreter's end, where nobody can catch it.
            _discard(self._stream)
            self._stream = None
            if not isinstance(error, BrokenPipeError):
                raise OutsideError(f"cannot write to stdout: {error.strerror}") from None
            self._gone()


def _discard(stream: TextIO) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
