"""Pools that share one contract, as far as a recorded block touches them: Uniswap V4's manager, Balancer's Vault.

Such pools have no contract that could be asked what it is. The logs of their keeper name them by id. A V4 id is the
hash of its key, which every call to the manager spells out; a Balancer id
begins with the address of a contract whose code says what the pool holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from eth_hash.auto import keccak

from flasharb.evm import InvalidTransaction, LogEntry, Machine, MissingState
from flasharb.pools.balancer.admission import recognised
from flasharb.pools.balancer.code import VAULT, tokens_of
from flasharb.pools.balancer.events import WEIGHTED_RULES
from flasharb.pools.events import Rule
from flasharb.pools.managed.files import MANAGERS
from flasharb.pools.managed.key import PoolKey, admit, spec_of
from flasharb.pools.managed.storage import RULES
from flasharb.pools.spec import PoolSpec
from flasharb.settings import Chain, wrapped_native
from flasharb.simulation.recorded import RecordedBlock, RecordedState
from flasharb.simulation.replay import Replay
from flasharb.simulation.swaps import keys_in
from flasharb.units import Address, Hash32

_BALANCER_SWAP: Final = keccak(b"Swap(bytes32,address,address,uint256,uint256)")


class Named(NamedTuple):
    """A log and the transaction that it is from."""

    transaction: int
    log: LogEntry


def kept_pools(replay: Replay) -> Iterator[tuple[Address, PoolSpec | str]]:
    """The pools that logs of the block name, by the market's keys; or why one is not traded."""
    yield from _managed(replay.block)
    yield from _of_the_vault(replay)


def _managed(block: RecordedBlock) -> Iterator[tuple[Address, PoolSpec | str]]:
    manager = MANAGERS.get(block.chain_id)
    named = _named(block, manager, RULES)
    if manager is None or not named:
        return
    keys = _keys(block, named)
    weth = wrapped_native(Chain(id=block.chain_id))
    for pool_id in named:
        key = keys.get(pool_id)
        if key is None:
            yield Address(pool_id[:20]), "no call of the block tells the key behind its id"
            continue
        spec = spec_of(manager, key, weth)
        yield spec.address, admit(spec) or spec


def _of_the_vault(replay: Replay) -> Iterator[tuple[Address, PoolSpec | str]]:
    for pool_id, logs in _named(replay.block, VAULT, WEIGHTED_RULES).items():
        address = Address(pool_id[:20])
        code = replay.code(address)
        if code is None:
            yield address, "its code is not in the file"
            continue
        swapped = (topic for _, log in logs if log.topics[0] == _BALANCER_SWAP for topic in log.topics[2:4])
        # the code of a pool of two tokens names one of them only; which the other is, its swaps tell
        tokens = tokens_of(code) or tuple(sorted({Address(topic[12:]) for topic in swapped}))
        yield address, recognised(code, Hash32(pool_id), tokens)


def _named(block: RecordedBlock, keeper: Address | None, rules: Mapping[bytes, Rule]) -> dict[bytes, list[Named]]:
    """The pool ids that the keeper's logs name, each with these logs."""
    found: defaultdict[bytes, list[Named]] = defaultdict(list)
    for receipt in block.receipts:
        for log in receipt.logs:
            rule = rules.get(log.topics[0]) if log.topics and log.address == keeper else None
            if rule is not None and 0 < rule.pool_topic < len(log.topics):
                found[log.topics[rule.pool_topic]].append(Named(receipt.index, log))
    return dict(found)


def _keys(block: RecordedBlock, named: Mapping[bytes, list[Named]]) -> dict[bytes, PoolKey]:
    """The keys behind the ids, by executing the block up to the last transaction that it takes."""
    open_ids = {pool_id: {one.transaction for one in logs} for pool_id, logs in named.items()}
    keys: dict[bytes, PoolKey] = {}
    machine = Machine(RecordedState(block), block.context, block.fork)
    try:
        machine.begin_block()
        for index, raw in enumerate(block.transactions):
            if not open_ids:
                break
            result = machine.apply(raw, trace=any(index in places for places in open_ids.values()))
            if result.trace is not None:
                keys |= keys_in(result.trace)
                open_ids = {
                    pool_id: places
                    for pool_id, places in open_ids.items()
                    if pool_id not in keys and max(places) > index
                }
    except (MissingState, InvalidTransaction):
        # What the file cannot replay has told its keys so far.
        pass
    return keys
