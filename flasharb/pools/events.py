"""How a pool follows the logs of its protocol.

The feed hands a log over undecoded, because only the protocol knows what it means. A rule says which log it is for and
what the pool is afterwards. A log that cannot give the new state exactly raises ``StateUnknown``: the market then gives
the pool up and loads it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from eth_hash.auto import keccak

from flasharb.pools.contract import Pool
from flasharb.units import Address


class Log(Protocol):
    """A log as the feed hands it over. ``pool`` is the market's key, or the contract that the pool listens to."""

    @property
    def pool(self) -> Address:
        """Who it is about."""
        ...

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The signature's hash first."""
        ...

    @property
    def data(self) -> bytes:
        """The arguments that are not indexed."""
        ...


class StateUnknown(Exception):
    """The log changes the pool in a way that it does not tell; the message says which."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do about one kind of log.

    A log whose ``pool_topic`` names the pool is believed only if one of the protocol's ``sources`` emitted it.

    ``signature`` as Solidity writes it: ``TokenExchange(address,int128,uint256,int128,uint256)``; ``indexed`` of its
    arguments are topics, ``words`` words of 32 bytes are data (None: any number). ``pool_topic``: the topic whose
    first 20 bytes are the pool's key (0: the emitter is the pool). ``apply`` gives the pool after the log.
    """

    signature: str
    indexed: int
    words: int | None
    apply: Callable[[Any, Log], Pool]
    pool_topic: int = 0

    @property
    def topic(self) -> bytes:
        """The first topic of such logs."""
        return keccak(self.signature.encode())

    def fits(self, log: Log) -> bool:
        """Whether the log has this rule's shape."""
        return len(log.topics) == 1 + self.indexed and self.words in (None, len(log.data) // 32)


def rules(*given: Rule) -> Mapping[bytes, Rule]:
    """Rules by topic."""
    return MappingProxyType({rule.topic: rule for rule in given})


def word(log: Log, index: int) -> int:
    """A word of the log's data as an unsigned number."""
    return int.from_bytes(log.data[32 * index : 32 * index + 32], "big")


def reload(reason: str) -> Callable[[Any, Log], Pool]:
    """A rule's ``apply`` for logs after which the state must be loaded anew."""

    def apply(_pool: Pool, _log: Log) -> Pool:
        raise StateUnknown(reason)

    return apply


def topics_of(all_rules: Iterable[Mapping[bytes, Rule]]) -> dict[bytes, int]:
    """Each topic that some protocol follows, and which topic of such a log names the pool."""
    return {topic: rule.pool_topic for one in all_rules for topic, rule in one.items()}
