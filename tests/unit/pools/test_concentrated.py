"""Concentrated pools: known values, failures, knowledge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flasharb.pools import (
    InsufficientLiquidity,
    TickLiquidity,
    Uninitialised,
    UnknownRange,
    V3Pool,
    ends,
    v3_pool,
)
from flasharb.pools.concentrated.swap import PriceLimitAlreadyExceeded
from flasharb.pools.concentrated.tick_bitmap import (
    full_range,
    next_initialized_tick_within_one_word,
    ticks_of_word,
    words_from_ticks,
)
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    Q96,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from tests.conftest import SHARED
from tests.support.pool_bytecode import v3_spec
from tests.support.pool_cases import pool_of, ticks_of

SPEC = v3_spec("uniswap_v3", 3000, 60)
WIDE = (-60_000, 60_000, 10**18)
NARROW = (-600, 600, 10**20)


def pool(*positions: tuple[int, int, int], tick: int = 0, price: int | None = None) -> V3Pool:
    """A pool of these positions, by default at price one."""
    return pool_of(SPEC, list(positions), price or sqrt_price_at_tick(tick), tick)


class TestTickMath:
    @pytest.mark.parametrize(
        ("tick", "price"),
        [
            (MIN_TICK, MIN_SQRT_PRICE_X96),
            (0, Q96),
            (1, 79232123823359799118286999568),
            (-1, 79224201403219477170569942574),
            (50, 79426470787362580746886972461),
            (MAX_TICK, MAX_SQRT_PRICE_X96),
        ],
    )
    def test_known_prices(self, tick: int, price: int) -> None:
        """Values of TickMath.sol."""
        assert sqrt_price_at_tick(tick) == price

    @pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
    def test_ticks_outside_are_refused(self, tick: int) -> None:
        """The contract's require."""
        with pytest.raises(ValueError, match=f"tick {tick} is outside"):
            sqrt_price_at_tick(tick)

    @pytest.mark.parametrize("price", [MIN_SQRT_PRICE_X96 - 1, MAX_SQRT_PRICE_X96, 0, -1])
    def test_prices_outside_are_refused(self, price: int) -> None:
        """The lower end is included, the upper end is not."""
        with pytest.raises(ValueError, match="is outside"):
            tick_at_sqrt_price(price)


class TestTickBitmap:
    def test_words_and_ticks_are_inverse(self) -> None:
        """Also for negative ticks, whose words round down."""
        ticks = [-887220, -15420, -15360, -60, 0, 60, 15300, 15360, 887220]
        words = words_from_ticks(ticks, 60)

        assert sorted(t for w, bits in words.items() for t in ticks_of_word(w, bits, 60)) == ticks

    @pytest.mark.parametrize(
        ("tick", "zero_for_one", "expected"),
        [
            (0, True, (0, True)),  # the tick itself counts downwards
            (0, False, (120, True)),  # and does not upwards
            (-1, False, (0, True)),
            (-1, True, (-15360, False)),  # the end of the word
            (121, False, (15300, False)),
            (15300, False, (30660, False)),
            (MIN_TICK, True, (MIN_TICK, False)),
            (MAX_TICK - 1, False, (MAX_TICK, False)),
        ],
    )
    def test_next_tick(self, tick: int, zero_for_one: bool, expected: tuple[int, bool]) -> None:
        """The next initialised tick in the word, or the word's end."""
        words = words_from_ticks([0, 120], 60)

        assert next_initialized_tick_within_one_word(words, tick, 60, zero_for_one) == expected


class TestQuotes:
    def test_nothing_for_nothing(self) -> None:
        """Zero is not an error."""
        assert pool(WIDE).amount_out(0, 1, 0) == 0
        assert pool(WIDE).amount_in(1, 0, 0) == 0

    def test_negative_amounts_are_refused(self) -> None:
        """Direction is never coded in a sign."""
        with pytest.raises(ValueError, match="cannot be negative"):
            pool(WIDE).amount_out(0, 1, -1)
        with pytest.raises(ValueError, match="cannot be negative"):
            pool(WIDE).amount_in(0, 1, -1)
        with pytest.raises(ValueError, match="positive amount"):
            pool(WIDE).swapped(0, 1, 0)

    def test_without_a_price(self) -> None:
        """A created pool that nobody has initialised."""
        fresh = v3_pool(SPEC, 0, 0, 0, {})

        for ask in (
            lambda: fresh.amount_out(0, 1, 1),
            lambda: fresh.amount_in(0, 1, 1),
            lambda: fresh.marginal_rate(0, 1),
            lambda: fresh.reserve_in(0, 1),
            fresh.depth,
            lambda: fresh.swapped(0, 1, 1),
        ):
            with pytest.raises(Uninitialised):
                ask()
        assert list(fresh.pieces(0, 1)) == []

    @pytest.mark.parametrize("zero_for_one", [True, False])
    def test_a_dry_pool(self, zero_for_one: bool) -> None:
        """More than there is: no quote, but the swap says what it takes and gives; exactly all of it is a quote."""
        shallow = pool(NARROW)
        swapped = shallow.swapped(*ends(zero_for_one), 10**30)

        assert 0 < swapped.amount_in < 10**30
        assert shallow.amount_out(*ends(zero_for_one), swapped.amount_in) == swapped.amount_out
        assert shallow.amount_in_exact_out(*ends(zero_for_one), swapped.amount_out) == swapped.amount_in
        with pytest.raises(InsufficientLiquidity, match="runs dry"):
            shallow.amount_out(*ends(zero_for_one), swapped.amount_in + 1)
        with pytest.raises(InsufficientLiquidity, match="runs dry"):
            shallow.amount_in(*ends(zero_for_one), swapped.amount_out + 1)
        with pytest.raises(PriceLimitAlreadyExceeded):
            swapped.pool.swapped(*ends(zero_for_one), 1)
        with pytest.raises(InsufficientLiquidity):
            swapped.pool.amount_out(*ends(zero_for_one), 1)

    def test_a_gap_is_jumped(self) -> None:
        """A swap crosses a stretch without liquidity for nothing, however many words it has."""
        far = pool((-600, 600, 10**18), (300_000, 300_600, 10**18))
        first = far.swapped(1, 0, 10**40, sqrt_price_limit_x96=sqrt_price_at_tick(600))

        assert far.amount_out(1, 0, first.amount_in) == first.amount_out
        assert far.amount_out(1, 0, first.amount_in + 10**22) > first.amount_out
        in_gap = first.pool
        assert in_gap.liquidity == 0
        assert in_gap.marginal_rate(1, 0) == pytest.approx(0.997 / 1.0001**300_000)
        assert in_gap.marginal_rate(0, 1) == pytest.approx(0.997 * 1.0001**600)
        assert in_gap.reserve_in(0, 1) == in_gap.reserve_in(1, 0) == 0

    def test_lowest_initial_price_cannot_be_sold_into(self) -> None:
        """A pool initialised at the very minimum: the contract refuses every price limit."""
        bottom = v3_pool(v3_spec("uniswap_v3", 100, 1), MIN_SQRT_PRICE_X96, MIN_TICK, 5, ticks_of([(MIN_TICK, 0, 5)]))

        with pytest.raises(InsufficientLiquidity, match="lowest price"):
            bottom.amount_out(0, 1, 10)
        with pytest.raises(InsufficientLiquidity, match="lowest price"):
            bottom.amount_in(0, 1, 10)
        with pytest.raises(PriceLimitAlreadyExceeded):
            bottom.swapped(0, 1, 10)

    def test_price_after_an_overflow(self) -> None:
        """One step over the whole range with an amount whose product with the price leaves 256 bits."""
        steep = pool_of(
            v3_spec("uniswap_v3", 0, 16383), [(-884_682, 884_682, 1 << 120)], sqrt_price_at_tick(884_000), 884_000
        )
        amount = 1 << 110

        assert steep.amount_out(0, 1, amount) == steep.swapped(0, 1, amount).amount_out > 0


class TestKnowledge:
    def part(self, words: tuple[int, int]) -> V3Pool:
        """The wide pool, of which only some words are known."""
        ticks = {t: i for t, i in ticks_of([NARROW]).items() if words[0] <= (t // 60) >> 8 <= words[1]}
        return v3_pool(SPEC, Q96, 0, 10**18 + 10**20, ticks, words)

    def test_a_quote_stays_in_the_known_words_or_fails(self) -> None:
        """Unknown is never taken as empty, and the error names the word to load."""
        part = self.part((-1, 0))
        whole = pool(WIDE, NARROW)

        assert part.amount_out(0, 1, 10**15) == whole.amount_out(0, 1, 10**15)
        assert part.amount_out(0, 1, 33 * 10**17) == whole.amount_out(0, 1, 33 * 10**17)
        with pytest.raises(UnknownRange, match="word -2 is unknown") as caught:
            part.amount_out(0, 1, 10**20)
        assert caught.value.word == -2
        with pytest.raises(UnknownRange) as caught:
            part.amount_in(1, 0, 5 * 10**18)
        assert caught.value.word == 1
        with pytest.raises(UnknownRange):
            part.swapped(0, 1, 10**20)

    def test_emptiness_at_the_edge_of_knowledge_is_not_dryness(self) -> None:
        """No liquidity left in the last known word: beyond it there may be more."""
        part = v3_pool(SPEC, Q96, 0, 10**20, ticks_of([NARROW]), (-1, 0))

        with pytest.raises(UnknownRange):
            part.amount_out(0, 1, 10**20)

    def test_the_current_word_must_be_known(self) -> None:
        """After a price move out of the known words nothing is answered."""
        moved = self.part((-1, 0)).with_price(sqrt_price_at_tick(40_000), 40_000, 10**18)

        with pytest.raises(UnknownRange):
            moved.amount_out(0, 1, 1)
        assert list(moved.pieces(0, 1)) == []

    def test_liquidity_needs_its_range(self) -> None:
        """±10 % must be known."""
        assert self.part((-1, 0)).depth() == pool(WIDE, NARROW).depth()
        with pytest.raises(UnknownRange):
            self.part((-1, 0)).depth(0.9)
        with pytest.raises(ValueError, match="between 0 and 1"):
            pool(WIDE).depth(1.5)

    def test_a_change_beyond_the_known_words_keeps_what_is_known(self) -> None:
        """A position over everything: both bounds unknown, the middle deeper."""
        part = self.part((-1, 0)).with_liquidity_change(-120_000, 120_000, 10**19)

        assert part.liquidity == 10**18 + 10**20 + 10**19
        assert part.ticks_agree()
        assert part.amount_out(0, 1, 10**15) == pool(WIDE, NARROW, (-120_000, 120_000, 10**19)).amount_out(0, 1, 10**15)

    def test_a_change_wholly_outside_changes_nothing(self) -> None:
        """Neither bound nor middle are known."""
        part = self.part((-1, 0))

        assert part.with_liquidity_change(60_000, 120_000, 10**19) == part
        assert part.with_liquidity_change(-120_000, -60_000, 10**19) == part


class TestConsistency:
    def test_ticks_must_add_up(self) -> None:
        """Half of a position is no pool."""
        with pytest.raises(ValueError, match="do not add up"):
            v3_pool(SPEC, Q96, 0, 10**18, {-600: TickLiquidity(10**18, 10**18)})
        with pytest.raises(ValueError, match="do not add up"):
            v3_pool(SPEC, Q96, 0, 5, ticks_of([NARROW]), (-1, 0))

    def test_ticks_stand_on_the_spacing(self) -> None:
        """A tick between cannot be initialised."""
        with pytest.raises(ValueError, match="no multiple of 60"):
            v3_pool(SPEC, Q96, 0, 0, ticks_of([(-61, 61, 5)]))

    def test_burning_too_much(self) -> None:
        """A missed mint shows."""
        with pytest.raises(ValueError, match="events were missed"):
            pool(WIDE).with_liquidity_change(-600, 600, -1)
        with pytest.raises(ValueError, match="leaves less than nothing"):
            pool((0, 600, 5), (1200, 1800, 5)).with_liquidity_change(600, 1200, -5)

    def test_a_swap_that_does_not_fit_the_ticks_shows(self) -> None:
        """The event's liquidity differs from what the known ticks lead to."""
        assert pool(WIDE).ticks_agree()
        assert not pool(WIDE).with_price(Q96, 0, 10**18 + 1).ticks_agree()

    def test_a_poke_changes_nothing(self) -> None:
        """Burn events of zero liquidity only collect fees."""
        known = pool(WIDE)

        assert known.with_liquidity_change(-77_700, 77_700, 0) is known

    def test_full_range_holds_the_outermost_ticks(self) -> None:
        """For every common spacing."""
        assert full_range(1) == (-3466, 3465)
        assert full_range(60) == (-58, 57)


@pytest.fixture(scope="module")
def quoter() -> tuple[V3Pool, dict[str, Any]]:
    """A real pool (WBTC/WETH 0.3 %) and what the on-chain Quoter answered."""
    folder = SHARED / "quotes"
    if not folder.is_dir():
        pytest.skip(f"no recorded quotes at {folder}")
    facts = json.loads((folder / "univ3_wbtc_weth_24407242.json").read_text())
    answers = json.loads((folder / "univ3_wbtc_weth_24407242_quotes.json").read_text())["entries"]
    scalars = facts["scalars"]
    ticks = {int(tick): TickLiquidity(gross, net) for tick, (gross, net, _) in facts["tick_data"].items()}
    spec = v3_spec("uniswap_v3", scalars["fee"], scalars["tick_spacing"])
    return v3_pool(spec, scalars["sqrt_price_x96"], scalars["tick"], scalars["liquidity"], ticks), answers


@pytest.mark.mainnet
def test_on_chain_quoter(quoter: tuple[V3Pool, dict[str, Any]]) -> None:
    """80 answers of the Quoter contract; where the pool runs dry, what the swap still moves."""
    real, answers = quoter
    for question, answer in answers.items():
        _, function, direction, text = question.split("|")
        zero_for_one, amount, exact_in = direction == "WBTC->WETH", int(text), "ExactInput" in function
        swapped = real.swapped(*ends(zero_for_one), amount, exact_in=exact_in)

        assert (swapped.amount_out if exact_in else swapped.amount_in) == answer["value"], question
        filled = amount == (swapped.amount_in if exact_in else swapped.amount_out)
        if filled:
            quote = real.amount_out if exact_in else real.amount_in_exact_out
            assert quote(*ends(zero_for_one), amount) == answer["value"], question
    assert len(answers) == 80
