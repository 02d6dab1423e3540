"""The pool after each event of its contract.

A TokenExchange is computed anew and must come out at the event's own amounts (and price scale, where it is told).
Deposits and withdrawals also move D, oracle and profit, which their events do not tell: the pool must be loaded.
"""

from __future__ import annotations

from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.cryptoswap.pool import CryptoSwapPool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.needs import NeedsReload


def _topic(signature: str) -> bytes:
    return keccak(signature.encode())


def _words(name: str, *counts: int, first: str = "uint256") -> frozenset[bytes]:
    """Topics of an event of so many words, the first one of type ``first``."""
    return frozenset(_topic(f"{name}({','.join((first, *['uint256'] * (count - 1)))})") for count in counts)


TOKEN_EXCHANGE: Final = _words("TokenExchange", 5, 7, first="address")
"""(buyer, sold_id, tokens_sold, bought_id, tokens_bought), and in "ng" fee and packed price scale after it."""

_REASONS: Final = {
    "a deposit": frozenset(
        _topic(f"AddLiquidity(address,uint256[{n}],{rest})")
        for n in (2, 3)
        for rest in ("uint256,uint256", "uint256,uint256,uint256")
    ),
    "a withdrawal": frozenset(_topic(f"RemoveLiquidity(address,uint256[{n}],uint256)") for n in (2, 3))
    | _words("RemoveLiquidityOne", 4, 6, first="address"),
    "collected fees": frozenset(_topic(f"ClaimAdminFee(address,{kind})") for kind in ("uint256", "uint256[2]")),
    "new parameters": _words("NewParameters", 6, 7),
    "a ramp of A and gamma": _words("RampAgamma", 6) | _words("StopRampA", 3),
}


def reload_reason(topic: bytes) -> str | None:
    """Why the pool must be loaded after an event other than TokenExchange; None if it changes nothing."""
    return next((f"{reason} moved the pool" for reason, topics in _REASONS.items() if topic in topics), None)


def after_token_exchange(
    pool: CryptoSwapPool, amounts: tuple[int, int, int, int], timestamp: int, price_scale: int | None = None
) -> CryptoSwapPool:
    """After TokenExchange; ``amounts`` are (sold_id, tokens_sold, bought_id, tokens_bought), ``timestamp`` the block's.

    Raises:
        NeedsReload: the contract also collected its fees, or our state was not the contract's.
    """
    i, amount_in, j, amount_out = amounts
    try:
        swap = pool.at(timestamp).swapped(i, j, amount_in)
    except QuoteUnavailable as error:
        raise NeedsReload(f"the pool should not have been able to swap: {error}") from None
    if swap.amount_out != amount_out:
        raise NeedsReload(f"the event pays {amount_out}, our state {swap.amount_out}")
    if price_scale is not None and price_scale != _packed(swap.pool.prices.scale):
        raise NeedsReload("the event's price scale is not ours")
    return swap.pool


def _packed(scale: tuple[int, ...]) -> int:
    return scale[0] if len(scale) == 1 else scale[0] | scale[1] << 128
