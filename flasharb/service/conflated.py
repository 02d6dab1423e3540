"""A channel of one place in which a newer value is merged into the unread one instead of queueing behind it.

The writer never waits and the reader never sees a backlog: a detector that is busy while three blocks pass wakes up to
one value, the newest, with the touched pools of all three. This is what keeps a slow consumer bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Conflated(Generic[T]):
    """Carries the newest value from one writer to one reader."""

    def __init__(self, merge: Callable[[T, T], T]) -> None:
        """``merge(unread, newer)`` gives the value that stands for both."""
        self._merge = merge
        self._unread: list[T] = []
        # One place is enough: a second wake-up is only sent after the first value has been read.
        self._wake, self._woken = trio.open_memory_channel[None](1)
        self.merged = 0
        """How often a value was merged into an unread one (a measure of how far the reader is behind)."""

    def put(self, value: T) -> None:
        """Offer a value; returns at once."""
        if self._unread:
            self._unread[0] = self._merge(self._unread[0], value)
            self.merged += 1
        else:
            self._wake.send_nowait(None)
            self._unread.append(value)

    def close(self) -> None:
        """No more values; the reader still gets an unread one, then its loop ends."""
        self._wake.close()

    def __aiter__(self) -> Conflated[T]:
        return self

    async def __anext__(self) -> T:
        try:
            await self._woken.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return self._unread.pop()
