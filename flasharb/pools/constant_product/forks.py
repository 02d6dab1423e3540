"""Pairs that nobody's factory vouches for, known by their deployed code: what they charge, and where they keep what.

Many factories create pairs of the very code of Uniswap's; others change the fee. What a fork really enforces is found
out by running its code: the greatest output that its product check lets pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.constant_product.storage import V2Layout
from flasharb.pools.constant_product.storage import load as load_pair
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, address_in, contradiction, stored_spec
from flasharb.units import PIPS, Address, Hash32, address

PROTOCOL: Final = "v2_fork"


_USUAL: Final = V2Layout()


@dataclass(frozen=True, slots=True)
class Fork:
    """One code. ``fee`` in hundredths of a basis point, or None where numerator and denominator stand in ``fee_slots``.

    ``tokens`` is the slot of token0; token1 follows it.
    """

    name: str
    layout: V2Layout = _USUAL
    fee: int | None = 3000
    fee_slots: tuple[int, int] | None = None
    tokens: int = 6

    def slots(self) -> frozenset[int]:
        """What tells tokens and fee."""
        return frozenset({self.tokens, self.tokens + 1, *(self.fee_slots or ())})

    def fee_pips(self, slots: Mapping[int, int]) -> int | Refused:
        """The fee that the product check enforces."""
        if self.fee is not None:
            return self.fee
        assert self.fee_slots is not None
        numerator, denominator = (slots[slot] for slot in self.fee_slots)
        # the check compares with the reserves' product times denominator ** numerator instead of its square
        if numerator != 2 or not denominator or numerator * PIPS % denominator:
            return Refused(f"a fee of {numerator}/{denominator} is not what the pair's check enforces")
        return numerator * PIPS // denominator


FORKS: Final[Mapping[str, Fork]] = {
    "5b83bdbcc56b2e630f2807bbadd2b0c21619108066b92a58de081261089e9ce5": Fork("UniswapV2Pair"),
    "cd82e2d9daddbf51cbce8d5429a0996e16fc670c4056566f19cf8864ad45a746": Fork("SushiSwap"),
    "2e0f3e21ca69aee96b58df58d8c7ceb4ec94ebddb33ff6347207980fda7aa0fa": Fork("SushiSwap, a later build"),
    "d8c312d079cd52120202285f85ea7954d118386c62faa17e27c8d2b1d81bdb21": Fork("PancakeSwap, first generation", fee=2000),
    "73f5b0f762a0557ec4b135108e719884532887167fa14c0d6b7807943d70d96d": Fork(
        "SaitaSwap", V2Layout(reserves=10), fee=None, fee_slots=(8, 9)
    ),
}
"""Forks by the hash of their deployed code."""

FACTORIES: Final[Mapping[int, tuple[Address, ...]]] = {
    1: (
        address("0x35113a300ca0D7621374890ABFEAC30E88f214b1"),  # SaitaSwap
        address("0x9DEB29c9a4c7A88a3C0257393b7f3335338D9A9D"),  # Crypto.com's DeFi Swap
        address("0x75e48C954594d64ef9613AeEF97Ad85370F13807"),  # SakeSwap
    )
}
"""Factories whose pairs are looked at, by chain; that a factory stands here vouches for none of them."""


def identify(pool: Address, slots: Mapping[int, int], elsewhere: Elsewhere) -> PoolSpec | Needs | Refused | None:
    """The pair at this address, or what must be known to say so; None where its code is no known fork's."""
    code_hash: Hash32 | None = elsewhere.code_hashes.get(pool)
    if code_hash is None:
        return Needs(code=frozenset({pool}))
    fork = FORKS.get(code_hash.hex())
    if fork is None:
        return None
    missing = fork.slots() - slots.keys()
    if missing:
        return Needs(missing)
    fee = fork.fee_pips(slots)
    if isinstance(fee, Refused):
        return fee
    tokens = address_in(slots[fork.tokens]), address_in(slots[fork.tokens + 1])
    return stored_spec(lambda: PoolSpec(pool, PROTOCOL, tokens, fee))


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> V2Pool | Needs | Refused:
    """The pair, once code and storage have shown that it is what its spec says."""
    told = identify(spec.address, slots, elsewhere)
    if told is None:
        return Refused("its code is that of no fork of Uniswap V2 that is known")
    if not isinstance(told, PoolSpec):
        return told
    if told != spec:
        return contradiction(spec, told)
    return load_pair(spec, FORKS[elsewhere.code_hashes[spec.address].hex()].layout, slots)


def vouch(_spec: PoolSpec, _chain_id: int) -> str | None:
    """Nothing: code and storage vouch for the pair when it is loaded."""
    return None
