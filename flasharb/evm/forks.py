"""Which rules hold in which block: one table by chain id, block number and timestamp, and the blob schedule of each.

Sources: ``params/config.go`` of go-ethereum, ``FORK_CRITERIA`` and the upgrade schedules of the execution specs
(EELS), the chain specifications of reth and silkworm; they agree. Sepolia's Amsterdam: EIP-7773 and ethereum/pm#2205.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

MAINNET: Final = 1
SEPOLIA: Final = 11_155_111
HOLESKY: Final = 17_000
HOODI: Final = 560_048
DEVNET: Final = 61_861

GAS_PER_BLOB: Final = 131_072


class Fork(StrEnum):
    """Rule sets of Ethereum that change what a transaction does, oldest first."""

    BERLIN = "berlin"
    LONDON = "london"
    PARIS = "paris"
    SHANGHAI = "shanghai"
    CANCUN = "cancun"
    PRAGUE = "prague"
    OSAKA = "osaka"
    BPO1 = "bpo1"
    BPO2 = "bpo2"

    @property
    def order(self) -> int:
        """The place in history, from 0, so that ``fork.order >= Fork.CANCUN.order`` reads as "since Cancun"."""
        return _ORDER[self]

    def since(self, other: Fork) -> bool:
        """Whether this fork has the rules that ``other`` brought."""
        return _ORDER[self] >= _ORDER[other]


_ORDER: Final = {fork: order for order, fork in enumerate(Fork)}


class BlobSchedule(NamedTuple):
    """How many blobs a block has in the long run and at most, and how slowly their price follows (EIP-7840)."""

    target: int
    most: int
    update_fraction: int


BLOB_SCHEDULES: Final[dict[Fork, BlobSchedule]] = {
    Fork.CANCUN: BlobSchedule(3, 6, 3_338_477),
    Fork.PRAGUE: BlobSchedule(6, 9, 5_007_716),
    Fork.OSAKA: BlobSchedule(6, 9, 5_007_716),
    Fork.BPO1: BlobSchedule(10, 15, 8_346_193),
    Fork.BPO2: BlobSchedule(14, 21, 11_684_671),
}


class Activation(NamedTuple):
    """A fork holds from this block on (``number`` and ``timestamp`` both reached). ``fork`` None: not built yet."""

    number: int
    timestamp: int
    fork: Fork | None
    name: str = ""


# Newest first. What is not built is listed so that its blocks are refused instead of being executed by older rules.
# The test networks start where their blocks have a timestamped fork.
FORK_TABLE: Final[dict[int, tuple[Activation, ...]]] = {
    MAINNET: (
        Activation(0, 1_767_747_671, Fork.BPO2),
        Activation(0, 1_765_290_071, Fork.BPO1),
        Activation(0, 1_764_798_551, Fork.OSAKA),
        Activation(0, 1_746_612_311, Fork.PRAGUE),
        Activation(0, 1_710_338_135, Fork.CANCUN),
        Activation(0, 1_681_338_455, Fork.SHANGHAI),
        Activation(15_537_394, 0, Fork.PARIS),
        Activation(12_965_000, 0, Fork.LONDON),
        Activation(12_244_000, 0, Fork.BERLIN),
    ),
    SEPOLIA: (
        Activation(0, 1_791_294_816, None, "amsterdam"),
        Activation(0, 1_761_607_008, Fork.BPO2),
        Activation(0, 1_761_017_184, Fork.BPO1),
        Activation(0, 1_760_427_360, Fork.OSAKA),
        Activation(0, 1_741_159_776, Fork.PRAGUE),
        Activation(0, 1_706_655_072, Fork.CANCUN),
        Activation(0, 1_677_557_088, Fork.SHANGHAI),
    ),
    HOODI: (
        Activation(0, 1_762_955_544, Fork.BPO2),
        Activation(0, 1_762_365_720, Fork.BPO1),
        Activation(0, 1_761_677_592, Fork.OSAKA),
        Activation(0, 1_742_999_832, Fork.PRAGUE),
        Activation(0, 0, Fork.CANCUN),
    ),
    HOLESKY: (
        Activation(0, 1_760_389_824, Fork.BPO2),
        Activation(0, 1_759_800_000, Fork.BPO1),
        Activation(0, 1_759_308_480, Fork.OSAKA),
        Activation(0, 1_740_434_112, Fork.PRAGUE),
        Activation(0, 1_707_305_664, Fork.CANCUN),
        Activation(0, 1_696_000_704, Fork.SHANGHAI),
    ),
    DEVNET: (Activation(0, 0, Fork.PRAGUE),),
}


def fork_at(chain_id: int, number: int, timestamp: int) -> Fork:
    """The rules of block ``number`` with ``timestamp`` (seconds).

    Raises:
        ValueError: an unknown chain, a block before the table begins, or one whose fork this version does not know.
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
    first = str(activations[-1].fork).capitalize()
    raise ValueError(f"block {number} of chain {chain_id} is older than {first}: its rules are not supported")
