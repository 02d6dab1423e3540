"""The real pools of ``fixtures/bytecode`` in the local EVM, with any state written into their storage.

The pools are called directly, without a router: V2 pairs are paid first and asked for an output, V3 pools call a payer
contract back. Tokens and payer are a few opcodes, so that the time goes into the pool's own code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from eth_hash.auto import keccak

from flasharb.evm import Account, BlockContext, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.pools import PoolSpec, TickLiquidity, V2Pool, V3Pool
from flasharb.pools.concentrated.tick_bitmap import words_from_ticks
from flasharb.pools.loading import mapping_slot
from flasharb.pools.protocols import PROTOCOLS, V2Layout, V3Layout
from flasharb.units import Address
from tests.support.assembly import assemble

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "bytecode"

DEPLOYER = Address(bytes.fromhex("0000000000000000000000000000000000de9107"))
# where the deployer's first CREATE goes: V3 pools remember their own address and refuse to run elsewhere
POOL = Address(keccak(b"\xd6\x94" + DEPLOYER + b"\x80")[12:])
TOKEN0 = Address(bytes.fromhex("0000000000000000000000000000000000000c10"))
TOKEN1 = Address(bytes.fromhex("0000000000000000000000000000000000000c11"))
PAYER = Address(bytes.fromhex("0000000000000000000000000000000000000fa4"))
SENDER = Address(bytes.fromhex("0000000000000000000000000000000000005e4d"))
PLENTY = 1 << 254
"""A balance that no swap exhausts, twice of which does not overflow."""

CONTEXT = BlockContext(
    chain_id=1,
    number=20_000_000,
    timestamp=1_720_000_000,
    coinbase=bytes(20),
    gas_limit=1 << 40,
    base_fee_per_gas=0,
    prev_randao=bytes(32),
    excess_blob_gas=0,
)

SWAP_V3 = keccak(b"swap(address,bool,int256,uint160,bytes)")[:4]
SWAP_V2 = keccak(b"swap(uint256,uint256,address,bytes)")[:4]
MINT_V3 = keccak(b"mint(address,int24,int24,uint128,bytes)")[:4]
BURN_V3 = keccak(b"burn(int24,int24,uint128)")[:4]
INITIALIZE_V3 = keccak(b"initialize(uint160)")[:4]

_TRANSFER = int.from_bytes(keccak(b"transfer(address,uint256)")[:4], "big")
_BALANCE_OF = int.from_bytes(keccak(b"balanceOf(address)")[:4], "big")

# balances stand in the slot that is the holder's address
TOKEN_CODE = assemble(
    f"""
    0 CALLDATALOAD 224 SHR
    DUP1 0x{_TRANSFER:x} EQ @transfer JUMPI
    DUP1 0x{_BALANCE_OF:x} EQ @balance JUMPI
    0 0 REVERT
    balance:
    4 CALLDATALOAD SLOAD 0 MSTORE 32 0 RETURN
    transfer:
    36 CALLDATALOAD CALLER SLOAD SUB CALLER SSTORE
    4 CALLDATALOAD SLOAD 36 CALLDATALOAD ADD 4 CALLDATALOAD SSTORE
    1 0 MSTORE 32 0 RETURN
    """
)


def _pays(token: bytes, delta_at: int, label: str) -> str:
    """Transfer the callback's amount to the caller, if it is positive."""
    return f"""
    {delta_at} CALLDATALOAD 0 SLT ISZERO @{label} JUMPI
    0x{_TRANSFER << 224:x} 0 MSTORE CALLER 4 MSTORE {delta_at} CALLDATALOAD 36 MSTORE
    0 0 68 0 0 0x{token.hex()} GAS CALL POP
    {label}:
    """


# a call that begins with a pool's address (as a word) is passed on to the pool; anything else is the pool's callback
PAYER_CODE = assemble(
    f"""
    0 CALLDATALOAD 224 SHR @callback JUMPI
    32 CALLDATASIZE SUB 32 0 CALLDATACOPY
    0 0 32 CALLDATASIZE SUB 0 0 0 CALLDATALOAD GAS CALL
    RETURNDATASIZE 0 0 RETURNDATACOPY
    @fine JUMPI
    RETURNDATASIZE 0 REVERT
    fine:
    RETURNDATASIZE 0 RETURN
    callback:
    {_pays(TOKEN0, 4, "second")}
    {_pays(TOKEN1, 36, "done")}
    STOP
    """
)

# answers parameters() as a V3 factory does, and creates what it is sent
DEPLOYER_CODE = assemble(
    """
    4 CALLDATASIZE EQ @parameters JUMPI
    CALLDATASIZE 0 0 CALLDATACOPY
    CALLDATASIZE 0 0 CREATE 0 MSTORE 32 0 RETURN
    parameters:
    0 SLOAD 0 MSTORE 1 SLOAD 32 MSTORE 2 SLOAD 64 MSTORE 3 SLOAD 96 MSTORE 4 SLOAD 128 MSTORE
    160 0 RETURN
    """
)


@cache
def creation_code(name: str) -> bytes:
    """The creation code of a fixture."""
    return bytes.fromhex(json.loads((FIXTURES / f"{name}.json").read_text())["bytecode"][2:])


def word(value: int | bytes) -> bytes:
    """One ABI word of a number (negative: two's complement) or an address."""
    if isinstance(value, bytes):
        return value.rjust(32, b"\0")
    return (value % (1 << 256)).to_bytes(32, "big")


def number(address: bytes) -> int:
    """An address as the number that stands in a slot."""
    return int.from_bytes(address, "big")


@cache
def deployed_code(name: str, fee_pips: int = 0, tick_spacing: int = 0) -> bytes:
    """The code that the constructor leaves behind, with the immutables of this fee and spacing in it (V3)."""
    parameters = (number(DEPLOYER), number(TOKEN0), number(TOKEN1), fee_pips, tick_spacing % (1 << 256))
    world = {DEPLOYER: Account(code=DEPLOYER_CODE, storage={i: value for i, value in enumerate(parameters) if value})}
    machine = Machine(DictState(world), CONTEXT, Fork.PRAGUE)
    assert send(machine, DEPLOYER, creation_code(name))[12:] == POOL
    return machine.code(POOL)


def send(machine: Machine, to: bytes, data: bytes, sender: bytes = SENDER) -> bytes:
    """Execute a transaction and keep what it did; its output. Raises as ``applied`` does."""
    return applied(machine, to, data, sender).output


def applied(machine: Machine, to: bytes, data: bytes, sender: bytes = SENDER) -> TransactionResult:
    """Execute a transaction and keep what it did; its result.

    Raises:
        RevertedError: the transaction reverted.
    """
    transaction = UnsignedTransaction(
        sender=sender,
        to=to,
        data=data,
        value=0,
        nonce=machine.nonce(sender),
        gas_limit=1 << 33,
        max_fee_per_gas=0,
        max_priority_fee_per_gas=0,
    )
    result = machine.apply(transaction)
    if not result.status:
        raise RevertedError(str(result.error))
    return result


class RevertedError(Exception):
    """The pool refused."""


# --- V2 ---


@cache
def v2_pair(name: str) -> tuple[bytes, PoolSpec]:
    """A pair's code and spec: the fixtures, and ``PancakeV2Pair25``.

    The pairs of PancakeSwap on Ethereum charge 0.25 % and are not on npm: they are the Uniswap pair with other
    constants. 5 / 2000 is the same fee as theirs, 25 / 10000, in constants of the same length as 3 / 1000.
    """
    if name == "PancakeV2Pair25":
        code = deployed_code("UniswapV2Pair")
        for old, new, count in (
            ("84600363ffffffff", "84600563ffffffff", 2),
            ("876103e863ffffffff", "876107d063ffffffff", 1),
            ("620f4240", "623d0900", 1),
        ):
            assert code.count(bytes.fromhex(old)) == count
            code = code.replace(bytes.fromhex(old), bytes.fromhex(new))
        return code, PoolSpec(POOL, "pancakeswap_v2", (TOKEN0, TOKEN1), 2500)
    protocol, fee_pips = {
        "UniswapV2Pair": ("uniswap_v2", 3000),
        "SushiV2Pair": ("sushiswap_v2", 3000),
        "PancakeV2Pair": ("pancakeswap_v2", 2000),
    }[name]
    return deployed_code(name), PoolSpec(POOL, protocol, (TOKEN0, TOKEN1), fee_pips)


def v2_machine(code: bytes, pool: V2Pool, paid0: int, paid1: int) -> Machine:
    """The pair with these reserves, to which the two amounts have just been transferred."""
    storage = {6: number(TOKEN0), 7: number(TOKEN1), 8: pool.reserve0 | pool.reserve1 << 112, 12: 1}
    world = {
        POOL: Account(nonce=1, code=code, storage=storage),
        TOKEN0: Account(nonce=1, code=TOKEN_CODE, storage={number(POOL): pool.reserve0 + paid0}),
        TOKEN1: Account(nonce=1, code=TOKEN_CODE, storage={number(POOL): pool.reserve1 + paid1}),
    }
    return Machine(DictState(world), CONTEXT, Fork.PRAGUE)


def v2_swap_data(amount0_out: int, amount1_out: int) -> bytes:
    """The call ``pair.swap`` without a callback."""
    return SWAP_V2 + word(amount0_out) + word(amount1_out) + word(SENDER) + word(128) + word(0)


# --- V3 ---


def v3_storage(
    protocol: str, state: tuple[int, int, int], ticks: Mapping[int, TickLiquidity], spacing: int, fee_protocol: int = 0
) -> dict[int, int]:
    """A pool's storage: (sqrt_price_x96, tick, liquidity), ticks with their bitmap, one observation, unlocked."""
    layout = PROTOCOLS[protocol].layout
    assert isinstance(layout, V3Layout)
    price, tick, liquidity = state
    slot0 = price | tick % (1 << 24) << 160 | 1 << 200 | 1 << 216
    if protocol == "pancakeswap_v3":
        storage = {0: slot0, 1: fee_protocol | 1 << 32}
    else:
        storage = {0: slot0 | fee_protocol << 232 | 1 << 240}
    storage[layout.liquidity] = liquidity
    for at, (gross, net) in ticks.items():
        slot = mapping_slot(at, layout.ticks)
        storage[slot] = gross | net % (1 << 128) << 128
        storage[slot + 3] = 1 << 248
    for position, bits in words_from_ticks(ticks, spacing).items():
        storage[mapping_slot(position, layout.tick_bitmap)] = bits
    return storage


def v3_machine(code: bytes, storage: dict[int, int]) -> Machine:
    """A world of one V3 pool, its tokens and the payer, all with plenty of both tokens."""
    rich = {number(POOL): PLENTY, number(PAYER): PLENTY}
    world = {
        POOL: Account(nonce=1, code=code, storage=storage),
        TOKEN0: Account(nonce=1, code=TOKEN_CODE, storage=dict(rich)),
        TOKEN1: Account(nonce=1, code=TOKEN_CODE, storage=dict(rich)),
        PAYER: Account(nonce=1, code=PAYER_CODE),
    }
    return Machine(DictState(world), CONTEXT, Fork.PRAGUE)


def v3_swap(machine: Machine, zero_for_one: bool, amount: int, sqrt_price_limit_x96: int) -> tuple[int, int]:
    """``pool.swap`` through the payer, a negative amount for exact-out; (amount_in, amount_out)."""
    arguments = word(SENDER) + word(zero_for_one) + word(amount) + word(sqrt_price_limit_x96) + word(160) + word(0)
    output = send(machine, PAYER, word(POOL) + SWAP_V3 + arguments)
    amount0, amount1 = (int.from_bytes(part, "big", signed=True) for part in (output[:32], output[32:]))
    return (amount0, -amount1) if zero_for_one else (amount1, -amount0)


def v3_mint(machine: Machine, tick_lower: int, tick_upper: int, liquidity: int) -> None:
    """``pool.mint`` for the payer's own position."""
    send(
        machine,
        PAYER,
        word(POOL)
        + MINT_V3
        + word(PAYER)
        + word(tick_lower)
        + word(tick_upper)
        + word(liquidity)
        + word(160)
        + word(0),
    )


def v3_burn(machine: Machine, tick_lower: int, tick_upper: int, liquidity: int) -> None:
    """``pool.burn`` of the payer's own position."""
    send(machine, PAYER, word(POOL) + BURN_V3 + word(tick_lower) + word(tick_upper) + word(liquidity))


def v3_state(machine: Machine, protocol: str) -> tuple[int, int, int]:
    """(sqrt_price_x96, tick, liquidity) as they stand in storage now."""
    layout = PROTOCOLS[protocol].layout
    assert isinstance(layout, V3Layout)
    slot0 = machine.storage(POOL, layout.slot0)
    tick = slot0 >> 160 & 0xFFFFFF
    return slot0 & ((1 << 160) - 1), tick - (1 << 24) if tick >> 23 else tick, machine.storage(POOL, layout.liquidity)


def v2_reserves(machine: Machine) -> tuple[int, int]:
    """The pair's reserves as they stand in storage now."""
    layout = PROTOCOLS["uniswap_v2"].layout
    assert isinstance(layout, V2Layout)
    packed = machine.storage(POOL, layout.reserves)
    return packed & ((1 << 112) - 1), packed >> 112 & ((1 << 112) - 1)


def v3_spec(protocol: str, fee_pips: int, tick_spacing: int) -> PoolSpec:
    """The spec of the one pool of a world."""
    return PoolSpec(POOL, protocol, (TOKEN0, TOKEN1), fee_pips, tick_spacing)


def v3_facts(pool: V3Pool) -> tuple[int, int, int]:
    """(sqrt_price_x96, tick, liquidity) of a pool."""
    return pool.sqrt_price_x96, pool.tick, pool.liquidity
