"""The screen finds what a brute-force enumeration of all cycles finds, at once or block by block."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations, product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.pools import Pool, V3Pool
from flasharb.strategy.detect import Detector
from flasharb.strategy.trade import Hop
from flasharb.units import Address
from tests.support.market_samples import address_of, basket, market, numbered, v2, v3

TOKENS = [numbered(n << 64) for n in (9, 3, 7, 1, 5)]
BASES = TOKENS[:2]
WHOLE = (-887_220, 887_220)


@st.composite
def pools_of_a_market(draw: st.DrawFn) -> list[Pool]:
    """Up to a dozen pools among five tokens at about one price, so that some cycles gain and some do not.

    Pools of two tokens and of up to four.
    """
    pools: list[Pool] = []
    for n in range(draw(st.integers(2, 12))):
        a, b = draw(st.permutations(TOKENS))[:2]
        fee = draw(st.sampled_from([0, 100, 500, 3000]))
        name = f"{n}: {sorted((a, b))}"
        reserves = st.integers(950, 1050).map(lambda r: r * 10**15)
        kind = draw(st.integers(0, 7))
        if kind < 2:
            tokens = draw(st.permutations(TOKENS))[: 3 + kind]
            pools.append(basket(f"{n}: {tokens}", {one: draw(reserves) for one in tokens}, fee))
        elif kind < 6:
            pools.append(v2(name, (a, draw(reserves)), (b, draw(reserves)), fee))
        else:
            position = (*WHOLE, draw(st.sampled_from([10**18, 10**22])))
            pools.append(v3(name, (a, b), draw(st.integers(-400, 400)), [position], fee))
    return pools


def exact_rate(pool: Pool, start: Address, end: Address) -> Fraction:
    """The marginal rate as a fraction."""
    i, j = pool.spec.ends(start, end)
    if isinstance(pool, V3Pool):
        price = Fraction(pool.sqrt_price_x96, 1 << 96) ** 2
        price = 1 / price if i else price
    else:
        price = Fraction(pool.reserve_in(j, i), pool.reserve_in(i, j))
    return price * Fraction(1_000_000 - pool.spec.fee_pips, 1_000_000)


def by_brute_force(snapshot: Market, max_hops: int) -> dict[tuple[Hop, ...], Fraction]:
    """Every cycle over different tokens and different pools, from its first base token, with its exact rate."""
    found: dict[tuple[Hop, ...], Fraction] = {}
    for hops in range(2, max_hops + 1):
        for tokens in permutations(TOKENS, hops):
            if tokens[0] != min((token for token in tokens if token in BASES), key=BASES.index, default=None):
                continue
            legs = list(pairwise((*tokens, tokens[0])))
            for pools in product(*(snapshot.pools_between(*leg) for leg in legs)):
                if len(set(pools)) == hops:
                    cycle = tuple(Hop(pool, *leg) for pool, leg in zip(pools, legs, strict=True))
                    found[cycle] = prod(
                        exact_rate(snapshot.pools[hop.pool], hop.token_in, hop.token_out) for hop in cycle
                    )
    return found


def by_screen(detector: Detector, snapshot: Market, touched: frozenset[Address] | None) -> list[tuple[Hop, ...]]:
    return [found.cycle for found in detector.update(snapshot, touched)]


@given(pools_of_a_market(), st.sampled_from([2, 3, 4]))
def test_the_screen_loses_nothing_and_repeats_nothing(pools: list[Pool], max_hops: int) -> None:
    snapshot = market(*pools)
    found = by_screen(Detector(max_hops, BASES), snapshot, None)
    rates = by_brute_force(snapshot, max_hops)
    assert len(found) == len(set(found))
    assert {cycle for cycle, rate in rates.items() if rate > 1} <= set(found)
    # what it lets through beyond is within the margin of the floats
    assert all(rates[cycle] > 1 - Fraction(1, 10**8) for cycle in found)


@given(pools_of_a_market(), st.lists(pools_of_a_market(), min_size=1, max_size=4), st.sampled_from([3, 4]))
def test_block_by_block_finds_what_a_fresh_search_finds(
    first: list[Pool], later: list[list[Pool]], max_hops: int
) -> None:
    """Pools change, come and go; the running detector hears only of the touched ones."""
    running = Detector(max_hops, BASES)
    snapshot = market(*first)
    by_screen(running, snapshot, None)
    for pools in later:
        before = snapshot
        snapshot = market(*pools, number=before.number + 1)
        touched = frozenset(
            address
            for address in before.pools.keys() | snapshot.pools.keys()
            if before.pools.get(address) != snapshot.pools.get(address)
        )
        assert by_screen(running, snapshot, touched) == by_screen(Detector(max_hops, BASES), snapshot, None)


@given(pools_of_a_market(), st.data())
def test_excluded_pools_are_in_no_cycle_and_come_back(pools: list[Pool], data: st.DataObject) -> None:
    snapshot = market(*pools)
    left_out = data.draw(st.sets(st.sampled_from(sorted(snapshot.pools))))
    detector = Detector(3, BASES)
    whole = by_screen(detector, snapshot, None)
    without = [found.cycle for found in detector.update(snapshot, (), left_out)]
    assert without == [cycle for cycle in whole if not left_out & {hop.pool for hop in cycle}]
    assert by_screen(detector, snapshot, frozenset()) == whole


def test_nothing_is_found_where_there_is_no_arbitrage() -> None:
    """All pools at one price, any fee: no cycle of any length gains, in any order of updates."""
    pools = [
        v2(f"{a.hex()}{b.hex()}{fee}", (a, 10**21), (b, 10**21), fee)
        for a in TOKENS
        for b in TOKENS
        if a < b
        for fee in (100, 500, 3000)
    ]
    snapshot = market(*pools)
    detector = Detector(4, BASES, longest=8)
    assert detector.update(snapshot, None) == []
    for pool in pools:
        assert detector.update(snapshot, [pool.spec.address]) == []


def test_order_and_ids_are_those_of_the_rates() -> None:
    a, b = BASES[0], TOKENS[2]
    snapshot = market(
        v2("cheap", (a, 10**21), (b, 11 * 10**20)),
        v2("middle", (a, 10**21), (b, 10**21)),
        v2("dear", (a, 10**21), (b, 9 * 10**20)),
    )
    found = Detector(2, BASES).update(snapshot, None)
    names = [tuple(hop.pool for hop in opportunity.cycle) for opportunity in found]
    cheap, middle, dear = address_of("cheap"), address_of("middle"), address_of("dear")
    assert names[0] == (cheap, dear)
    assert set(names[1:]) == {(cheap, middle), (middle, dear)}
    assert [opportunity.id for opportunity in found] == [1, 2, 3]
    rates = [opportunity.marginal_rate for opportunity in found]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("max_hops", [1, 5])
def test_other_lengths_are_refused(max_hops: int) -> None:
    with pytest.raises(ValueError, match="2 to 4 hops"):
        Detector(max_hops, BASES)


def test_a_pool_is_used_once_and_a_worse_one_opens_the_cycle_when_it_gets_better() -> None:
    """The basket is the best of two legs, so that no cycle may use it for both until another pool comes close."""
    a, b, c = BASES[0], TOKENS[2], TOKENS[3]
    rich = basket("rich", {a: 10**21, b: 2 * 10**21, c: 4 * 10**21}, fee_pips=0)
    back = v2("back", (c, 10**21), (a, 3 * 10**20))
    other = v2("other", (a, 10**21), (b, 2 * 10**21))
    detector = Detector(3, BASES)
    assert {len(cycle) for cycle in by_screen(detector, market(rich, back), None)} == {2}
    snapshot = market(rich, back, other, number=101)
    found = by_screen(detector, snapshot, frozenset({other.spec.address}))
    assert [address_of(name) for name in ("other", "rich", "back")] in [[hop.pool for hop in cycle] for cycle in found]
    assert all(len({hop.pool for hop in cycle}) == len(cycle) for cycle in found)
    assert found == by_screen(Detector(3, BASES), snapshot, None)
