"""What the Vault keeps of a pool: by token, the cash that it holds and what an asset manager has out ("managed").

A pool reckons with the sum; the Vault can pay only the cash. Each amount has 112 bits; the block of the last change,
which the Vault keeps beside them, does not matter to a swap and is not kept here.

Storage of the Vault (mappings by pool id)::

    slot 1  GENERAL            length at +0; +1 is a mapping by index of two slots: token, balance
    slot 7  MINIMAL_SWAP_INFO  a mapping of balances by token
    slot 9  TWO_TOKEN          +2 is a mapping by hash of the pair of two slots: both cash amounts, both managed ones
    slot 0  the lock; slot 3: paused in the lowest byte, then the authorizer
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.balancer.facts import Specialisation, pool_address, specialisation
from flasharb.pools.storage import CorruptPool
from flasharb.units import Address, Hash32, checksum

MAX_BALANCE: Final = (1 << 112) - 1
"""The most that the Vault keeps of one token, cash and managed together."""

PAUSED: Final = 3
"""The Vault's slot with its pause in the lowest byte."""
_GENERAL: Final = 1
_MINIMAL: Final = 7
_TWO_TOKEN: Final = 9
_UINT160: Final = (1 << 160) - 1

Slot = tuple[Address, int]
"""A storage slot of a contract."""


@dataclass(frozen=True, slots=True)
class Balances:
    """Cash and managed amounts by token, in smallest units."""

    cash: tuple[int, ...]
    managed: tuple[int, ...]


def balances_of(vault: Address, pool_id: Hash32, tokens: tuple[Address, ...], slots: Mapping[Slot, int]) -> Balances:
    """The balances of a pool's tokens, in the pool's order; all of ``balance_slots`` must be known.

    Raises:
        CorruptPool: the Vault knows other tokens than these.
    """
    kind = specialisation(pool_id)
    words = [slots[vault, slot] for slot in balance_slots(pool_id, tokens)]
    if kind is Specialisation.TWO_TOKEN:
        cash, managed = words
        return Balances(_pair(cash), _pair(managed))
    if kind is Specialisation.GENERAL:
        length, keys, words = words[0], words[1::2], words[2::2]
        if length != len(tokens) or [key & _UINT160 for key in keys] != [int.from_bytes(t, "big") for t in tokens]:
            raise CorruptPool(f"the Vault's tokens of {checksum(pool_address(pool_id))} are not those of the pool")
    return Balances(tuple(word & MAX_BALANCE for word in words), tuple(word >> 112 & MAX_BALANCE for word in words))


def balance_slots(pool_id: Hash32, tokens: tuple[Address, ...]) -> list[int]:
    """The Vault's slots with a pool's balances."""
    kind = specialisation(pool_id)
    if kind is Specialisation.TWO_TOKEN:
        pair = entry(keccak(tokens[0] + tokens[1]), entry(pool_id, _TWO_TOKEN) + 2)
        return [pair, pair + 1]
    if kind is Specialisation.MINIMAL_SWAP_INFO:
        base = entry(pool_id, _MINIMAL)
        return [entry(token, base) for token in tokens]
    base = entry(pool_id, _GENERAL)
    entries = [entry(index.to_bytes(32, "big"), base + 1) for index in range(len(tokens))]
    return [base, *(slot for at in entries for slot in (at, at + 1))]


def entry(key: bytes, slot: int) -> int:
    """The storage slot of ``mapping[key]`` for a mapping at ``slot``; an address stands to the right of its word."""
    return int.from_bytes(keccak(key.rjust(32, b"\0") + slot.to_bytes(32, "big")), "big")


def _pair(word: int) -> tuple[int, int]:
    return word & MAX_BALANCE, word >> 112 & MAX_BALANCE
