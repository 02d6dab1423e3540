"""How a Curve pool is called, which differs between generations of contracts as little as their mathematics agrees.

The facts of every pool of the kind ``curve`` answer ``Called``, so that the encoder asks them and knows no generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from flasharb.units import Address

_FORWARDERS: Final = (
    # minimal proxies (EIP-1167), and what the compilers before 0.2.9 made
    (bytes.fromhex("363d3d373d3d3d363d73"), bytes.fromhex("5af43d82803e903d91602b57fd5bf3")),
    (bytes.fromhex("366000600037611000600036600073"), bytes.fromhex("5af4602c57600080fd5b6110006000f3")),
)


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """How a pool is called.

    ``coins``: how many it has; index ``coins`` of its tokens is the LP token. ``uint_indices``: indices are uint256
    (crypto pools), else int128. ``dynamic_amounts``: ``add_liquidity`` takes an array of any length (the new factory's
    stable pools). ``ether``: the coin that is ether, which a market may well list as WETH; None: none is.
    """

    coins: int
    uint_indices: bool = False
    dynamic_amounts: bool = False
    ether: int | None = None

    @property
    def called(self) -> CurveFacts:
        """These."""
        return self


@runtime_checkable
class Called(Protocol):
    """Facts of a Curve pool, whatever its mathematics."""

    @property
    def called(self) -> CurveFacts:
        """How the pool is called."""
        ...


def forwards_to(code: bytes) -> Address | None:
    """The contract that a factory's pool delegates all its calls to; None where this code is no such forwarder."""
    for head, tail in _FORWARDERS:
        if len(code) == len(head) + 20 + len(tail) and code.startswith(head) and code.endswith(tail):
            return Address(code[len(head) : len(head) + 20])
    return None


def coins_digits(item: object, scale: int) -> tuple[int, ...]:
    """A pool file's list of the coins' decimals as powers of ten that lift each to ``scale`` digits.

    Raises:
        ValueError: no list of two to eight whole numbers up to ``scale``.
    """
    digits = item if isinstance(item, list) else []
    if not 2 <= len(digits) <= 8 or not all(type(one) is int and 0 <= one <= 18 for one in digits):
        raise ValueError(f"decimals: expected those of all coins, each from 0 to 18, not {item!r}")
    return tuple(10 ** (scale - one) for one in digits)
