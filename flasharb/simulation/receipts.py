"""The arbitrages of a block, as far as its receipts tell: by balance changes, never by call data.

Receipts are what every node has for every block at once; executing the block would need its whole state. From the logs
of a transaction its balance changes follow: ERC-20 transfers, deposits and withdrawals of wrapped ether, and the ether
that the transaction itself sends. What they do not show is not guessed: ether that moves between contracts is unknown,
so a direct payment to the fee recipient is unknown, and with it the net profit; a token whose balances move without a
Transfer log counts as unmoved; and where the tokens of a swap cannot be told, the transaction is counted as untold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flasharb.pools.identify import identify
from flasharb.pools.protocols import DEPLOYMENTS
from flasharb.pools.spec import PoolSpec
from flasharb.simulation.arbitrage import Arbitrage, Effects, cycle_of, judge
from flasharb.simulation.measure import DEPOSIT, WITHDRAWAL
from flasharb.simulation.result import Log
from flasharb.simulation.swaps import FEE, SWAP_TOPICS, TOKEN0, TOKEN1, TRANSFER, Swap, read_swaps
from flasharb.units import ZERO_ADDRESS, Address, Hash32


@dataclass(frozen=True, slots=True)
class BlockReceipt:
    """A transaction's receipt. ``effective_gas_price`` in wei."""

    tx_hash: Hash32
    index: int
    sender: Address
    to: Address | None
    status: int
    gas_used: int
    effective_gas_price: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction that swapped in two pools or more: with its value it can be judged.

    ``cyclic``: its swaps close a cycle; ``told``: the tokens of all its swaps are known.
    """

    receipt: BlockReceipt
    swaps: tuple[Swap, ...]
    cyclic: bool
    told: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A real arbitrage. ``moved_before``: an earlier transaction of its block had moved one of its pools."""

    receipt: BlockReceipt
    swaps: tuple[Swap, ...]
    arbitrage: Arbitrage
    moved_before: bool


def candidate_of(
    receipt: BlockReceipt, specs: Mapping[Address, PoolSpec], chain_id: int, wrapped_native: Address
) -> Candidate | None:
    """The transaction, where it may be an arbitrage; ``specs`` are the pools that are known anyway."""
    if receipt.status != 1 or not _swaps_twice(receipt.logs):
        return None
    swaps = tuple(_named(swap, specs, chain_id) for swap in read_swaps(receipt.logs, _Known(specs), chain_id))
    if len({swap.pool for swap in swaps}) < 2:
        return None
    told = all(swap.token_in is not None and swap.token_out is not None for swap in swaps)
    return Candidate(receipt, swaps, bool(cycle_of(receipt.logs, swaps, wrapped_native)), told)


def arbitrage_of(candidate: Candidate, value_wei: int, wrapped_native: Address) -> Arbitrage | None:
    """What the transaction won; ``value_wei`` is the ether that it sent. Its net profit is not known."""
    receipt = candidate.receipt
    changes = balance_changes(receipt, value_wei, wrapped_native)
    effects = Effects(receipt.sender, receipt.to, receipt.logs, changes, None, False)
    return judge(effects, candidate.swaps, wrapped_native)


def seen(candidate: Candidate, arbitrage: Arbitrage, receipts: Sequence[BlockReceipt]) -> Seen:
    """The arbitrage in its block."""
    pools = {swap.pool[:20] for swap in candidate.swaps}
    earlier = (one for one in receipts if one.index < candidate.receipt.index)
    moved = any(log.address in pools or _named_in(log, pools) for one in earlier for log in one.logs)
    return Seen(candidate.receipt, candidate.swaps, arbitrage, moved)


def balance_changes(
    receipt: BlockReceipt, value_wei: int, wrapped_native: Address
) -> dict[Address, dict[Address | None, int]]:
    """Signed changes by account and token, as far as logs and value show them; None is ether, gas left out."""
    changes: dict[Address, dict[Address | None, int]] = {}

    def add(account: Address, token: Address | None, amount: int) -> None:
        held = changes.setdefault(account, {})
        held[token] = held.get(token, 0) + amount

    if receipt.to is not None:
        add(receipt.sender, None, -value_wei)
        add(receipt.to, None, value_wei)
    for log in receipt.logs:
        if not log.topics or len(log.data) != 32:
            continue
        amount = int.from_bytes(log.data, "big")
        parties = [Address(topic[12:]) for topic in log.topics[1:]]
        if log.topics[0] == TRANSFER and len(parties) == 2:
            add(parties[0], log.address, -amount)
            add(parties[1], log.address, amount)
        elif log.address == wrapped_native and log.topics[0] in (DEPOSIT, WITHDRAWAL) and len(parties) == 1:
            wrapped = amount if log.topics[0] == DEPOSIT else -amount
            add(parties[0], wrapped_native, wrapped)
            add(parties[0], None, -wrapped)
    # Minting and burning are transfers from and to nobody.
    changes.pop(ZERO_ADDRESS, None)
    return changes


class _Known:
    """Answers what the specs know of their pools; a contract that they do not know says nothing."""

    def __init__(self, specs: Mapping[Address, PoolSpec]) -> None:
        self._specs = specs

    def __call__(self, to: Address, data: bytes) -> bytes | None:
        spec = self._specs.get(to)
        return None if spec is None else answer_of(spec, data)


def answer_of(spec: PoolSpec, question: bytes) -> bytes | None:
    """What a pool of two tokens answers to ``token0()``, ``token1()`` and ``fee()``."""
    answers: dict[bytes, bytes] = {TOKEN0: spec.token0, TOKEN1: spec.token1, FEE: spec.fee_pips.to_bytes(3, "big")}
    found = answers.get(question[:4]) if len(spec.tokens) == 2 else None
    return None if found is None else found.rjust(32, b"\0")


def _named(swap: Swap, specs: Mapping[Address, PoolSpec], chain_id: int) -> Swap:
    """The swap with its protocol's name, where the pool is known or a known factory created it."""
    spec = specs.get(Address(swap.pool[:20]))
    if spec is None and swap.token_in is not None and swap.token_out is not None and len(swap.pool) == 20:
        spec = identify(Address(swap.pool), (swap.token_in, swap.token_out), DEPLOYMENTS.get(chain_id, {}))
    return swap if spec is None else replace(swap, protocol=spec.protocol)


def _swaps_twice(logs: Sequence[Log]) -> bool:
    return sum(1 for log in logs if log.topics and log.topics[0] in SWAP_TOPICS) > 1


def _named_in(log: Log, pools: set[bytes]) -> bool:
    return any(topic[:20] in pools for topic in log.topics[1:])
