"""Which rules hold in which block: one table by chain id, block number and timestamp."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

MAINNET: Final = 1
DEVNET: Final = 61_861


class Fork(StrEnum):
    """Rule sets of Ethereum that change what a transaction does, oldest first."""

    BERLIN = "berlin"
    LONDON = "london"
    PARIS = "paris"
    SHANGHAI = "shanghai"
    CANCUN = "cancun"
    PRAGUE = "prague"

    @property
    def order(self) -> int:
        """The place in history, from 0, so that ``fork.order >= Fork.CANCUN.order`` reads as "since Cancun"."""
        return _ORDER[self]

    def since(self, other: Fork) -> bool:
        """Whether this fork has the rules that ``other`` brought."""
        return _ORDER[self] >= _ORDER[other]


_ORDER: Final = {fork: order for order, fork in enumerate(Fork)}


class Activation(NamedTuple):
    """A fork holds from this block on (``number`` and ``timestamp`` both reached). ``fork`` None: not built yet."""

    number: int
    timestamp: int
    fork: Fork | None
    name: str


# Newest first. Osaka is listed so that its blocks are refused instead of being executed by yesterday's rules.
FORK_TABLE: Final[dict[int, tuple[Activation, ...]]] = {
    MAINNET: (
        Activation(0, 1_764_798_551, None, "osaka"),
        Activation(0, 1_746_612_311, Fork.PRAGUE, "prague"),
        Activation(0, 1_710_338_135, Fork.CANCUN, "cancun"),
        Activation(0, 1_681_338_455, Fork.SHANGHAI, "shanghai"),
        Activation(15_537_394, 0, Fork.PARIS, "paris"),
        Activation(12_965_000, 0, Fork.LONDON, "london"),
        Activation(12_244_000, 0, Fork.BERLIN, "berlin"),
    ),
    DEVNET: (Activation(0, 0, Fork.PRAGUE, "prague"),),
}


def fork_at(chain_id: int, number: int, timestamp: int) -> Fork:
    """The rules of block ``number`` with ``timestamp`` (seconds).

    Raises:
        ValueError: an unknown chain, a block before Berlin, or one whose fork this version does not know.
    """
    activations = FORK_TABLE.get(chain_id)
    if activations is None:
        known = ", ".join(map(str, FORK_TABLE))
        raise ValueError(f"chain id {chain_id}: its fork schedule is not known here (known: {known}); name the fork")
    for activation in activations:
        if number >= activation.number and timestamp >= activation.timestamp:
            if activation.fork is None:
                raise ValueError(f"block {number} of chain {chain_id} has {activation.name} rules, not supported yet")
            return activation.fork
    raise ValueError(f"block {number} of chain {chain_id} is older than Berlin: its rules are not supported")
