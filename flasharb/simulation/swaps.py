"""The swaps of an executed transaction, read from its logs; tokens come from the pools themselves.

A log says which pool swapped how much. Which tokens these are is asked of the pool (``token0()``, ``coins(i)``) on the
state after the transaction; a Uniswap V4 pool is only an id in the log, so its key is found in the call that swapped,
where it hashes to that id. Where neither helps (state is missing), the transfers of these amounts into and out of the
pool name the token; else it stays unknown (None), never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from eth_hash.auto import keccak

from flasharb.evm import CallFrame
from flasharb.pools.managed.key import PoolKey
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, pool_address
from flasharb.pools.spec import PoolSpec
from flasharb.simulation.result import Log
from flasharb.units import ZERO_ADDRESS, Address


def _topic(signature: str) -> bytes:
    return keccak(signature.encode())


V2_SWAP: Final = _topic("Swap(address,uint256,uint256,uint256,uint256,address)")
V3_SWAP: Final = _topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
PANCAKE_V3_SWAP: Final = _topic("Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
V4_SWAP: Final = _topic("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
BALANCER_V2_SWAP: Final = _topic("Swap(bytes32,address,address,uint256,uint256)")
CURVE_EXCHANGES: Final = {
    _topic("TokenExchange(address,int128,uint256,int128,uint256)"): "coins",
    _topic("TokenExchange(address,uint256,uint256,uint256,uint256)"): "coins",
    _topic("TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)"): "coins",
    _topic("TokenExchangeUnderlying(address,int128,uint256,int128,uint256)"): "underlying_coins",
    _topic("TokenExchangeUnderlying(address,uint256,uint256,uint256,uint256)"): "underlying_coins",
}
SWAP_TOPICS: Final = frozenset({V2_SWAP, V3_SWAP, PANCAKE_V3_SWAP, V4_SWAP, BALANCER_V2_SWAP, *CURVE_EXCHANGES})
"""The first topic of every log that is read as a swap."""
TRANSFER: Final = _topic("Transfer(address,address,uint256)")

TOKEN0: Final = _topic("token0()")[:4]
TOKEN1: Final = _topic("token1()")[:4]
FEE: Final = _topic("fee()")[:4]
_KEY: Final = "(address,address,uint24,int24,address)"
_V4_CALLS: Final = (
    _topic(f"swap({_KEY},(bool,int256,uint160),bytes)")[:4],
    _topic(f"modifyLiquidity({_KEY},(int24,int24,int256,bytes32),bytes)")[:4],
    _topic(f"initialize({_KEY},uint160)")[:4],
)
"""Calls to the manager that begin with a pool's key."""

Pair = tuple[Address, Address]


class Asker(Protocol):
    """Asks a contract on the state after the transaction; None when it fails or state is missing."""

    def __call__(self, to: Address, data: bytes) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap. Amounts in the tokens' smallest units; ETH itself is the zero address; None: not known.

    ``pool`` is the pool's address, for Uniswap V4 its 32-byte id. ``holder`` is who keeps the tokens: the pool, or the
    vault or manager that all pools share.
    """

    pool: bytes
    protocol: str
    holder: Address
    token_in: Address | None
    token_out: Address | None
    amount_in: int
    amount_out: int


def read_swaps(
    logs: Sequence[Log],
    ask: Asker,
    chain_id: int,
    trace: CallFrame | None = None,
    currencies: Mapping[bytes, Pair] = MappingProxyType({}),
) -> tuple[Swap, ...]:
    """All swaps in the order of their logs; ``currencies``: those of V4 pools that are known beforehand, by id."""
    called = keys_in(trace) if trace is not None else {}
    keys = {**{pool: (key.currency0, key.currency1) for pool, key in called.items()}, **currencies}
    swaps = []
    for log in logs:
        found = _read(log, ask, chain_id, keys)
        if found is not None:
            swaps.append(_named_by_transfers(found, logs))
    return tuple(swaps)


def _read(log: Log, ask: Asker, chain_id: int, keys: Mapping[bytes, Pair]) -> Swap | None:
    if not log.topics:
        return None
    topic, words = log.topics[0], _words(log.data)
    if topic == V2_SWAP and len(words) == 4:
        return _v2(log, words, ask, chain_id)
    if topic in (V3_SWAP, PANCAKE_V3_SWAP) and len(words) in (5, 7):
        return _v3(log, words, ask, chain_id)
    if topic == V4_SWAP and len(log.topics) == 3 and len(words) == 6:
        # V4 counts from the swapper's side: what is paid is negative.
        amounts, pool = (-_signed(words[0]), -_signed(words[1])), log.topics[1]
        return _by_sign(pool, "uniswap_v4", log.address, keys.get(pool), amounts)
    if topic == BALANCER_V2_SWAP and len(log.topics) == 4 and len(words) == 2:
        token_in, token_out = Address(log.topics[2][12:]), Address(log.topics[3][12:])
        return Swap(log.topics[1][:20], "balancer_v2", log.address, token_in, token_out, words[0], words[1])
    if topic in CURVE_EXCHANGES and len(words) >= 4:
        return _curve(log, words, ask)
    return None


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data) - 31, 32)]


def _signed(word: int) -> int:
    return word - (1 << 256) if word >> 255 else word


def _v2(log: Log, words: list[int], ask: Asker, chain_id: int) -> Swap:
    tokens = _pair(log.address, ask)
    in0, in1, out0, out1 = words
    # A V2 swap may take and give both tokens; the net direction is what it did.
    amount0, amount1 = in0 - out0, in1 - out1
    protocol = _v2_protocol(log.address, tokens, chain_id)
    if amount0 >= amount1:
        return _swap(log, protocol, tokens, True, in0 if not in1 else amount0, out1 if not out0 else -amount1)
    return _swap(log, protocol, tokens, False, in1 if not in0 else amount1, out0 if not out1 else -amount0)


def _v3(log: Log, words: list[int], ask: Asker, chain_id: int) -> Swap:
    tokens = _pair(log.address, ask)
    protocol = _v3_protocol(log, tokens, ask, chain_id)
    return _by_sign(log.address, protocol, log.address, tokens, (_signed(words[0]), _signed(words[1])))


def _by_sign(
    pool: bytes,
    protocol: str,
    holder: Address,
    tokens: tuple[Address, Address] | None,
    amounts: tuple[int, int],
) -> Swap:
    """A swap from the pool's balance changes: what it took is positive."""
    amount0, amount1 = amounts
    zero_for_one = amount0 > 0 or (amount0 == 0 and amount1 < 0)
    token0, token1 = tokens or (None, None)
    if zero_for_one:
        return Swap(pool, protocol, holder, token0, token1, amount0, -amount1)
    return Swap(pool, protocol, holder, token1, token0, amount1, -amount0)


def _swap(
    log: Log, protocol: str, tokens: tuple[Address, Address] | None, zero_for_one: bool, amount_in: int, amount_out: int
) -> Swap:
    token0, token1 = tokens or (None, None)
    token_in, token_out = (token0, token1) if zero_for_one else (token1, token0)
    return Swap(log.address, protocol, log.address, token_in, token_out, amount_in, amount_out)


def _curve(log: Log, words: list[int], ask: Asker) -> Swap:
    function = CURVE_EXCHANGES[log.topics[0]]
    sold, amount_in, bought, amount_out = words[:4]
    token_in, token_out = (_coin(log.address, function, index, ask) for index in (sold, bought))
    return Swap(log.address, "curve", log.address, token_in, token_out, amount_in, amount_out)


def _coin(pool: Address, function: str, index: int, ask: Asker) -> Address | None:
    # Old pools number their coins by int128.
    for kind in ("uint256", "int128"):
        answer = ask(pool, _topic(f"{function}({kind})")[:4] + index.to_bytes(32, "big"))
        if answer is not None and len(answer) == 32:
            return Address(answer[12:])
    return None


def _pair(pool: Address, ask: Asker) -> tuple[Address, Address] | None:
    answers = ask(pool, TOKEN0), ask(pool, TOKEN1)
    if answers[0] is None or answers[1] is None or len(answers[0]) != 32 or len(answers[1]) != 32:
        return None
    return Address(answers[0][12:]), Address(answers[1][12:])


def _v2_protocol(pool: Address, tokens: tuple[Address, Address] | None, chain_id: int) -> str:
    return _deployed(pool, tokens, "v2", 0, chain_id) or "v2_fork"


def _v3_protocol(log: Log, tokens: tuple[Address, Address] | None, ask: Asker, chain_id: int) -> str:
    fee = ask(log.address, FEE)
    fork = "pancakeswap_v3" if log.topics[0] == PANCAKE_V3_SWAP else "v3_fork"
    if fee is None or len(fee) != 32:
        return fork
    return _deployed(log.address, tokens, "v3", int.from_bytes(fee, "big"), chain_id) or fork


def _deployed(
    pool: Address, tokens: tuple[Address, Address] | None, kind: str, fee_pips: int, chain_id: int
) -> str | None:
    """The known protocol whose factory creates exactly this address for these tokens; other chains use mainnet's."""
    if tokens is None:
        return None
    deployments = DEPLOYMENTS.get(chain_id) or DEPLOYMENTS[1]
    for name, deployment in deployments.items():
        if PROTOCOLS[name].kind == kind and fee_pips < 1 << 24:
            spec = PoolSpec(pool, name, tokens, fee_pips)
            if pool_address(deployment, spec) == pool:
                return name
    return None


def keys_in(frame: CallFrame) -> dict[bytes, PoolKey]:
    """The keys of the V4 pools that were called, by the id that each hashes to (whoever was called)."""
    keys = {}
    for call in _frames(frame):
        if call.input[:4] in _V4_CALLS and len(call.input) >= 164:
            raw = call.input[4:164]
            numbers = int.from_bytes(raw[64:96], "big"), _signed(int.from_bytes(raw[96:128], "big"))
            keys[keccak(raw)] = PoolKey(Address(raw[12:32]), Address(raw[44:64]), *numbers, Address(raw[140:]))
    return keys


def _frames(frame: CallFrame) -> Iterator[CallFrame]:
    yield frame
    for call in frame.calls:
        yield from _frames(call)


def _named_by_transfers(swap: Swap, logs: Sequence[Log]) -> Swap:
    """Fill unknown tokens in where exactly one token moved by that amount into or out of the pool."""
    if swap.token_in is not None and swap.token_out is not None:
        return swap
    token_in, token_out = swap.token_in, swap.token_out
    if token_in is None:
        token_in = _only({log.address for log in logs if _moved(log, 2, swap.holder, swap.amount_in)})
    if token_out is None:
        token_out = _only({log.address for log in logs if _moved(log, 1, swap.holder, swap.amount_out)})
    return Swap(swap.pool, swap.protocol, swap.holder, token_in, token_out, swap.amount_in, swap.amount_out)


def _moved(log: Log, end: int, holder: Address, amount: int) -> bool:
    return (
        len(log.topics) == 3
        and log.topics[0] == TRANSFER
        and log.topics[end][12:] == holder
        and len(log.data) == 32
        and int.from_bytes(log.data, "big") == amount
    )


def _only(tokens: set[Address]) -> Address | None:
    return next(iter(tokens)) if len(tokens) == 1 else None


def is_native(token: Address | None, wrapped_native: Address) -> bool:
    """Whether the token is ETH or its wrapper."""
    return token in (ZERO_ADDRESS, wrapped_native)
