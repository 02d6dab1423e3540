"""The code of Curve's contracts out of the recorded mainnet blocks, read where it stands, in the local EVM.

Their sources allow no copies, so nothing of them is part of the repository: without the recorded blocks the tests that
need them are skipped. Coins and LP tokens are a plain token of our own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pytest
from eth_hash.auto import keccak

from flasharb.evm import Account, BlockContext, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.units import Address
from tests.conftest import SHARED
from tests.support.assembly import assemble

MAINNET = SHARED / "mainnet"
needs_mainnet = pytest.mark.skipif(not MAINNET.is_dir(), reason=f"no recorded mainnet blocks at {MAINNET}")

TIMESTAMP = 1_720_000_000
TRADER = Address(bytes.fromhex("0000000000000000000000000000000000005e4d"))
PLENTY = 1 << 250
SUPPLY_SLOT = 7
"""Where the plain token keeps its total supply."""

# name: (block, address) of a contract whose code the recorded blocks hold
CONTRACTS = {
    "3pool": (17666333, "0xbebc44782c7db0a1a60cb6fe97d0b483032ff1c7"),
    "fraxbp": (18885292, "0xdcef968d416a41cdac0ed8702fac8128a64241a2"),
    "stable-ng": (19932148, "0x02950460e2b9529d0e00284a5fa2d7bdf3fa4d72"),
    "tricrypto2": (17666333, "0xd51a44d3fae010294c616388b506acda1bfaae46"),
    "tricrypto2-math": (17666333, "0x8f68f4810cce3194b6cb6f3d50fa58c2c9bdd1d5"),
    "tricrypto2-token": (17666333, "0xc4ad29ba4b3c580e6d59105fff484999997675ff"),
    "tricrypto-ng": (18884864, "0x7f86bf177dd4f3494b841a37e810a34dd56c829b"),
    "tricrypto-ng-math": (18884864, "0xcbff3004a20dbfe2731543aa38599a526e0fd6ee"),
    "twocrypto": (18885292, "0xa85461afc2deec01bda23b5cd267d51f765fba10"),
    "twocrypto-ng": (21066632, "0x9dbcfc09e651c040ee68d6dbeb8a09f8dd0caa77"),
    "twocrypto-ng-math": (21066632, "0x2005995a71243be9fb995dab4742327dc76564df"),
}


@cache
def recorded_block(number: int) -> Any:
    """A recorded block's JSON."""
    return json.loads(gzip.decompress((MAINNET / f"{number}.json.gz").read_bytes()))


@cache
def recorded_code(name: str) -> bytes:
    """The code of one of ``CONTRACTS``."""
    number, address = CONTRACTS[name]
    block = recorded_block(number)
    return bytes.fromhex(block["codes"][block["pre_state"][address]["code_hash"]][2:])


def recorded_address(name: str) -> Address:
    """Where that contract stands."""
    return Address(bytes.fromhex(CONTRACTS[name][1][2:]))


def selector(signature: str) -> int:
    """The first four bytes of a function's hash."""
    return int.from_bytes(keccak(signature.encode())[:4], "big")


def _jumps(*functions: tuple[str, str]) -> str:
    return "\n".join(f"DUP1 0x{selector(name):x} EQ @{label} JUMPI" for name, label in functions)


_DISPATCH = _jumps(
    ("transfer(address,uint256)", "transfer"),
    ("transferFrom(address,address,uint256)", "transfer_from"),
    ("balanceOf(address)", "balance"),
    ("totalSupply()", "supply"),
    ("mint(address,uint256)", "mint"),
    ("burnFrom(address,uint256)", "burn"),
    ("approve(address,uint256)", "nothing"),
    ("deposit()", "nothing"),
    ("withdraw(uint256)", "nothing"),
)

# balances stand in the slot that is the holder's address; no allowances; a wrapped coin that never really unwraps
TOKEN_CODE = assemble(
    f"""
    0 CALLDATALOAD 224 SHR
    {_DISPATCH}
    0 0 REVERT
    transfer:
    36 CALLDATALOAD CALLER SLOAD SUB CALLER SSTORE
    4 CALLDATALOAD SLOAD 36 CALLDATALOAD ADD 4 CALLDATALOAD SSTORE
    1 0 MSTORE 32 0 RETURN
    transfer_from:
    68 CALLDATALOAD 4 CALLDATALOAD SLOAD SUB 4 CALLDATALOAD SSTORE
    36 CALLDATALOAD SLOAD 68 CALLDATALOAD ADD 36 CALLDATALOAD SSTORE
    1 0 MSTORE 32 0 RETURN
    balance:
    4 CALLDATALOAD SLOAD 0 MSTORE 32 0 RETURN
    supply:
    {SUPPLY_SLOT} SLOAD 0 MSTORE 32 0 RETURN
    mint:
    {SUPPLY_SLOT} SLOAD 36 CALLDATALOAD ADD {SUPPLY_SLOT} SSTORE
    4 CALLDATALOAD SLOAD 36 CALLDATALOAD ADD 4 CALLDATALOAD SSTORE
    1 0 MSTORE 32 0 RETURN
    burn:
    36 CALLDATALOAD {SUPPLY_SLOT} SLOAD SUB {SUPPLY_SLOT} SSTORE
    36 CALLDATALOAD 4 CALLDATALOAD SLOAD SUB 4 CALLDATALOAD SSTORE
    1 0 MSTORE 32 0 RETURN
    nothing:
    STOP
    """
)


def number_of(address: bytes) -> int:
    """An address as the number that stands in a slot."""
    return int.from_bytes(address, "big")


def token(pool: bytes, supply: int = 0) -> Account:
    """A coin or LP token of which pool and trader have plenty."""
    balances = {number_of(pool): PLENTY, number_of(TRADER): PLENTY}
    return Account(nonce=1, code=TOKEN_CODE, storage=balances | ({SUPPLY_SLOT: supply} if supply else {}))


def state_of(world: Mapping[bytes, Account]) -> DictState:
    """The world as a state."""
    return DictState({Address(at): account for at, account in world.items()})


def context(timestamp: int = TIMESTAMP) -> BlockContext:
    """A block of this time."""
    return BlockContext(
        chain_id=1,
        number=20_000_000,
        timestamp=timestamp,
        coinbase=bytes(20),
        gas_limit=1 << 40,
        base_fee_per_gas=0,
        prev_randao=bytes(32),
        excess_blob_gas=0,
    )


def machine(world: Mapping[bytes, Account], timestamp: int = TIMESTAMP) -> Machine:
    """The world in a block of this time."""
    return Machine(state_of(world), context(timestamp), Fork.PRAGUE)


def execute(local: Machine, to: bytes, signature: str, *arguments: int, value: int = 0) -> TransactionResult:
    """The trader's call of a function with these words, and perhaps ether."""
    data = selector(signature).to_bytes(4, "big") + b"".join((a % (1 << 256)).to_bytes(32, "big") for a in arguments)
    return local.apply(
        UnsignedTransaction(
            sender=TRADER,
            to=to,
            data=data,
            value=value,
            nonce=local.nonce(TRADER),
            gas_limit=1 << 33,
            max_fee_per_gas=0,
            max_priority_fee_per_gas=0,
        )
    )


def slots_of(local: Machine, address: Address, wanted: Iterable[int]) -> dict[int, int]:
    """These slots as they stand now."""
    return {slot: local.storage(address, slot) for slot in wanted}


def words_of(data: bytes) -> list[int]:
    """The words of an event's data or a call's output."""
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
