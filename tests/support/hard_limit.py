"""The least gas that a two-pool route can cost: code with every byte hard-wired, and no check of anything.

It has neither owner nor authentication, neither deadline nor profit check: whoever calls it runs it. It only says what
pools, tokens and the transaction itself cost, so that what is above is FlashArb's own.
"""

from __future__ import annotations

from flasharb.strategy.trade import Trade
from flasharb.units import Address
from tests.support.contract_world import ETHER, OWNER, World, call_data

LOWEST_PRICE = 4295128740
HIGHEST_PRICE = 1461446703485210103287273052203988822378723970341
LIMIT = Address(bytes.fromhex("00000000000000000000000000000000000011e7"))

_CALLDATASIZE, _CODECOPY, _PUSH0, _POP, _JUMPI, _GAS, _CALL, _JUMPDEST, _STOP = (
    0x36, 0x39, 0x5F, 0x50, 0x57, 0x5A, 0xF1, 0x5B, 0x00,
)  # fmt: skip
_CALLER, _EQ, _PUSH2, _PUSH20 = 0x33, 0x14, 0x61, 0x73


class _Code:
    """Instructions, and behind them the call data of the calls they make, copied from there into memory."""

    def __init__(self, size: int) -> None:
        self.code = b""
        self.data = b""
        self.size = size

    def call(self, to: Address, data: bytes) -> _Code:
        place = (self.size + len(self.data)).to_bytes(2, "big")
        copy = bytes((_PUSH2, 0, len(data), _PUSH2)) + place + bytes((_PUSH0, _CODECOPY))
        arguments = bytes((_PUSH0, _PUSH0, _PUSH2, 0, len(data), _PUSH0, _PUSH0, _PUSH20)) + to
        self.code += copy + arguments + bytes((_GAS, _CALL, _POP))
        self.data += data
        return self

    def jump_to(self, place: int) -> _Code:
        self.code += bytes((_PUSH2,)) + place.to_bytes(2, "big") + bytes((_JUMPI,))
        return self

    def put(self, *code: int) -> _Code:
        self.code += bytes(code)
        return self

    def done(self) -> bytes:
        assert len(self.code) <= self.size
        return self.code.ljust(self.size, b"\0") + self.data


def hard_limit(world: World, trade: Trade) -> bytes:
    """The runtime code that executes exactly this trade of two pools, at the address ``LIMIT``."""
    first, last = trade.hops
    first_v3, last_v3 = (world.pools[hop.hop.pool].is_v3 for hop in trade.hops)
    pay = (world.weth, call_data("transfer(address,uint256)", first.hop.pool, first.amount_in))

    def swap(index: int, to: Address, data: bytes = b"") -> tuple[Address, bytes]:
        hop = trade.hops[index]
        way = hop.hop.zero_for_one
        if world.pools[hop.hop.pool].is_v3:
            limit = LOWEST_PRICE if way else HIGHEST_PRICE
            signature = "swap(address,bool,int256,uint160,bytes)"
            return hop.hop.pool, call_data(signature, to, way, hop.amount_in, limit, data)
        outs = (0, hop.amount_out) if way else (hop.amount_out, 0)
        encoded = call_data("swap(uint256,uint256,address,bytes)", *outs, to, data)
        return hop.hop.pool, encoded[: 4 + 5 * 32 + len(data)]

    code = _Code(size=320).put(_CALLDATASIZE)
    if first_v3 and last_v3:
        top, middle, inner = swap(1, LIMIT), swap(0, last.hop.pool), pay
        code.jump_to(len(code.code) + 4 + _measure(top)).call(*top).put(_STOP, _JUMPDEST, _CALLER, _PUSH20)
        code.code += first.hop.pool
        code.put(_EQ)
        after_middle = len(code.code) + 4 + _measure(middle)
        code.jump_to(after_middle).call(*middle).put(_STOP, _JUMPDEST).call(*inner).put(_STOP)
        return code.done()
    if first_v3:
        top, calls = swap(0, last.hop.pool), (swap(1, LIMIT), pay)
    else:
        top, calls = swap(1, LIMIT, b"" if last_v3 else b"\x01"), (pay, swap(0, last.hop.pool))
    code.jump_to(len(code.code) + 4 + _measure(top)).call(*top).put(_STOP, _JUMPDEST)
    for call in calls:
        code.call(*call)
    return code.put(_STOP).done()


def _measure(call: tuple[Address, bytes]) -> int:
    """Bytes of a call's instructions and the stop behind it."""
    return len(_Code(0).call(*call).code) + 1


def measured_world(shape: tuple[str, str], engine: str = "py-evm") -> tuple[World, Trade]:
    """The measuring place of design notes: a fresh block, the contract's second execution, 1 wei of WETH in it.

    Two pools of 2,000 WETH whose prices differ, real bytecode, an OpenZeppelin token; the trade puts in 32 WETH.
    """
    world = World(engine)
    token = world.token()
    pools = []
    for position, kind in enumerate(shape):
        tokens = (4_000_000, 3_200_000)[position]
        reserves = {
            world.weth: 2_000 * ETHER + 12_345_678_901_234_567 * (position + 1),
            token: tokens * ETHER + 98_765_432_101_234_567 * (position + 1),
        }
        pools.append(world.v2_pool(reserves) if kind == "v2" else world.v3_pool(reserves, (3000, 500)[position]))
    world.next_block()
    world.execute(world.trade(pools, 20 * ETHER + 987_654_321))
    world.sweep()
    world.wrap(LIMIT, 1)
    world.next_block()
    assert world.balance(world.weth, world.contract) == world.balance(world.weth, LIMIT) == 1
    return world, world.trade(pools, 32 * ETHER + 1_234_567_890_123_456_789)


def limit_gas(world: World, trade: Trade) -> int:
    """Gas used by the hard-wired code, on a block of its own that is thrown away."""
    world.place_code(LIMIT, hard_limit(world, trade))
    result = world.send(LIMIT, b"", sender=OWNER)
    assert result.status == 1, result.error
    assert world.balance(world.weth, LIMIT) == 1 + trade.gross_profit
    world.restart_block()
    return result.gas_used
