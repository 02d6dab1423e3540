"""How a factory's log tells of a new pool: one hook a protocol, so that discovery knows none of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.units import Address


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
class Creation:
    """The log of one kind of pool.

    ``signature`` as Solidity writes it; ``indexed`` of its arguments are topics, ``words`` words of 32 bytes are data
    (None: any number). ``read(protocol, log)`` gives the pool, or None where the log is about something else; what it
    says is checked afterwards like any other claim. ValueError: it describes no possible pool.
    """

    signature: str
    indexed: int
    words: int | None
    read: Callable[[str, FactoryLog], PoolSpec | None]

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
