"""StableSwap contracts that no recorded block holds, as compiled code, in the local EVM.

Their sources allow no copies, so neither they nor their code are part of the repository. Whoever has them compiled
gives a folder in the environment variable ``FLASHARB_CURVE``: JSON files of ``{name: "0x<runtime code>"}``, names as
one likes, since a code is known by its hash. Without it the recorded answers are compared (``compiled_cases``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from eth_hash.auto import keccak

from flasharb.evm import Account
from flasharb.pools.stableswap.codes import THREE_POOL
from flasharb.pools.stableswap.rules import EARLY
from flasharb.units import Address
from tests.support import curve_bytecode as chain

FOLDER = os.environ.get("FLASHARB_CURVE")
CRV_TOKEN_CODE = "7970dd9a"
"""How the hash of 3Crv's code begins (the second generation of LP tokens)."""
_BALANCES, _ALLOWANCES = 3, 4
_THREE_POOL_CODE = "954a1e21"


@cache
def codes() -> Mapping[str, bytes]:
    """The compiled codes by hash."""
    assert FOLDER is not None
    found = {}
    for file in sorted(Path(FOLDER).glob("*.json")):
        for text in json.loads(file.read_text()).values():
            code = bytes.fromhex(text.removeprefix("0x"))
            found[keccak(code).hex()] = code
    return found


def code(start: str) -> bytes:
    """The code whose hash begins so."""
    return next(code for at, code in codes().items() if at.startswith(start))


def vyper_mapping(slot: int, *keys: bytes) -> int:
    """The slot of ``mapping[key]`` in Vyper, which hashes the slot before the key."""
    for key in keys:
        slot = int.from_bytes(keccak(slot.to_bytes(32, "big") + key.rjust(32, b"\0")), "big")
    return slot


def three_crv(holders: Mapping[Address, int], supply: int, spender: Address) -> Account:
    """The LP token of the base pool with its own code; holders let the spender take what they have."""
    storage = {5: supply}
    for holder, amount in holders.items():
        storage[vyper_mapping(_BALANCES, holder)] = amount
        storage[vyper_mapping(_ALLOWANCES, holder, spender)] = (1 << 256) - 1
    return Account(nonce=1, code=code(CRV_TOKEN_CODE), storage=storage)


def three_pool(balances: tuple[int, ...], a: int, fee: int) -> dict[int, int]:
    """The slots of the base pool."""
    at = EARLY.slots
    assert at.coins is not None
    assert at.lp_token is not None
    slots = {at.balances + k: balance for k, balance in enumerate(balances)}
    slots |= {at.coins + k: chain.number_of(coin) for k, coin in enumerate(THREE_POOL.tokens[:3])}
    return slots | {at.fee: fee, at.initial_a: a, at.future_a: a, at.lp_token: chain.number_of(THREE_POOL.tokens[3])}


def three_pool_account(slots: Mapping[int, int]) -> Account:
    """The base pool with its own code."""
    return Account(nonce=1, code=code(_THREE_POOL_CODE), storage=dict(slots))
