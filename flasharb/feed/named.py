"""Pools that bus messages name, with their tokens: a claim that somebody else has to vouch for."""

from __future__ import annotations

from flasharb.feed.events import PoolNamed
from flasharb.feed.messages import Message
from flasharb.feed.records import PoolState, PoolSwap, PoolSync
from flasharb.units import Address


def named(message: Message) -> PoolNamed | None:
    """The pool that a message is about, where the message names its tokens as well."""
    match message:
        case PoolSync() | PoolState():
            tokens = message.token0, message.token1
        case PoolSwap():
            tokens = message.token_in, message.token_out
        case _:
            return None
    return PoolNamed(Address(message.pool), (Address(min(tokens)), Address(max(tokens))))
