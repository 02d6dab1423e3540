"""The block that transactions execute in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockContext:
    """What contracts can ask about their block. Gas in units, prices in wei per gas, ``timestamp`` in seconds.

    ``excess_blob_gas`` is needed since Cancun, ``parent_beacon_root`` for the system call of ``begin_block`` there.
    """

    chain_id: int
    number: int
    timestamp: int
    coinbase: bytes
    gas_limit: int
    base_fee_per_gas: int
    prev_randao: bytes
    difficulty: int = 0
    excess_blob_gas: int | None = None
    parent_hash: bytes = bytes(32)
    parent_beacon_root: bytes | None = None
