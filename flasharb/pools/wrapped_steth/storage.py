"""Lido's totals from its storage, as its version 2 (May 2023) keeps them: one slot each, named by a hash.

Pooled ether is what is buffered, what the validators have by the last report, and the 32 ether of each validator that
the report does not know yet. Later versions pack these slots otherwise: ``simulation.wrapped_probe`` notices.
"""

from __future__ import annotations

from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.events import Rule, reload, rules, word
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused
from flasharb.pools.untried import Untried
from flasharb.pools.wrapped_steth.pool import WrappedFacts, WrappedPool

DEPOSIT: Final = 32 * 10**18


def _position(name: str) -> int:
    return int.from_bytes(keccak(name.encode()), "big")


SHARES: Final = _position("lido.StETH.totalShares")
BUFFERED: Final = _position("lido.Lido.bufferedEther")
REPORTED: Final = _position("lido.Lido.beaconBalance")
REPORTED_VALIDATORS: Final = _position("lido.Lido.beaconValidators")
DEPOSITED_VALIDATORS: Final = _position("lido.Lido.depositedValidators")
SLOTS: Final = (SHARES, BUFFERED, REPORTED, REPORTED_VALIDATORS, DEPOSITED_VALIDATORS)


def load(spec: PoolSpec, elsewhere: Elsewhere) -> WrappedPool | Needs | Refused:
    """The pool, or the slots of stETH that are missing (wstETH's own are not needed).

    Raises:
        CorruptPool: more validators reported than deposited: no version 2, or slots of different blocks.
    """
    facts = spec.facts
    if isinstance(facts, Untried):
        return Refused(facts.reason)
    assert isinstance(facts, WrappedFacts)
    wanted = {(facts.steth, slot) for slot in SLOTS}
    if wanted - elsewhere.slots.keys():
        return Needs(elsewhere=frozenset(wanted - elsewhere.slots.keys()))
    shares, buffered, reported, known, deposited = (elsewhere.slots[facts.steth, slot] for slot in SLOTS)
    if known > deposited:
        raise CorruptPool(f"{known} validators reported, {deposited} deposited: not the storage of Lido version 2")
    return WrappedPool(spec, buffered + reported + (deposited - known) * DEPOSIT, shares)


RULES: Final = rules(
    Rule("Submitted(address,uint256,address)", 1, 2, lambda pool, log: pool.after_submitted(word(log, 0))),
    Rule(
        "TokenRebased(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
        1,
        6,
        reload("Lido reported what its validators have"),
    ),
    Rule("SharesBurnt(address,uint256,uint256,uint256)", 1, 3, reload("stETH was burnt")),
    Rule("CLValidatorsUpdated(uint256,uint256,uint256)", 1, 2, reload("Lido reported its validators")),
)
"""How the pool follows Lido's logs; stETH is its source. Ether that goes on to validators changes no total."""
