"""Running an async command: what leaves its nurseries as a group reaches the shell as one error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

from flasharb.errors import FlasharbError

T = TypeVar("T")


def run(main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """``trio.run``, raising the first known error of a group by itself.

    Raises:
        FlasharbError: whatever ``main`` raised.
    """
    failure: FlasharbError | None = None
    try:
        return trio.run(main, *args)
    except* FlasharbError as group:
        # An exception raised in here would leave inside a group again.
        failure = first(group)
    raise failure


def first(group: BaseExceptionGroup[FlasharbError]) -> FlasharbError:
    """The first error of a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, FlasharbError)
    return error
