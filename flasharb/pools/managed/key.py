"""What is fixed about a pool inside Uniswap V4's PoolManager: its key, and what its hooks may do.

The manager knows a pool by its id, the hash of its key (PoolId.sol). What a hook may do is written in the low bits of
its address (Hooks.sol), so admission needs no call: a hook without the four bits of swaps is never called in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.managed.fees import MAX_PROTOCOL_FEE, swap_fee
from flasharb.pools.spec import PoolSpec
from flasharb.units import PIPS, ZERO_ADDRESS, Address, checksum

PROTOCOL: Final = "uniswap_v4"
DYNAMIC_FEE: Final = 0x800000
MAX_TICK_SPACING: Final = 32767
ALL_HOOK_BITS: Final = (1 << 14) - 1

# in the order in which the manager asks for them
_SWAP_BITS: Final = (
    (1 << 7, "beforeSwap"),
    (1 << 6, "afterSwap"),
    (1 << 3, "beforeSwapReturnsDelta"),
    (1 << 2, "afterSwapReturnsDelta"),
)


@dataclass(frozen=True, slots=True)
class PoolKey:
    """The manager's PoolKey; currencies ascend, ether is the zero address. ``fee`` in pips, or ``DYNAMIC_FEE``."""

    currency0: Address
    currency1: Address
    fee: int
    tick_spacing: int
    hooks: Address = ZERO_ADDRESS

    def pool_id(self) -> bytes:
        """The 32 bytes by which the manager knows the pool."""
        numbers = (self.fee.to_bytes(32, "big"), self.tick_spacing.to_bytes(32, "big", signed=True))
        words = (bytes(12) + self.currency0, bytes(12) + self.currency1, *numbers, bytes(12) + self.hooks)
        return keccak(b"".join(words))


@dataclass(frozen=True, slots=True)
class ManagedFacts:
    """The facts of a pool of this protocol, beside those of its spec; ``admit`` holds ``pool_id`` against the key.

    ``native``: the pool holds ether, and the spec names its wrapper instead, which routes can do more with; whoever
    runs a trade wraps and unwraps around the pool.
    """

    manager: Address
    pool_id: bytes
    hooks: Address = ZERO_ADDRESS
    native: bool = False

    @property
    def hook_bits(self) -> int:
        """The permissions of the hooks, as the manager reads them off their address."""
        return int.from_bytes(self.hooks, "big") & ALL_HOOK_BITS


def facts_of(spec: PoolSpec) -> ManagedFacts:
    """The facts of a pool of this protocol."""
    assert isinstance(spec.facts, ManagedFacts)
    return spec.facts


def key_of(spec: PoolSpec) -> PoolKey:
    """The manager's key of a pool of this protocol."""
    facts = facts_of(spec)
    currency0 = ZERO_ADDRESS if facts.native else spec.token0
    return PoolKey(currency0, spec.token1, spec.fee_pips, spec.tick_spacing, facts.hooks)


def spec_of(manager: Address, key: PoolKey, wrapped_native: Address | None = None) -> PoolSpec:
    """The market's view: its key is the first 20 bytes of the id, since the contract holds many pools.

    Ether is called by the name of its wrapper where that is given; not in a pool between the two.
    """
    pool_id = key.pool_id()
    native = wrapped_native is not None and key.currency0 == ZERO_ADDRESS and key.currency1 != wrapped_native
    currency0 = wrapped_native if native and wrapped_native is not None else key.currency0
    return PoolSpec(
        Address(pool_id[:20]),
        PROTOCOL,
        (currency0, key.currency1),
        key.fee,
        key.tick_spacing,
        ManagedFacts(manager, pool_id, key.hooks, native),
    )


def admit(spec: PoolSpec) -> str | None:
    """Why the pool must not be traded, or None."""
    facts = facts_of(spec)
    if len(spec.tokens) != 2 or not key_of(spec).currency0 < spec.token1:
        return f"currencies out of order: {' and '.join(map(checksum, spec.tokens))}"
    if not 1 <= spec.tick_spacing <= MAX_TICK_SPACING:
        return f"tick spacing {spec.tick_spacing} is not between 1 and {MAX_TICK_SPACING}"
    if spec.fee_pips == DYNAMIC_FEE:
        return "dynamic fee: its hook may set another fee for each swap"
    if not 0 <= spec.fee_pips <= PIPS or swap_fee(MAX_PROTOCOL_FEE, spec.fee_pips) >= PIPS:
        return f"fee of {spec.fee_pips} pips: with the protocol's share it may reach the whole input"
    pool_id = key_of(spec).pool_id()
    if pool_id != facts.pool_id:
        return f"pool id 0x{facts.pool_id.hex()} is not that of its key, 0x{pool_id.hex()}"
    if spec.address != pool_id[:20]:
        return f"{checksum(spec.address)} is not how its id 0x{pool_id.hex()} begins"
    touching = [name for bit, name in _SWAP_BITS if facts.hook_bits & bit]
    if touching:
        return f"hooks {checksum(facts.hooks)} take part in swaps: {', '.join(touching)}"
    return None
