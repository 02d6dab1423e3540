"""The screen finds what a brute-force enumeration of all cycles finds, at once or block by block."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.pools import Pool, V2Pool
from flasharb.strategy.detect import Detector
from flasharb.units import Address
from tests.support.market_samples import address_of, market, numbered, v2, v3

TOKENS = [numbered(n << 64) for n in (9, 3, 7, 1, 5)]
BASES = TOKENS[:2]
WHOLE = (-887_220, 887_220)

Found = set[tuple[Address, ...]]


@st.composite
def pools_of_a_market(draw: st.DrawFn) -> list[Pool]:
    """Up to a dozen pools among five tokens at about one price, so that some cycles gain and some do not."""
    pools: list[Pool] = []
    for n in range(draw(st.integers(2, 12))):
        a, b = draw(st.permutations(TOKENS))[:2]
        fee = draw(st.sampled_from([0, 100, 500, 3000]))
        name = f"{n}: {sorted((a, b))}"
        if draw(st.integers(0, 3)):
            reserves = st.integers(950, 1050).map(lambda r: r * 10**15)
            pools.append(v2(name, (a, draw(reserves)), (b, draw(reserves)), fee))
        else:
            position = (*WHOLE, draw(st.sampled_from([10**18, 10**22])))
            pools.append(v3(name, (a, b), draw(st.integers(-400, 400)), [position], fee))
    return pools


def exact_rate(pool: Pool, zero_for_one: bool) -> Fraction:
    """The marginal rate as a fraction."""
    if isinstance(pool, V2Pool):
        price = Fraction(pool.reserve1, pool.reserve0)
    else:
        price = Fraction(pool.sqrt_price_x96, 1 << 96) ** 2
    return (price if zero_for_one else 1 / price) * Fraction(1_000_000 - pool.spec.fee_pips, 1_000_000)


def by_brute_force(snapshot: Market, max_hops: int) -> Found:
    """The pools of every cycle that gains at the margin, once per direction, from its first base token."""
    found: Found = set()
    for hops in range(2, max_hops + 1):
        for chosen in permutations(snapshot.pools.values(), hops):
            for base in BASES:
                if gains(chosen, base) and preferred(chosen, base):
                    found.add(tuple(pool.spec.address for pool in chosen))
    return found


def tokens_along(pools: tuple[Pool, ...], base: Address) -> list[Address] | None:
    path = [base]
    for pool in pools:
        ends = {pool.spec.token0, pool.spec.token1}
        if path[-1] not in ends:
            return None
        path.append((ends - {path[-1]}).pop())
    return path if path[-1] == base and len(set(path)) == len(pools) else None


def gains(pools: tuple[Pool, ...], base: Address) -> bool:
    path = tokens_along(pools, base)
    if path is None:
        return False
    product = Fraction(1)
    for pool, (start, _) in zip(pools, pairwise(path), strict=True):
        product *= exact_rate(pool, pool.spec.token0 == start)
    return product > 1


def preferred(pools: tuple[Pool, ...], base: Address) -> bool:
    """Whether no more preferred base token lies on the cycle."""
    path = tokens_along(pools, base)
    assert path is not None
    return base == min((token for token in path if token in BASES), key=BASES.index)


def by_screen(detector: Detector, snapshot: Market, touched: frozenset[Address] | None) -> list[tuple[Address, ...]]:
    return [tuple(hop.pool for hop in found.cycle) for found in detector.update(snapshot, touched)]


@given(pools_of_a_market(), st.sampled_from([2, 3]))
def test_the_screen_loses_nothing_and_repeats_nothing(pools: list[Pool], max_hops: int) -> None:
    snapshot = market(*pools)
    found = by_screen(Detector(max_hops, BASES), snapshot, None)
    expected = by_brute_force(snapshot, max_hops)
    assert len(found) == len(set(found))
    assert expected <= set(found)
    # what it lets through beyond is within the margin of the floats
    for extra in set(found) - expected:
        cycle = tuple(snapshot.pools[address] for address in extra)
        base = next(base for base in BASES if tokens_along(cycle, base) and preferred(cycle, base))
        path = tokens_along(cycle, base)
        assert path is not None
        product = Fraction(1)
        for pool, (start, _) in zip(cycle, pairwise(path), strict=True):
            product *= exact_rate(pool, pool.spec.token0 == start)
        assert product > 1 - Fraction(1, 10**8)


@given(pools_of_a_market(), st.lists(pools_of_a_market(), min_size=1, max_size=4))
def test_block_by_block_finds_what_a_fresh_search_finds(first: list[Pool], later: list[list[Pool]]) -> None:
    """Pools change, come and go; the running detector hears only of the touched ones."""
    running = Detector(3, BASES)
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
        assert by_screen(running, snapshot, touched) == by_screen(Detector(3, BASES), snapshot, None)


@given(pools_of_a_market(), st.data())
def test_excluded_pools_are_in_no_cycle_and_come_back(pools: list[Pool], data: st.DataObject) -> None:
    snapshot = market(*pools)
    left_out = data.draw(st.sets(st.sampled_from(sorted(snapshot.pools))))
    detector = Detector(3, BASES)
    whole = by_screen(detector, snapshot, None)
    without = [tuple(hop.pool for hop in found.cycle) for found in detector.update(snapshot, (), left_out)]
    assert without == [cycle for cycle in whole if not left_out & set(cycle)]
    assert by_screen(detector, snapshot, frozenset()) == whole


def test_nothing_is_found_where_there_is_no_arbitrage() -> None:
    """All pools at one price, any fee: no cycle gains, in any order of updates."""
    pools = [
        v2(f"{a.hex()}{b.hex()}{fee}", (a, 10**21), (b, 10**21), fee)
        for a in TOKENS
        for b in TOKENS
        if a < b
        for fee in (100, 500, 3000)
    ]
    snapshot = market(*pools)
    detector = Detector(3, BASES)
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


@pytest.mark.parametrize("max_hops", [1, 4])
def test_other_lengths_are_refused(max_hops: int) -> None:
    with pytest.raises(ValueError, match="2 or 3 hops"):
        Detector(max_hops, BASES)
