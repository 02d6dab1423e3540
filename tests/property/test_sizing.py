"""The size that ``size`` finds gains at least as much as any other input: brute force where the pools are small,
an independent search over the exact function where they are not."""

from __future__ import annotations

import itertools
from functools import partial

from hypothesis import assume, given
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.pools import InsufficientLiquidity, Pool, QuoteUnavailable, V2Pool, ends
from flasharb.pools.inverse import least_input
from flasharb.strategy.bracket import search
from flasharb.strategy.fit import fitted
from flasharb.strategy.limits import SHARE_SCALE, UNLIMITED, Limits
from flasharb.strategy.size import size
from flasharb.strategy.trade import Cycle, Hop, Opportunity, Rejected, Trade
from flasharb.units import Address
from tests.support.market_samples import DAI, USDC, WBTC, WETH, Basket, address_of, basket, market, v2, v3

THOROUGH = Limits(
    UNLIMITED.position_share, max_evaluations=20_000, max_after_whole=20_000, good_enough=0.0, good_enough_quoted=0.0
)
FEES = st.sampled_from([0, 100, 500, 2500, 3000, 10_000])
OTHERS = (WBTC, USDC, DAI)


def cycle_of(pools: list[Pool], base: Address = WETH.address) -> Cycle:
    """The cycle through the pools in this order, from the base token back to it."""
    hops, token = [], base
    for pool, after in zip(pools, following(pools, base), strict=True):
        hops.append(Hop(pool.spec.address, token, after))
        token = after
    assert token == base
    return tuple(hops)


def following(pools: list[Pool], base: Address) -> list[Address]:
    """The token after each pool: what it shares with the next one, and at the end the base token."""
    tokens, token = [], base
    for pool, onward in itertools.pairwise([*pools, None]):
        shared = {base} if onward is None else set(pool.spec.tokens) & set(onward.spec.tokens) - {token}
        token = min(shared)
        tokens.append(token)
    return tokens


def sized(pools: list[Pool], limits: Limits = UNLIMITED, loan_fee_wad: int = 0) -> Trade | Rejected:
    snapshot: Market = market(*pools)
    return size(snapshot, Opportunity(7, cycle_of(pools), 1.0, snapshot.number), limits, loan_fee_wad)


def gain(pools: list[Pool], amount: int) -> int | None:
    """What an input gains, by nothing but the pools' own quotes."""
    given_in, token = amount, WETH.address
    for pool, after in zip(pools, following(pools, token), strict=True):
        try:
            amount = pool.amount_out(*pool.spec.ends(token, after), amount)
        except QuoteUnavailable:
            return None
        token = after
    return amount - given_in


def best_by_ternary_search(pools: list[Pool], most: int) -> int:
    """The best gain that a ternary search over all inputs sees."""
    low, high, best = 1, most, 0
    while high - low > 3:
        third = (high - low) // 3
        left, right = low + third, high - third
        gains = gain(pools, left), gain(pools, right)
        best = max([best, *(found for found in gains if found is not None)])
        if gains[1] is None or (gains[0] is not None and gains[0] >= gains[1]):
            high = right
        else:
            low = left
    return max(best, 0, *((gain(pools, amount) or 0) for amount in range(low, high + 1)))


@st.composite
def tiny_routes(draw: st.DrawFn) -> list[Pool]:
    """Two or three V2 pools whose reserves are so small that every input can be tried."""
    names = ["a", "b", "c"][: draw(st.sampled_from([2, 3]))]
    tokens = [WETH, *draw(st.permutations(OTHERS)), WETH]
    path = [tokens[0], *tokens[1 : len(names)], WETH]
    reserves = st.integers(2, 1500)
    return [
        v2(name, (token_in.address, draw(reserves)), (token_out.address, draw(reserves)), draw(FEES))
        for name, token_in, token_out in zip(names, path, path[1:], strict=False)
    ]


@given(tiny_routes())
def test_no_input_gains_more_on_tiny_reserves(pools: list[Pool]) -> None:
    trade = sized(pools, THOROUGH)
    most = 4 * max(max(pool.reserve_in(0, 1), pool.reserve_in(1, 0)) for pool in pools)
    best = max(0, *(gain(pools, amount) or 0 for amount in range(1, most)))
    if isinstance(trade, Trade):
        assert trade.gross_profit == best
        assert gain(pools, trade.amount_in) == trade.gross_profit
        assert trade.gain_bound == best, "searched outwards until nothing beyond could gain more: proven"
    else:
        assert best == 0


def test_the_bound_covers_what_a_loan_fee_of_whole_units_leaves() -> None:
    """The fee is rounded up: a little before its next unit falls due more is gained than at the real optimum."""
    there = v2(
        "there", (WETH.address, 17_413_205_343_815_978_654_367_744), (DAI.address, 2_985_120_279_160_175 * 10**12)
    )
    back = v2("back", (DAI.address, 254_118_600), (WETH.address, 1_496_618), 100)
    fee_wad = 5 * 10**14
    trade = sized([there, back], UNLIMITED, fee_wad)
    assert isinstance(trade, Trade)
    gains = [(gain([there, back], amount) or 0) - -(-amount * fee_wad // 10**18) for amount in range(1, 9000)]
    assert trade.gain_bound >= max(gains)


@st.composite
def mixed_decimals(draw: st.DrawFn) -> list[Pool]:
    """Two or three V2 pools over tokens of 18, 8 and 6 decimals, at about real prices, with a gap somewhere."""
    eth_usd, btc_usd = 3000, 60_000
    worth = {WETH: eth_usd / 1e18, WBTC: btc_usd / 1e8, USDC: 1 / 1e6, DAI: 1 / 1e18}
    middle = draw(st.permutations(OTHERS))[: draw(st.sampled_from([1, 2]))]
    path = [WETH, *middle, WETH]
    pools: list[Pool] = []
    for n, (token_in, token_out) in enumerate(itertools.pairwise(path)):
        depth_usd = draw(st.floats(2e3, 5e8))
        gap = draw(st.floats(0.97, 1.06))
        reserve_in, reserve_out = int(depth_usd / worth[token_in]), int(depth_usd * gap / worth[token_out])
        pools.append(v2(f"pool {n}", (token_in.address, reserve_in), (token_out.address, reserve_out), draw(FEES)))
    return pools


@given(mixed_decimals())
def test_no_input_gains_more_on_real_decimals(pools: list[Pool]) -> None:
    trade = sized(pools)
    most = 10**24
    best = best_by_ternary_search(pools, most)
    if isinstance(trade, Rejected):
        assert best == 0
        return
    assert gain(pools, trade.amount_in) == trade.gross_profit
    assert trade.gain_bound >= best
    # beyond the optimum's own unit only what one unit of the second-coarsest token rounds away can differ
    assert trade.gross_profit >= best - rounding_noise(trade)


def rounding_noise(trade: Trade) -> int:
    """What one smallest unit of all tokens but the coarsest is worth, in the base token, and 1e-9 of the profit."""
    units = sorted(trade.amount_out // hop.amount_out + 1 for hop in trade.hops if hop.amount_out)
    return sum(units[:-1]) + trade.gross_profit // 10**9


@st.composite
def concentrated_routes(draw: st.DrawFn) -> list[Pool]:
    """A cycle WETH → DAI → WETH over one V3 pool and another pool of either kind, a few per cent apart."""
    base_tick = draw(st.integers(-500, 500))
    pools: list[Pool] = []
    for name, offset in (("first", 0), ("second", draw(st.integers(-600, 600)))):
        tick = base_tick + offset
        scale = 10 ** draw(st.integers(4, 22))
        if draw(st.booleans()) and name == "second":
            price = 1.0001**tick
            reserve0 = draw(st.integers(1, 1000)) * scale
            token0, token1 = sorted((WETH.address, DAI.address))
            pools.append(v2(name, (token0, reserve0), (token1, max(int(reserve0 * price), 1)), draw(FEES)))
            continue
        spacing = draw(st.sampled_from([1, 10, 60]))
        positions = []
        for _ in range(draw(st.integers(1, 5))):
            lower = draw(st.integers(-1500 // spacing, 1400 // spacing)) * spacing
            upper = lower + draw(st.integers(1, 900 // spacing)) * spacing
            positions.append((lower, upper, draw(st.integers(1, 1000)) * scale))
        pools.append(v3(name, (WETH.address, DAI.address), tick, positions, draw(FEES), spacing))
    return pools if draw(st.booleans()) else pools[::-1]


@given(concentrated_routes())
def test_no_input_gains_more_through_tick_ranges(pools: list[Pool]) -> None:
    trade = sized(pools)
    best = best_by_ternary_search(pools, 10**27)
    if isinstance(trade, Rejected):
        assert best <= 16, "roundings only"
        return
    assert gain(pools, trade.amount_in) == trade.gross_profit
    assert trade.gross_profit >= best - 64 - best // 10**9
    assert trade.gain_bound >= best


@given(
    gap=st.floats(0.002, 0.05),
    depth=st.integers(10**14, 10**16),
    fee=st.sampled_from([100, 500, 3000, 10_000]),
    narrow=st.integers(0, 10**16),
)
def test_no_number_of_a_coarse_token_nearby_gains_more(gap: float, depth: int, fee: int, narrow: int) -> None:
    """The fee takes up to a satoshi too much: the live search finds the inputs of which it does not."""
    tick = 260_220
    price = 1.0001**tick * (1 + gap) ** -1 * 0.997 * (1 - fee / 10**6)
    pair = v2("a", (WETH.address, 3 * 10**20), (WBTC.address, int(3e20 / price)))
    positions = [(tick - 6000, tick + 6000, depth), (tick - 60, tick + 60, narrow)]
    pools: list[Pool] = [pair, v3("b", (WETH.address, WBTC.address), tick, positions, fee)]
    trade = sized(pools, UNLIMITED)
    assert isinstance(trade, Trade)
    unit = trade.hops[1].amount_in
    i, j = pair.spec.ends(WETH.address, WBTC.address)
    nearby = (gain(pools, pair.amount_in(i, j, other)) or 0 for other in range(max(unit - 520, 1), unit + 520))
    best = max(nearby)
    assert trade.gross_profit >= best - best // 10**7


@given(mixed_decimals(), st.integers(1, SHARE_SCALE // 2))
def test_position_limit_is_kept_and_used_up(pools: list[Pool], share: int) -> None:
    free, trade = sized(pools), sized(pools, Limits(share))
    limits = Limits(share)
    assume(isinstance(free, Trade))
    assert isinstance(free, Trade)
    if isinstance(trade, Rejected):
        assert trade.reason in ("position_too_small", "no_profit")
        return
    caps = [
        limits.most_input(pool.reserve_in(*ends(hop.hop.zero_for_one)))
        for pool, hop in zip(pools, trade.hops, strict=True)
    ]
    assert all(hop.amount_in <= cap for hop, cap in zip(trade.hops, caps, strict=True))
    assert trade.gross_profit <= free.gross_profit
    # nothing below the limit gains more
    for tenth in range(1, 11):
        other = gain(pools, trade.amount_in * tenth // 10)
        assert other is None or other <= trade.gross_profit + rounding_noise(trade)


@given(mixed_decimals(), st.integers(0, 10**16))
def test_loan_fee_is_part_of_the_optimum(pools: list[Pool], fee_wad: int) -> None:
    trade = sized(pools, loan_fee_wad=fee_wad)
    if isinstance(trade, Rejected):
        return
    assert trade.loan_fee == -(-trade.amount_in * fee_wad // 10**18)
    net = trade.gross_profit - trade.loan_fee
    assert net > 0
    for percent in (50, 90, 99, 101, 110, 150):
        amount = trade.amount_in * percent // 100
        other = gain(pools, amount)
        assert other is None or other - -(-amount * fee_wad // 10**18) <= net + rounding_noise(trade)


@given(concentrated_routes(), st.integers(0, 3))
def test_unknown_ticks_bound_the_input(pools: list[Pool], words: int) -> None:
    """With fewer ticks known, what is found is what the known part holds, never a guess."""
    narrowed = [pool if not hasattr(pool, "ladder") else v3_with_words(pool, words) for pool in pools]
    trade, whole = sized(narrowed), sized(pools)
    if isinstance(trade, Trade):
        assert gain(pools, trade.amount_in) == trade.gross_profit
        assert isinstance(whole, Trade)
        assert trade.gross_profit <= whole.gain_bound


def v3_with_words(pool: Pool, words: int) -> Pool:
    """The same pool of which only the words around the price are known."""
    from flasharb.pools import V3Pool, v3_pool
    from flasharb.pools.concentrated.tick_bitmap import word_of

    assert isinstance(pool, V3Pool)
    spacing = pool.spec.tick_spacing
    middle = word_of(pool.tick, spacing)
    low, high = middle - words, middle + words
    known = {tick: info for tick, info in pool.ladder.info.items() if low <= word_of(tick, spacing) <= high}
    return v3_pool(pool.spec, pool.sqrt_price_x96, pool.tick, pool.liquidity, known, (low, high))


@st.composite
def routes_without_a_closed_form(draw: st.DrawFn, routes: st.SearchStrategy[list[Pool]]) -> list[Pool]:
    """A route some of whose V2 pools are baskets of the same reserves and fee, with a third coin."""
    pools = draw(routes)
    first = draw(st.integers(0, len(pools) - 1))
    for n, pool in enumerate(pools):
        if isinstance(pool, V2Pool) and (n == first or draw(st.booleans())):
            reserves = {
                pool.spec.token0: pool.reserve0,
                pool.spec.token1: pool.reserve1,
                address_of(f"third {n}"): 10**20,
            }
            pools[n] = basket(f"basket {n}", reserves, pool.spec.fee_pips)
    assume(any(isinstance(pool, Basket) for pool in pools))
    return pools


def coarsest_unit(trade: Trade) -> int:
    """What one unit of the coarsest token on the route is worth in the base token."""
    return max(trade.amount_out // hop.amount_out + 1 for hop in trade.hops if hop.amount_out)


@given(routes_without_a_closed_form(mixed_decimals()))
def test_a_search_over_quotes_gains_as_much_as_any_other_input(pools: list[Pool]) -> None:
    """To within a unit of the coarsest token: where two tokens are coarse the gain is a saw, whose every tooth a few
    quotes cannot see. The bound covers what is missing."""
    trade = sized(pools)
    best = best_by_ternary_search(pools, 10**24)
    if isinstance(trade, Rejected):
        assert best <= 0
        return
    assert gain(pools, trade.amount_in) == trade.gross_profit
    assert trade.gain_bound >= best
    assert trade.gross_profit >= best - rounding_noise(trade) - coarsest_unit(trade) - best // 10**6


@given(gap=st.floats(5e-4, 0.05), grain=st.sampled_from([1, 10**6, 10**9]), first=st.integers(10**18, 10**20))
def test_a_fit_needs_few_quotes_however_coarsely_they_are_rounded(gap: float, grain: int, first: int) -> None:
    """A line through quotes that differ by little more than their rounding would lead anywhere."""
    depth, quotes = 10**21, []

    def gained(amount: int) -> int:
        quotes.append(amount)
        return int(depth * (1 + gap)) * amount // (depth + amount) // grain * grain - amount

    about = fitted(gained, 1 + gap, 1.0, first, 10**30)
    top = depth * ((1 + gap) ** 0.5 - 1)
    assert about is not None
    assert abs(about - top) <= top * 1e-3 + grain
    assert len(quotes) <= 10


def test_the_bound_of_a_search_over_quotes_is_tight() -> None:
    """Within a millionth of the gain, on a route whose roundings are small beside it."""
    there = basket("there", {WETH.address: 10**21, DAI.address: 3 * 10**24, USDC.address: 3 * 10**12})
    back = v2("back", (DAI.address, 2 * 10**24), (WETH.address, 7 * 10**20))
    trade = sized([there, back])
    assert isinstance(trade, Trade)
    assert trade.gross_profit <= trade.gain_bound <= trade.gross_profit * (1 + 1e-6)


@given(routes_without_a_closed_form(tiny_routes()))
def test_a_search_over_quotes_finds_the_best_on_tiny_reserves(pools: list[Pool]) -> None:
    trade = sized(pools, THOROUGH)
    most = 4 * max(max(pool.reserve_in(0, 1), pool.reserve_in(1, 0)) for pool in pools)
    best = max(0, *(gain(pools, amount) or 0 for amount in range(1, most)))
    if isinstance(trade, Trade):
        assert gain(pools, trade.amount_in) == trade.gross_profit == best
        assert trade.gain_bound >= best
    else:
        assert best == 0


@given(routes_without_a_closed_form(mixed_decimals()), st.integers(1, SHARE_SCALE // 2))
def test_position_limit_is_kept_without_a_closed_form(pools: list[Pool], share: int) -> None:
    free, trade = sized(pools), sized(pools, Limits(share))
    assume(isinstance(free, Trade))
    assert isinstance(free, Trade)
    if isinstance(trade, Rejected):
        assert trade.reason in ("position_too_small", "no_profit")
        return
    limits = Limits(share)
    caps = [limits.most_input(pool.reserve_in(*hop.ends)) for pool, hop in zip(pools, trade.hops, strict=True)]
    assert all(hop.amount_in <= cap for hop, cap in zip(trade.hops, caps, strict=True))
    assert gain(pools, trade.amount_in) == trade.gross_profit <= free.gain_bound
    # nothing else within the limits gains more
    for tenth in range(1, 21):
        amount, token = trade.amount_in * tenth // 10, WETH.address
        kept = True
        for pool, after, cap in zip(pools, following(pools, WETH.address), caps, strict=True):
            kept = kept and amount <= cap
            amount, token = pool.amount_out(*pool.spec.ends(token, after), amount), after
        other = amount - trade.amount_in * tenth // 10
        assert not kept or other <= trade.gross_profit + rounding_noise(trade)


@given(
    st.lists(st.integers(-50, 60), min_size=1, max_size=60),
    st.integers(0, 70),
    st.sets(st.integers(1, 60), max_size=5),
)
def test_a_gain_of_any_shape_gives_the_best_that_was_seen(steps: list[int], first: int, refused: set[int]) -> None:
    """Not concave, with refusals in between: what comes back was quoted, and is no worse than all else that was."""
    values = list(itertools.accumulate(steps, initial=0))
    asked: dict[int, int | None] = {}

    def wild(amount: int) -> int | None:
        asked[amount] = None if amount in refused else values[amount]
        return asked[amount]

    found = search(wild, first, len(steps), 0.0)
    quoted = [value for value in asked.values() if value is not None]
    if found is None:
        assert not quoted
    else:
        assert found.gain == asked[found.amount_in] == max(quoted)
        concave = not refused and all(after <= before for before, after in itertools.pairwise(steps))
        assert not concave or found.bound is not None
        assert found.bound is None or not concave or found.bound >= max(values)


class FeeOffOutput(Basket, frozen=True):
    """A basket that keeps a unit and takes its fee off whole units, rounded down, as Curve's pools do."""

    def amount_out(self, i: int, j: int, amount: int) -> int:
        gross = max(self.reserves[j] * amount // (self.reserves[i] + amount) - 1, 0)
        return gross - gross * self.spec.fee_pips // 1_000_000

    def amount_in(self, i: int, j: int, amount: int) -> int:
        gross = amount * 1_000_000 // (1_000_000 - self.spec.fee_pips) + 1
        if gross + 2 >= self.reserves[j]:
            raise InsufficientLiquidity(f"{amount} is more than there is")
        guess = self.reserves[i] * gross // (self.reserves[j] - gross)
        return least_input(partial(self.amount_out, i, j), amount, max(guess, 1))


def test_a_fee_on_whole_units_is_taken_at_its_best() -> None:
    """The gain over units of the coarse token is a saw of thousands of units: no tooth near the optimum is higher."""
    there = basket("there", {WETH.address: 10**21, WBTC.address: 5 * 10**9, DAI.address: 1}, 400)
    saw = FeeOffOutput(there.spec, there.reserves)
    back = v2("back", (WBTC.address, 5 * 10**9), (WETH.address, 105 * 10**19))
    trade = sized([saw, back], Limits(None, max_evaluations=1000, good_enough_quoted=1e-9))
    assert isinstance(trade, Trade)
    unit = trade.hops[0].amount_out
    ends = saw.spec.ends(WETH.address, WBTC.address)
    gains = [gain([saw, back], saw.amount_in(*ends, other)) or 0 for other in range(unit - 6000, unit + 6000)]
    assert trade.gross_profit >= max(gains) - max(gains) // 10**8
    assert max(gains) - min(gains) > 2 * max(gains) // 10**7, "the teeth are higher than what is asked for"
