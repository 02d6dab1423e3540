"""Constant-rate pools from storage, and how they follow their logs.

WETH needs nothing: its total supply is its own ether balance, so whoever holds WETH can unwrap it.

``DssLitePsm`` keeps ``tin`` and ``tout``; what it can pay are its DAI balance and the stablecoin balance of its pocket,
so that two slots of the tokens' own balance mappings are read as well. A transfer straight to the module or its pocket
(a gift) is not followed and only adds to what it can pay. A fee of 2**256 - 1 halts that direction: refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.pools.constant_rate.pool import UNBOUNDED, ConstantRatePool
from flasharb.pools.events import Log, Rule, StateUnknown, reload, rules, word
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, mapping_slot
from flasharb.units import WAD, ZERO_ADDRESS, Address

TIN_SLOT: Final = 3
TOUT_SLOT: Final = 4


@dataclass(frozen=True, slots=True)
class PsmFacts:
    """What is fixed about a lite PSM: who holds the stablecoin, and where the tokens keep their balances.

    ``scale`` is 10 to the power of 18 less the stablecoin's decimals; the slots are those of the balance mappings.
    """

    pocket: Address
    scale: int
    gem_balances: int
    dai_balances: int


def load_wrapper(spec: PoolSpec) -> ConstantRatePool | Refused:
    """The pool of ether and its wrapper."""
    if spec.tokens != (ZERO_ADDRESS, spec.address):
        return Refused("a wrapper's tokens are ether (the zero address) and itself")
    return ConstantRatePool(spec, 1, 0, 0, (UNBOUNDED, UNBOUNDED))


def load_psm(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> ConstantRatePool | Needs | Refused:
    """The pool, or what is missing; tokens are the stablecoin, then DAI."""
    facts = spec.facts
    assert isinstance(facts, PsmFacts)
    gem = spec.token0, mapping_slot(int.from_bytes(facts.pocket, "big"), facts.gem_balances)
    dai = spec.token1, mapping_slot(int.from_bytes(spec.address, "big"), facts.dai_balances)
    own = frozenset({TIN_SLOT, TOUT_SLOT}) - slots.keys()
    others = frozenset({gem, dai}) - elsewhere.slots.keys()
    if own or others:
        return Needs(own, others)
    tin, tout = slots[TIN_SLOT], slots[TOUT_SLOT]
    if tin > WAD or tout > WAD:
        return Refused("a direction is halted")
    return ConstantRatePool(spec, facts.scale, tin, tout, (elsewhere.slots[gem], elsewhere.slots[dai]))


def _file(pool: ConstantRatePool, log: Log) -> ConstantRatePool:
    what, value = log.topics[1].rstrip(b"\0"), word(log, 0)
    if what not in (b"tin", b"tout"):
        return pool
    if value > WAD:
        raise StateUnknown("a direction is halted")
    return pool.with_fees(value, pool.tout) if what == b"tin" else pool.with_fees(pool.tin, value)


PSM_RULES: Final = rules(
    Rule("SellGem(address,uint256,uint256)", 1, 2, lambda pool, log: pool.after_sell(word(log, 0), word(log, 1))),
    Rule("BuyGem(address,uint256,uint256)", 1, 2, lambda pool, log: pool.after_buy(word(log, 0), word(log, 1))),
    Rule("Fill(uint256)", 0, 1, lambda pool, log: pool.after_refill(word(log, 0))),
    Rule("Trim(uint256)", 0, 1, lambda pool, log: pool.after_refill(-word(log, 0))),
    Rule("Chug(uint256)", 0, 1, lambda pool, log: pool.after_refill(-word(log, 0))),
    Rule("File(bytes32,uint256)", 1, 1, _file),
    Rule("File(bytes32,address)", 1, 1, reload("an address of the module was set")),
)
