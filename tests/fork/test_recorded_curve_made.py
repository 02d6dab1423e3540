"""What FlashArb gets of the real Curve pools, hop by hop, by the commands of a trade: what was quoted, to the unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.evm import MissingState
from flasharb.pools import PoolSpec
from flasharb.pools.cryptoswap import CryptoSwapPool
from flasharb.pools.quoted.pool import UnknownState
from flasharb.pools.stableswap import StableSwapPool
from flasharb.pools.stableswap.rules import StableFacts
from flasharb.simulation.made_swaps import Gift, find_gift, made_pool
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.trial import Place
from flasharb.units import ZERO_ADDRESS, Address, address

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
SHARES = (5, 1000, 10**5)
"""Inputs as parts of the pool's reserve."""

HOPS = {
    "13217637": {("tricrypto2", 0, 1)},
    "17666333": {("early", 1, 2), ("early", 2, 1), ("tricrypto2", 0, 2)},
    "18884864": {("tricrypto2", 0, 2), ("tricrypto_ng", 0, 2), ("tricrypto_ng", 2, 0)},
    # coin 1 into the LP token, the LP token into coin 1
    "18885292": {("template", 1, 2), ("template", 2, 1), ("twocrypto", 0, 1), ("twocrypto", 1, 0)},
    "19932148": {("ng", 0, 1), ("ng", 1, 0)},
    "21066632": {("twocrypto_ng", 0, 1), ("twocrypto_ng", 1, 0)},
}
"""The hops whose tokens and pools the file knows well enough to make them."""


@pytest.mark.mainnet
@pytest.mark.parametrize("number", HOPS)
def test_flasharb_gets_what_is_quoted(mainnet_blocks: Path, number: str) -> None:
    """At the block's end, where its file knows what the swap needs; everywhere else it lacks state by name."""
    replay = Replay(read_block(mainnet_blocks / f"{number}.json.gz"))
    for _ in replay.block.transactions:
        replay.advance()
    context = replay.block.context
    place = Place(replay.state(), context, replay.block.fork, WETH, ZERO_ADDRESS, ZERO_ADDRESS).by_later_rules()
    specs = [spec for spec in offered(replay).specs.values() if spec.protocol.startswith("curve")]
    made = {hop for pool in known_pools(replay, specs).pools.values() for hop in _made(pool, place)}
    assert made == HOPS[number]


def _coins_only(pool: StableSwapPool | CryptoSwapPool) -> PoolSpec:
    """Without the LP token where the block does not know its supply."""
    spec, facts = pool.spec, pool.spec.facts
    if not isinstance(facts, StableFacts) or pool.supply is not None:
        return spec
    return replace(spec, tokens=spec.tokens[: facts.lp_index], facts=replace(facts, supply_slot=None))


def _made(pool: object, place: Place) -> Iterator[tuple[str, int, int]]:
    assert isinstance(pool, StableSwapPool | CryptoSwapPool)
    spec = _coins_only(pool)
    by_code = made_pool(spec, place, dict(_gifts(spec, place)))
    for i, j in permutations(range(len(spec.tokens)), 2):
        try:
            amounts = [pool.reserve_in(i, j) // share for share in SHARES]
            paid = [by_code.amount_out(i, j, amount) for amount in amounts]
        except UnknownState:
            continue
        assert paid == [pool.amount_out(i, j, amount) for amount in amounts]
        yield pool.facts.rules.name, i, j


def _gifts(spec: PoolSpec, place: Place) -> Iterator[tuple[Address, Gift]]:
    for token in spec.tokens:
        with suppress(MissingState):
            gift = find_gift(token, place)
            if gift is not None:
                yield token, gift
