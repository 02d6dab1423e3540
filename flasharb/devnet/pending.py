"""What waits for a block: single transactions in the mempool, and bundles aimed at one block."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from eth_hash.auto import keccak

from flasharb.devnet.transactions import Transaction
from flasharb.units import Address, Hash32

MAX_PER_SENDER: Final = 64
MAX_TRANSACTIONS: Final = 4096
MAX_BUNDLES_PER_BLOCK: Final = 128
MAX_BUNDLE_BYTES: Final = 8_000_000
"""Of all waiting bundles together."""
REPLACEMENT_BUMP_PERCENT: Final = 10


class Refused(ValueError):
    """The transaction or bundle is not taken; the message is the reply's."""


class Mempool:
    """Transactions by sender and nonce, bounded."""

    def __init__(self) -> None:
        self._by_sender: dict[Address, dict[int, Transaction]] = {}
        self._by_hash: dict[Hash32, Transaction] = {}

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, transaction_hash: Hash32) -> Transaction | None:
        return self._by_hash.get(transaction_hash)

    def add(self, transaction: Transaction) -> None:
        """Take a transaction, or replace one of the same nonce by a dearer one.

        Raises:
            Refused: known already, underpriced replacement, or no room.
        """
        if transaction.hash in self._by_hash:
            raise Refused("already known")
        queue = self._by_sender.setdefault(transaction.sender, {})
        rival = queue.get(transaction.nonce)
        if rival is not None:
            least = 100 + REPLACEMENT_BUMP_PERCENT
            if (
                transaction.max_fee_per_gas * 100 < rival.max_fee_per_gas * least
                or transaction.max_priority_fee_per_gas * 100 < rival.max_priority_fee_per_gas * least
            ):
                raise Refused("replacement transaction underpriced")
            del self._by_hash[rival.hash]
        elif len(queue) >= MAX_PER_SENDER or len(self._by_hash) >= MAX_TRANSACTIONS:
            raise Refused("txpool is full")
        queue[transaction.nonce] = transaction
        self._by_hash[transaction.hash] = transaction

    def next_nonce(self, sender: Address, nonce: int) -> int:
        """The first nonce from ``nonce`` on that no waiting transaction of ``sender`` takes."""
        queue = self._by_sender.get(sender, {})
        while nonce in queue:
            nonce += 1
        return nonce

    def discard(self, transaction: Transaction) -> None:
        """Forget a transaction, if it is still there."""
        if self._by_hash.pop(transaction.hash, None) is not None:
            del self._by_sender[transaction.sender][transaction.nonce]

    def drop_stale(self, nonces: Mapping[Address, int]) -> None:
        """Forget transactions whose nonce is below the sender's in ``nonces``."""
        for sender, nonce in nonces.items():
            for transaction in list(self._by_sender.get(sender, {}).values()):
                if transaction.nonce < nonce:
                    self.discard(transaction)

    def queues(self) -> dict[Address, tuple[Transaction, ...]]:
        """Every sender's transactions in the order of their nonces: what a block builder works from."""
        return {
            sender: tuple(queue[nonce] for nonce in sorted(queue)) for sender, queue in self._by_sender.items() if queue
        }


class ByTip:
    """Transactions in the order a builder takes them: highest tip first, each sender's in the order of its nonces."""

    def __init__(self, queues: Mapping[Address, tuple[Transaction, ...]], base_fee: int) -> None:
        self._base_fee = base_fee
        self._heap: list[tuple[int, int, Transaction, Iterator[Transaction]]] = []
        for order, queue in enumerate(queues.values()):
            self._push(order, iter(queue))

    def _push(self, order: int, rest: Iterator[Transaction]) -> None:
        transaction = next(rest, None)
        if transaction is not None and transaction.tip(self._base_fee) >= 0:
            heapq.heappush(self._heap, (-transaction.tip(self._base_fee), order, transaction, rest))

    def pop(self) -> tuple[Transaction, tuple[int, Iterator[Transaction]]] | None:
        """The next transaction, with the token that :meth:`follow` takes once it was included."""
        if not self._heap:
            return None
        _, order, transaction, rest = heapq.heappop(self._heap)
        return transaction, (order, rest)

    def follow(self, token: tuple[int, Iterator[Transaction]]) -> None:
        """Let the sender's next transaction compete."""
        self._push(*token)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Transactions that land together and in order, or not at all. ``signer`` is the relay identity that sent it."""

    transactions: tuple[Transaction, ...]
    target_block: int
    signer: Address
    reverting: frozenset[Hash32] = frozenset()
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    replacement_uuid: str | None = None
    hash: Hash32 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", bundle_hash(self.transactions))

    @property
    def size(self) -> int:
        """Bytes of its transactions."""
        return sum(len(transaction.raw) for transaction in self.transactions)


def bundle_hash(transactions: tuple[Transaction, ...]) -> Hash32:
    """keccak of the joined transaction hashes (of nothing for an empty bundle)."""
    return Hash32(keccak(b"".join(transaction.hash for transaction in transactions)))


class BundlePool:
    """Bundles by target block, bounded; a bundle with a replacement uuid replaces its sender's earlier one."""

    def __init__(self) -> None:
        self._by_block: dict[int, OrderedDict[tuple[Address, bytes], Bundle]] = {}

    def add(self, bundle: Bundle) -> None:
        """Take a bundle; the same one twice is taken once.

        Raises:
            Refused: too many for that block, or too many bytes in all.
        """
        if bundle.replacement_uuid is not None:
            self.cancel(bundle.signer, bundle.replacement_uuid)
        waiting = self._by_block.setdefault(bundle.target_block, OrderedDict())
        if (bundle.signer, bundle.hash) not in waiting and len(waiting) >= MAX_BUNDLES_PER_BLOCK:
            raise Refused(f"too many bundles for block {bundle.target_block}")
        if self._bytes() + bundle.size > MAX_BUNDLE_BYTES:
            raise Refused("too many bundles are waiting")
        waiting[bundle.signer, bundle.hash] = bundle

    def _bytes(self) -> int:
        return sum(bundle.size for waiting in self._by_block.values() for bundle in waiting.values())

    def cancel(self, signer: Address, replacement_uuid: str) -> list[Hash32]:
        """Withdraw the signer's bundles of that uuid; returns their hashes."""
        gone: list[Hash32] = []
        for waiting in self._by_block.values():
            for key, bundle in list(waiting.items()):
                if bundle.signer == signer and bundle.replacement_uuid == replacement_uuid:
                    del waiting[key]
                    gone.append(bundle.hash)
        return gone

    def aimed_at(self, block_number: int) -> tuple[Bundle, ...]:
        """The bundles for a block, in the order of their arrival."""
        return tuple(self._by_block.get(block_number, {}).values())

    def drop_through(self, block_number: int) -> None:
        """Forget bundles whose block has come."""
        for number in [number for number in self._by_block if number <= block_number]:
            del self._by_block[number]
