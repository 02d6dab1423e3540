"""What is fixed about a pool: address, protocol, tokens, fee, and the facts that only its protocol knows."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token."""

    address: Address
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """The immutable facts of a pool.

    ``address`` is the market's key: the contract; for a pool inside a singleton the first 20 bytes of its id.
    ``protocol`` is a key of ``pools.protocols.PROTOCOLS`` (``uniswap_v2``, ``pancakeswap_v3``, …). ``tokens`` stand in
    the protocol's own order, which is what the indices of a quote mean; ether itself is the zero address.
    ``tick_spacing`` is 0 where there are no ticks. ``facts`` is a frozen dataclass of the protocol's own.
    """

    address: Address
    protocol: str
    tokens: tuple[Address, ...]
    fee_pips: int
    tick_spacing: int = 0
    facts: Hashable = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a pool.

        Raises:
            ValueError: less than two tokens, or one twice.
        """
        if len(self.tokens) < 2 or len(set(self.tokens)) != len(self.tokens) or set(map(len, self.tokens)) != {20}:
            raise ValueError(f"a pool has two tokens or more, addresses of 20 bytes, each once; not {self.tokens!r}")

    @property
    def token0(self) -> Address:
        """The first token."""
        return self.tokens[0]

    @property
    def token1(self) -> Address:
        """The second token."""
        return self.tokens[1]

    def ends(self, token_in: Address, token_out: Address) -> tuple[int, int]:
        """The indices of two of its tokens.

        Raises:
            ValueError: the pool does not hold one of them.
        """
        return self.tokens.index(token_in), self.tokens.index(token_out)
