"""What a token is worth in USD, read from the market's own pools. Figures for filters and people, hence Decimal.

A token listed as USD counts as one. Any other is priced by its pools against those tokens and against wrapped ETH
(whose own price comes first, from its pools or from a configured Chainlink feed): the median of their prices, each
weighted by the USD that the pool holds on the priced side within 10 % of its price, so that a thin or manipulated pool
cannot move it. There is no constant to fall back on: a token without such a pool has no price, and says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Final

from flasharb.market.snapshot import Market
from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.errors import QuoteUnavailable, Uninitialised
from flasharb.units import Address, checksum

ONE: Final = Decimal(1)
_X96: Final = Decimal(1 << 96)
_V2_WITHIN_TEN_PERCENT: Final = (ONE - 1 / Decimal("1.1").sqrt(), ONE - Decimal("0.9").sqrt())
"""Shares of reserve0 and reserve1 that a constant-product pool pays until its price has moved by +10 % and -10 %."""


@dataclass(frozen=True, slots=True)
class NoPrice:
    """Why a token has no price."""

    token: Address
    reason: str

    def __str__(self) -> str:
        """The token and the reason."""
        return f"{checksum(self.token)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A pool's word on a token: ``price`` of a whole token in USD, and the USD that stands behind it."""

    pool: Address
    price: Decimal
    weight_usd: Decimal


class Prices:
    """USD prices at one snapshot, each worked out when first asked for."""

    def __init__(
        self,
        market: Market,
        usd_tokens: Collection[Address],
        wrapped_native: Address | None = None,
        native_usd: Decimal | None = None,
    ) -> None:
        """``native_usd`` is a configured feed's price of one ETH; None reads it from the pools."""
        self._market = market
        self._usd = frozenset(usd_tokens)
        self._native = wrapped_native
        self._told: dict[Address, list[Reference]] = {}
        self._known: dict[Address, Decimal | NoPrice] = dict.fromkeys(self._usd, ONE)
        if wrapped_native is not None and native_usd is not None:
            self._known[wrapped_native] = (
                native_usd if native_usd > 0 else NoPrice(wrapped_native, f"the price feed says {native_usd}")
            )

    def of(self, token: Address) -> Decimal | NoPrice:
        """USD per whole token."""
        try:
            return self._known[token]
        except KeyError:
            found = self._known[token] = self._work_out(token)
            return found

    def usd(self, token: Address, amount: int) -> Decimal | NoPrice:
        """The worth of ``amount`` smallest units."""
        price, decimals = self.of(token), self._decimals(token)
        if isinstance(price, NoPrice) or isinstance(decimals, NoPrice):
            return price if isinstance(price, NoPrice) else _either(decimals)
        return price * Decimal(amount).scaleb(-decimals)

    def units(self, token: Address, usd: Decimal) -> Decimal | NoPrice:
        """How many smallest units of the token (not rounded) are worth ``usd``."""
        price, decimals = self.of(token), self._decimals(token)
        if isinstance(price, NoPrice) or isinstance(decimals, NoPrice):
            return price if isinstance(price, NoPrice) else _either(decimals)
        return (usd / price).scaleb(decimals)

    def rate(self, token_in: Address, token_out: Address) -> Decimal | NoPrice:
        """Smallest units of ``token_out`` per smallest unit of ``token_in``, both valued in USD."""
        if token_in == token_out:
            return ONE
        worth = self.usd(token_in, 1)
        return worth if isinstance(worth, NoPrice) else self.units(token_out, worth)

    def references(self, token: Address) -> list[Reference]:
        """The pools that price a token."""
        known = self._told.get(token)
        if known is None:
            known = self._told[token] = list(self._references(token))
        return known

    @property
    def native(self) -> Decimal | NoPrice | None:
        """USD per wrapped ETH; None when no token is named as that."""
        return None if self._native is None else self.of(self._native)

    def follows(self, token: Address) -> tuple[Decimal, Decimal] | None:
        """Between what prices a token lies if it follows wrapped ETH; None where ETH has no say.

        While no pool changes and ETH's price grows (or shrinks) by some factor, its price stays within these bounds,
        the upper (or the lower) one times that factor.
        """
        if self._native is None or token in self._usd:
            return None
        price = self.of(token)
        if isinstance(price, NoPrice):
            return None
        if token == self._native:
            return price, price
        if not self._market.pools_between(token, self._native):
            return None
        if not any(self._market.pools_between(token, usd) for usd in self._usd):
            return price, price
        told = [reference.price for reference in self.references(token)]
        return min(told), max(told)

    def _decimals(self, token: Address) -> int | NoPrice:
        known = self._market.tokens.get(token)
        return NoPrice(token, "its decimals are not known (no token list has it)") if known is None else known.decimals

    def _work_out(self, token: Address) -> Decimal | NoPrice:
        decimals = self._decimals(token)
        if isinstance(decimals, NoPrice):
            return decimals
        references = self.references(token)
        if not references:
            return NoPrice(token, "no pool of the market holds it against a USD token or wrapped ETH")
        return weighted_median(references)

    def _references(self, token: Address) -> Iterator[Reference]:
        quotes = [*sorted(self._usd)]
        if self._native is not None and token != self._native and self._native not in self._usd:
            quotes.append(self._native)
        for quote in quotes:
            worth = self.usd(quote, 1) if quote != token else None
            if worth is None or isinstance(worth, NoPrice):
                continue
            for address in self._market.pools_between(token, quote):
                reference = self._reference(self._market.pools[address], token, quote, worth)
                if reference is not None:
                    yield reference

    def _reference(self, pool: Pool, token: Address, quote: Address, worth: Decimal) -> Reference | None:
        """``worth``: USD per smallest unit of ``quote``."""
        decimals = self._decimals(token)
        if isinstance(decimals, NoPrice):
            return None
        i, j = pool.spec.ends(token, quote)
        try:
            per_unit, depth = _spot(pool, i, j), _depth(pool, i, j)
        except QuoteUnavailable:
            return None
        weight = depth * worth
        price = (per_unit * worth).scaleb(decimals)
        return Reference(pool.spec.address, price, weight) if weight > 0 and price > 0 else None


def usd_prices(
    market: Market,
    usd_tokens: Collection[Address],
    wrapped_native: Address | None = None,
    native_usd: Decimal | None = None,
) -> Prices:
    """The USD prices of a market; see ``Prices``."""
    return Prices(market, usd_tokens, wrapped_native, native_usd)


def chainlink_usd(answer: int, decimals: int) -> Decimal:
    """The price that a Chainlink aggregator's ``latestRoundData`` answer means."""
    return Decimal(answer).scaleb(-decimals)


def weighted_median(references: list[Reference]) -> Decimal:
    """The price at which half of the weight lies on each side (the lower of two, for a tie)."""
    if len(references) == 1:
        return references[0].price
    ordered = sorted(references, key=lambda reference: (reference.price, reference.pool))
    half = sum((reference.weight_usd for reference in ordered), Decimal(0)) / 2
    passed = Decimal(0)
    for reference in ordered:
        passed += reference.weight_usd
        if passed >= half:
            return reference.price
    raise ValueError("no references")


def _spot(pool: Pool, i: int, j: int) -> Decimal:
    """Smallest units of token j per smallest unit of token i, at the margin and without fee.

    Raises:
        QuoteUnavailable: no price.
    """
    match pool:
        case V2Pool():
            return Decimal(pool.reserve_in(j, i)) / Decimal(pool.reserve_in(i, j))
        case V3Pool():
            if not pool.sqrt_price_x96:
                raise Uninitialised("the pool has no price yet")
            root = Decimal(pool.sqrt_price_x96) / _X96
            return 1 / (root * root) if i else root * root
        case _:
            # the fee is in both directions, and cancels
            return Decimal(sqrt(pool.marginal_rate(i, j) / pool.marginal_rate(j, i)))


def _depth(pool: Pool, i: int, j: int) -> Decimal:
    """What the pool pays of token j within 10 % of its price.

    Raises:
        QuoteUnavailable: no price, or that is not known.
    """
    match pool:
        case V2Pool():
            return pool.reserve_in(j, i) * _V2_WITHIN_TEN_PERCENT[j]
        case V3Pool():
            return Decimal(pool.depth()[j])
        case _:
            return Decimal(_paid_near_the_price(pool, i, j))


def _paid_near_the_price(pool: Pool, i: int, j: int) -> int:
    """An amount of token j that the pool pays at 95 % of its marginal rate or better, within a factor of two the most.

    An average rate 5 % below the marginal one is where a constant-product pool's price has moved by 10 %.
    """
    least, amount = pool.marginal_rate(i, j) * 0.95, pool.reserve_in(i, j)
    while amount:
        try:
            paid = pool.amount_out(i, j, amount)
        except QuoteUnavailable:
            paid = 0
        if paid >= amount * least:
            return paid
        amount //= 2
    return 0


def _either(value: int | NoPrice) -> NoPrice:
    assert isinstance(value, NoPrice)
    return value
