"""Lido's totals from its storage, as its version 2 (May 2023) keeps them: one slot each, named by a hash.

Pooled ether is what is buffered, what the validators have by the last report, and the 32 ether of each validator that
the report does not know yet. Later versions pack these slots otherwise: ``simulation.wrapped_probe`` notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.needs import NeedsSlots
from flasharb.pools.wrapped_steth.pool import WrappedFacts, WrappedPool, spec_of
from flasharb.units import Address

DEPOSIT: Final = 32 * 10**18


def _position(name: str) -> int:
    return int.from_bytes(keccak(name.encode()), "big")


SHARES: Final = _position("lido.StETH.totalShares")
BUFFERED: Final = _position("lido.Lido.bufferedEther")
REPORTED: Final = _position("lido.Lido.beaconBalance")
REPORTED_VALIDATORS: Final = _position("lido.Lido.beaconValidators")
DEPOSITED_VALIDATORS: Final = _position("lido.Lido.depositedValidators")
SLOTS: Final = (SHARES, BUFFERED, REPORTED, REPORTED_VALIDATORS, DEPOSITED_VALIDATORS)


def load(facts: WrappedFacts, elsewhere: Mapping[tuple[Address, int], int]) -> WrappedPool | NeedsSlots:
    """The pool, or the slots of stETH that are missing (wstETH's own are not needed).

    Raises:
        ValueError: more validators reported than deposited: no version 2, or slots of different blocks.
    """
    wanted = {(facts.steth, slot) for slot in SLOTS}
    if wanted - elsewhere.keys():
        return NeedsSlots(elsewhere=frozenset(wanted - elsewhere.keys()))
    shares, buffered, reported, known, deposited = (elsewhere[facts.steth, slot] for slot in SLOTS)
    if known > deposited:
        raise ValueError(f"{known} validators reported, {deposited} deposited: not the storage of Lido version 2")
    return WrappedPool(spec_of(facts), buffered + reported + (deposited - known) * DEPOSIT, shares)
