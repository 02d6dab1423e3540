"""Small worlds and blocks for tests of the machine."""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.evm import Account, BlockContext, DictState, Fork, Machine, UnsignedTransaction

CHAIN_ID = 61_861
ALICE = b"\xa1" * 20
BOB = b"\xb0" * 20
CONTRACT = b"\xc0" * 20
OTHER = b"\x0c" * 20
COINBASE = b"\xcb" * 20
GWEI = 10**9
ETH = 10**18


def context(fork: Fork = Fork.PRAGUE, number: int = 100, base_fee: int = GWEI) -> BlockContext:
    """A block with room for everything."""
    return BlockContext(
        chain_id=CHAIN_ID,
        number=number,
        timestamp=1_000_000,
        coinbase=COINBASE,
        gas_limit=30_000_000,
        base_fee_per_gas=base_fee,
        prev_randao=b"\x07" * 32,
        difficulty=0 if fork.since(Fork.PARIS) else 17,
        excess_blob_gas=0 if fork.since(Fork.CANCUN) else None,
        parent_hash=b"\x99" * 32,
        parent_beacon_root=b"\xbe" * 32 if fork.since(Fork.CANCUN) else None,
    )


def world(accounts: Mapping[bytes, Account] | None = None, *, complete: bool = True) -> DictState:
    """Alice has ether; the rest as given."""
    return DictState({ALICE: Account(balance=100 * ETH), **(accounts or {})}, complete)


def machine(
    accounts: Mapping[bytes, Account] | None = None,
    *,
    fork: Fork = Fork.PRAGUE,
    engine: str = "py-evm",
    complete: bool = True,
) -> Machine:
    """A machine on such a world."""
    return Machine(world(accounts, complete=complete), context(fork), fork, engine)  # type: ignore[arg-type]


def call_of(
    to: bytes | None = CONTRACT, data: bytes = b"", *, nonce: int = 0, value: int = 0, gas: int = 500_000, tip: int = 0
) -> UnsignedTransaction:
    """A transaction of Alice's."""
    return UnsignedTransaction(ALICE, to, data, value, nonce, gas, 2 * GWEI + tip, tip, (), CHAIN_ID)
