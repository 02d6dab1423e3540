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
from typing import Final

from flasharb.pools.identify import identify
from flasharb.pools.protocols import Deployment
from flasharb.pools.spec import PoolSpec
from flasharb.simulation.arbitrage import Arbitrage, Effects, cycle_of, judge
from flasharb.simulation.measure import DEPOSIT, WITHDRAWAL
from flasharb.simulation.result import Log
from flasharb.simulation.swaps import (
    FEE,
    TOKEN0,
    TOKEN1,
    TRANSFER,
    V4_SWAP,
    Swap,
    currencies_of,
    read_swaps,
    swap_count,
)
from flasharb.units import ZERO_ADDRESS, Address, Hash32

MOST_LOGS: Final = 1_000
MOST_SWAPS: Final = 64
"""Larger transactions are not looked into: logs are cheap to make, and the search for cycles is ours to pay."""


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
class Known:
    """What is known without the receipts: the chain, the pools that we have, the factories that vouch for others."""

    chain_id: int
    wrapped_native: Address
    specs: Mapping[Address, PoolSpec]
    deployments: Mapping[str, Deployment]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction that swapped in two pools or more: with its value it can be judged.

    ``cyclic``: its swaps close a cycle; ``told``: that is known, as the tokens of all its swaps are. A transaction that
    is too large to be looked into is not told.
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


def candidate_of(receipt: BlockReceipt, known: Known) -> Candidate | None:
    """The transaction, where it may be an arbitrage."""
    count = swap_count(receipt.logs)
    if receipt.status != 1 or count < 2:
        return None
    if count > MOST_SWAPS or len(receipt.logs) > MOST_LOGS:
        return Candidate(receipt, (), False, False)
    swaps = tuple(_named(swap, known) for swap in _read(receipt, known))
    if len({swap.pool for swap in swaps}) < 2:
        return None
    told = all(swap.token_in is not None and swap.token_out is not None for swap in swaps)
    cycle = cycle_of(receipt.logs, swaps, known.wrapped_native) if told else None
    return Candidate(receipt, swaps, bool(cycle), cycle is not None)


def arbitrage_of(candidate: Candidate, value_wei: int, wrapped_native: Address) -> Arbitrage | None:
    """What the transaction won; ``value_wei`` is the ether that it sent. Its net profit is not known."""
    receipt = candidate.receipt
    changes = balance_changes(receipt, value_wei, wrapped_native)
    # Ether that a pool took or gave stands in no log but the swap's own.
    paid = changes.setdefault(receipt.to or receipt.sender, {})
    for swap in candidate.swaps:
        paid[None] = paid.get(None, 0) + _ether(swap.token_out, swap.amount_out) - _ether(swap.token_in, swap.amount_in)
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


def _ether(token: Address | None, amount: int) -> int:
    return amount if token == ZERO_ADDRESS else 0


class _Answers:
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


def _read(receipt: BlockReceipt, known: Known) -> tuple[Swap, ...]:
    return read_swaps(
        receipt.logs, _Answers(known.specs), known.chain_id, currencies=currencies_of(_singletons(receipt, known))
    )


def _singletons(receipt: BlockReceipt, known: Known) -> list[PoolSpec]:
    """The known pools that the receipt's swaps name by an id."""
    keys = {Address(log.topics[1][:20]) for log in receipt.logs if len(log.topics) > 1 and log.topics[0] == V4_SWAP}
    return [known.specs[key] for key in keys if key in known.specs]


def _named(swap: Swap, known: Known) -> Swap:
    """The swap with its protocol's name, where the pool is known or a known factory created it."""
    spec = known.specs.get(Address(swap.pool[:20]))
    if spec is None and swap.token_in is not None and swap.token_out is not None and len(swap.pool) == 20:
        spec = identify(Address(swap.pool), (swap.token_in, swap.token_out), known.deployments)
    return swap if spec is None else replace(swap, protocol=spec.protocol)


def _named_in(log: Log, pools: set[bytes]) -> bool:
    return any(topic[:20] in pools for topic in log.topics[1:])
