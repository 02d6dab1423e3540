"""The real PoolManager of Uniswap V4 in the local EVM, with any pool written into its storage.

Its code comes from the npm package, whose licence (BUSL-1.1 until 2027) lets us run it in tests but is no free licence:
it is read where it is installed and never copied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from flasharb.evm import Account, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.tick_bitmap import words_from_ticks
from flasharb.pools.managed.key import PoolKey, spec_of
from flasharb.pools.managed.storage import LIQUIDITY, TICK_BITMAP, TICKS, state_slot
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import mapping_slot, signed
from flasharb.units import ZERO_ADDRESS, Address
from tests.support.node_tools import REPOSITORY
from tests.support.pool_bytecode import (
    CONTEXT,
    DEPLOYER,
    DEPLOYER_CODE,
    PLENTY,
    POOL,
    SENDER,
    TOKEN0,
    TOKEN1,
    TOKEN_CODE,
    RevertedError,
    number,
    send,
    word,
)

MANAGER = POOL
USER = Address(bytes.fromhex("0000000000000000000000000000000000000fa4"))
ARTIFACT = REPOSITORY / "solidity/node_modules/@uniswap/v4-core/out/PoolManager.sol/PoolManager.json"
KEY = "(address,address,uint24,int24,address)"
SWAP = keccak(f"swap({KEY},(bool,int256,uint160),bytes)".encode())[:4]
MODIFY = keccak(f"modifyLiquidity({KEY},(int24,int24,int256,bytes32),bytes)".encode())[:4]
DONATE = keccak(f"donate({KEY},uint256,uint256,bytes)".encode())[:4]
INITIALIZE = keccak(f"initialize({KEY},uint160)".encode())[:4]
SET_PROTOCOL_FEE = keccak(f"setProtocolFee({KEY},uint24)".encode())[:4]
SET_CONTROLLER = keccak(b"setProtocolFeeController(address)")[:4]
SWAPPED = keccak(b"Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
MODIFIED = keccak(b"ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)")
DONATED = keccak(b"Donate(bytes32,address,uint256,uint256)")
FEE_UPDATED = keccak(b"ProtocolFeeUpdated(bytes32,uint24)")
EXECUTE = keccak(b"execute(address,address,address,bytes)")[:4]

needs_manager = pytest.mark.skipif(
    not ARTIFACT.is_file(), reason="@uniswap/v4-core is not installed (./just node-tools)"
)


@cache
def manager_code() -> bytes:
    """The deployed PoolManager, which SENDER owns."""
    creation = bytes.fromhex(json.loads(ARTIFACT.read_text())["bytecode"]["object"][2:])
    machine = Machine(DictState({DEPLOYER: Account(code=DEPLOYER_CODE)}), CONTEXT, Fork.PRAGUE)
    assert send(machine, DEPLOYER, creation + word(SENDER))[12:] == MANAGER
    return machine.code(MANAGER)


@cache
def user_code() -> bytes:
    """The compiled V4User."""
    path = REPOSITORY / "tests/contract/artifacts/V4User.json"
    return bytes.fromhex(json.loads(path.read_text())["deployed_bytecode"][2:])


def key_of(fee: int, spacing: int, native: bool = False) -> PoolKey:
    """The key of the one pool of a world; ``native``: ether against a token."""
    return PoolKey(ZERO_ADDRESS if native else TOKEN0, TOKEN1, fee, spacing)


def spec(key: PoolKey) -> PoolSpec:
    """The market's view of the pool."""
    return spec_of(MANAGER, key)


def pool_storage(
    key: PoolKey, state: tuple[int, int, int], ticks: Mapping[int, TickLiquidity], protocol_fees: int = 0
) -> dict[int, int]:
    """The manager's storage of one pool: (sqrt price, tick, liquidity), ticks with their bitmap."""
    price, tick, liquidity = state
    at = state_slot(key.pool_id())
    storage = {
        at: price | tick % (1 << 24) << 160 | protocol_fees << 184 | key.fee << 208,
        at + LIQUIDITY: liquidity,
    }
    for known, (gross, net) in ticks.items():
        storage[mapping_slot(known, at + TICKS)] = gross | net % (1 << 128) << 128
    for position, bits in words_from_ticks(ticks, key.tick_spacing).items():
        storage[mapping_slot(position, at + TICK_BITMAP)] = bits
    return storage


def manager_machine(storage: Mapping[int, int], code: bytes | None = None) -> Machine:
    """A world of the manager, two tokens and a user, all with plenty of both tokens and of ether."""
    rich = {number(MANAGER): PLENTY, number(USER): PLENTY}
    world = {
        # slot 0 is the owner
        MANAGER: Account(1, PLENTY, code or manager_code(), {0: number(SENDER), **storage}),
        TOKEN0: Account(nonce=1, code=TOKEN_CODE, storage=dict(rich)),
        TOKEN1: Account(nonce=1, code=TOKEN_CODE, storage=dict(rich)),
        USER: Account(1, PLENTY, user_code()),
    }
    return Machine(DictState(world), CONTEXT, Fork.PRAGUE)


def swap_call(key: PoolKey, zero_for_one: bool, amount: int, limit: int) -> bytes:
    """``swap``; V4's sign: a negative amount is an exact input."""
    return SWAP + encode([KEY, "(bool,int256,uint160)", "bytes"], [_fields(key), (zero_for_one, amount, limit), b""])


def modify_call(key: PoolKey, lower: int, upper: int, delta: int) -> bytes:
    """``modifyLiquidity``."""
    return MODIFY + encode(
        [KEY, "(int24,int24,int256,bytes32)", "bytes"], [_fields(key), (lower, upper, delta, bytes(32)), b""]
    )


def donate_call(key: PoolKey, amount0: int, amount1: int) -> bytes:
    """``donate``."""
    return DONATE + encode([KEY, "uint256", "uint256", "bytes"], [_fields(key), amount0, amount1, b""])


def initialize_call(key: PoolKey, price: int) -> bytes:
    """``initialize``, which needs no lock."""
    return INITIALIZE + encode([KEY, "uint160"], [_fields(key), price])


def fee_call(key: PoolKey, protocol_fees: int) -> bytes:
    """``setProtocolFee``, for the controller alone."""
    return SET_PROTOCOL_FEE + encode([KEY, "uint24"], [_fields(key), protocol_fees])


def _fields(key: PoolKey) -> tuple[bytes, bytes, int, int, bytes]:
    return key.currency0, key.currency1, key.fee, key.tick_spacing, key.hooks


def locked(machine: Machine, key: PoolKey, call: bytes) -> TransactionResult:
    """The user makes the call inside the manager's lock and settles."""
    arguments = encode(["address", "address", "address", "bytes"], [MANAGER, key.currency0, key.currency1, call])
    return transact(machine, USER, EXECUTE + arguments)


def transact(machine: Machine, to: bytes, data: bytes) -> TransactionResult:
    """A transaction of SENDER.

    Raises:
        RevertedError: it reverted.
    """
    fees = {"max_fee_per_gas": 0, "max_priority_fee_per_gas": 0}
    transaction = UnsignedTransaction(
        sender=SENDER, to=to, data=data, value=0, nonce=machine.nonce(SENDER), gas_limit=1 << 33, **fees
    )
    result = machine.apply(transaction)
    if not result.status:
        raise RevertedError(f"{result.error} {result.output.hex()}")
    return result


def swap(machine: Machine, key: PoolKey, zero_for_one: bool, amount: int, limit: int) -> tuple[int, int]:
    """Swap and settle; (amount_in, amount_out)."""
    delta = locked(machine, key, swap_call(key, zero_for_one, amount, limit)).output
    amounts = [int.from_bytes(part, "big", signed=True) for part in (delta[:16], delta[16:32])]
    return (-amounts[0], amounts[1]) if zero_for_one else (-amounts[1], amounts[0])


def state(machine: Machine, key: PoolKey) -> tuple[int, int, int]:
    """(sqrt_price_x96, tick, liquidity) as they stand in the manager's storage now."""
    at = state_slot(key.pool_id())
    slot0 = machine.storage(MANAGER, at)
    return slot0 & ((1 << 160) - 1), signed(slot0 >> 160, 24), machine.storage(MANAGER, at + LIQUIDITY)
