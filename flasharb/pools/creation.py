"""How a factory's log tells of a new pool: one hook a protocol, so that discovery knows none of them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.units import Address

Told: TypeAlias = PoolSpec | Refused | None
"""What a contract turned out to be: a pool, one that must not be traded, or (None) none whose code is known."""
Ask: TypeAlias = Callable[[Mapping[int, int], Elsewhere], Told | Needs]
"""From the contract's slots and what is known elsewhere to the pool, or to what must be known to say so."""
AskAbout: TypeAlias = Callable[[Address, Mapping[int, int], Elsewhere], Told | Needs]
"""The same for any address (``Protocol.identify``)."""

POOL_COUNT: Final = keccak(b"pool_count()")[:4]
POOL_LIST: Final = keccak(b"pool_list(uint256)")[:4]


@dataclass(frozen=True, slots=True)
class FactoryLog:
    """A log of a factory, or of the singleton that holds all pools."""

    emitter: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int

    def topic_address(self, index: int) -> Address:
        """An address among the topics (1 is the first after the signature)."""
        return Address(self.topics[index][12:])

    def word(self, index: int) -> int:
        """A word of the data."""
        return int.from_bytes(self.data[32 * index : 32 * index + 32], "big")

    def address(self, index: int) -> Address:
        """An address in a word of the data."""
        return Address(self.data[32 * index + 12 : 32 * index + 32])


@dataclass(frozen=True, slots=True)
class Claim:
    """A pool of which it is only told where it stands: ``ask`` finds out the rest. ``source`` named it."""

    pool: Address
    ask: Ask
    source: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A pool that a log does not even name; it is on the list of ``contract`` (``pool_count``, ``pool_list``)."""

    contract: Address
    ask: AskAbout
    source: str = ""


@dataclass(frozen=True, slots=True)
class Creation:
    """The log of one kind of pool.

    ``signature`` as Solidity writes it; ``indexed`` of its arguments are topics, ``words`` words of 32 bytes are data
    (None: any number). ``read(protocol, log, chain_id)`` gives the pool, or how to find out which it is, or None where
    the log is about something else; what it says is checked afterwards like any other claim. ValueError: it describes
    no possible pool. ``emitters``: by chain, who emits them beside the protocol's factory among the deployments (a
    singleton, a registry, several factories).
    """

    signature: str
    indexed: int
    words: int | None
    read: Callable[[str, FactoryLog, int], PoolSpec | Claim | Listing | None]
    emitters: Mapping[int, tuple[Address, ...]] = field(default_factory=dict)

    @property
    def topic(self) -> bytes:
        """The first topic of such logs."""
        return keccak(self.signature.encode())

    def fits(self, log: FactoryLog) -> bool:
        """Whether the log has this shape."""
        return (
            len(log.topics) == 1 + self.indexed
            and log.topics[0] == self.topic
            and (self.words is None or len(log.data) == 32 * self.words)
        )


def listed(ask: AskAbout) -> Callable[[str, FactoryLog, int], Listing]:
    """``read`` of a log that does not name the pool."""
    return lambda _protocol, log, _chain_id: Listing(log.emitter, ask)


def in_topic(ask: AskAbout) -> Callable[[str, FactoryLog, int], Claim]:
    """``read`` of a log whose first topic after the signature is the pool."""
    return lambda _protocol, log, _chain_id: _claim(log.topic_address(1), ask)


def in_data(ask: AskAbout) -> Callable[[str, FactoryLog, int], Claim]:
    """``read`` of a log whose data begin with the pool."""
    return lambda _protocol, log, _chain_id: _claim(log.address(0), ask)


def _claim(pool: Address, ask: AskAbout) -> Claim:
    return Claim(pool, partial(ask, pool))
