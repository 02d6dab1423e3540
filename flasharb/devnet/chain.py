"""The chain: what is pending, how the next block is built from it, and the blocks so far.

A block comes about in three steps, so that the heavy one may run in a worker thread while the sockets are served:
``plan`` freezes what is pending, ``build`` executes it and computes the roots, ``commit`` makes it the head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import rlp
from eth_hash.auto import keccak

from flasharb.devnet.block import Header, Receipt, joined_bloom, list_root
from flasharb.devnet.ledger import AccountAfter, BlockUnavailable, Changes, Ledger, Proof, StateAt, StateTries
from flasharb.devnet.pending import Bundle, BundlePool, ByTip, Mempool, Refused
from flasharb.devnet.transactions import Transaction
from flasharb.devnet.world import World
from flasharb.evm import BlockContext, Fork, InvalidTransaction, Machine, TransactionResult
from flasharb.evm.source import Diff
from flasharb.execution.fees import next_base_fee
from flasharb.units import Address, Hash32

BLOCKS_KEPT: Final = 2048
"""Blocks with transactions and receipts that can be asked for."""
OUTCOMES_KEPT: Final = 1024
MINIMUM_GAS: Final = 21_000
MAX_TRANSACTION_BYTES: Final = 131_072
EXTRA_DATA: Final = b"flasharb devnet"


@dataclass(frozen=True, slots=True)
class Block:
    """A block with everything that can be asked about it."""

    header: Header
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def size(self) -> int:
        """Bytes of the block's RLP: header, transactions, no ommers, no withdrawals."""
        body = [rlp.decode(item.raw) if item.type == 0 else item.raw for item in self.transactions]
        return len(rlp.encode([rlp.decode(self.header.encode()), body, [], []]))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next block is built from, frozen."""

    parent: Header
    context: BlockContext
    bundles: tuple[Bundle, ...]
    queues: Mapping[Address, tuple[Transaction, ...]]


@dataclass(frozen=True, slots=True)
class Built:
    """A block that is not the head yet, with what it changes and what it read."""

    block: Block
    parent: Header
    changes: Changes
    codes: Mapping[bytes, bytes]
    touched: Mapping[bytes, frozenset[int]]
    outcomes: Mapping[Hash32, str]
    invalid: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A bundle that works on top of the parent's state, and what a unit of its gas pays the builder."""

    bundle: Bundle
    results: tuple[TransactionResult, ...]
    payment: int
    gas_used: int


class Chain:
    """Blocks, state, mempool and bundles of the devnet."""

    def __init__(self, world: World) -> None:
        self.chain_id = world.chain_id
        self.genesis = Block(world.genesis, (), ())
        self.coinbase = world.names["builder"]
        accounts, codes = world.accounts(), dict(world.codes)
        self.ledger = Ledger(accounts, codes, world.genesis.number, world.genesis.hash)
        self.mempool = Mempool()
        self.bundles = BundlePool()
        self.bundle_outcomes: OrderedDict[Hash32, str] = OrderedDict()
        self._tries = StateTries(accounts)
        self._blocks: OrderedDict[int, Block] = OrderedDict({self.genesis.number: self.genesis})
        self._numbers: dict[Hash32, int] = {self.genesis.header.hash: self.genesis.number}
        self._places: dict[Hash32, tuple[int, int]] = {}

    @property
    def head(self) -> Block:
        return self._blocks[self.ledger.head]

    def block(self, number: int) -> Block | None:
        """The block of that number, None if it is not held."""
        return self._blocks.get(number)

    def number_of(self, block_hash: Hash32) -> int | None:
        """The number of the block with that hash, None if it is not held."""
        return self._numbers.get(block_hash)

    def place_of(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The block that holds a transaction, and the index in it."""
        place = self._places.get(transaction_hash)
        return None if place is None else (self._blocks[place[0]], place[1])

    def prove(self, number: int, address: Address, slots: Sequence[int]) -> Proof:
        """What proves an account and slots of it at the end of a recent block.

        Raises:
            BlockUnavailable: too old, or in the future.
        """
        block = self._blocks.get(number)
        if block is None:
            raise BlockUnavailable(f"block {number} is not available")
        return self._tries.prove(block.header.state_root, address, slots)

    def add_transaction(self, transaction: Transaction) -> None:
        """Take a transaction into the mempool.

        Raises:
            Refused: it could never be included, with the words a node uses.
        """
        check_transaction(transaction, self.chain_id, self.head.header.gas_limit)
        account = self.ledger.accounts.get(transaction.sender)
        nonce, balance = (account.nonce, account.balance) if account is not None else (0, 0)
        if transaction.nonce < nonce:
            raise Refused(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        cost = transaction.gas_limit * transaction.max_fee_per_gas + transaction.value
        if balance < cost:
            raise Refused(f"insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")
        self.mempool.add(transaction)

    def plan(self, timestamp: int) -> Plan:
        """Freeze what is pending for a block at ``timestamp`` (seconds; later than the head's)."""
        parent = self.head.header
        return Plan(
            parent=parent,
            context=next_context(parent, self.chain_id, self.coinbase, max(timestamp, parent.timestamp + 1)),
            bundles=self.bundles.aimed_at(parent.number + 1),
            queues=self.mempool.queues(),
        )

    def build(self, plan: Plan) -> Built:
        """Execute a plan on the head's state: best bundles first, then the mempool by tip."""
        builder = BlockBuilder(self.ledger.at(plan.parent.number), plan)
        builder.include_bundles()
        builder.include_mempool()
        builder.machine.end_block([])
        changes, codes = after(builder.machine.diff(), self.ledger)
        state_root = self._tries.apply(changes)
        context = plan.context
        header = Header(
            parent_hash=plan.parent.hash,
            coinbase=Address(context.coinbase),
            state_root=state_root,
            transactions_root=list_root([transaction.raw for transaction in builder.transactions]),
            receipts_root=list_root([receipt.encode() for receipt in builder.receipts]),
            logs_bloom=joined_bloom(builder.receipts),
            number=context.number,
            gas_limit=context.gas_limit,
            gas_used=builder.gas_used,
            timestamp=context.timestamp,
            extra_data=EXTRA_DATA,
            prev_randao=Hash32(context.prev_randao),
            base_fee_per_gas=context.base_fee_per_gas,
            parent_beacon_root=Hash32(context.parent_beacon_root or bytes(32)),
        )
        return Built(
            block=Block(header, tuple(builder.transactions), tuple(builder.receipts)),
            parent=plan.parent,
            changes=changes,
            codes=codes,
            touched={address: frozenset(slots) for address, slots in builder.machine.touched.items()},
            outcomes=builder.outcomes,
            invalid=tuple(builder.invalid),
        )

    def commit(self, built: Built) -> Block:
        """Make a built block the head."""
        block = built.block
        self.ledger.commit(block.number, block.header.hash, built.changes, built.codes)
        self._blocks[block.number] = block
        self._numbers[block.header.hash] = block.number
        for index, transaction in enumerate(block.transactions):
            self._places[transaction.hash] = (block.number, index)
            self.mempool.discard(transaction)
        for transaction in built.invalid:
            self.mempool.discard(transaction)
        senders = {transaction.sender for transaction in block.transactions}
        self.mempool.drop_stale({sender: self.ledger.accounts[sender].nonce for sender in senders})
        self.bundles.drop_through(block.number)
        self.bundle_outcomes.update(built.outcomes)
        while len(self.bundle_outcomes) > OUTCOMES_KEPT:
            self.bundle_outcomes.popitem(last=False)
        if len(self._blocks) > BLOCKS_KEPT:
            self._forget(next(iter(self._blocks)))
        return block

    def _forget(self, number: int) -> None:
        block = self._blocks.pop(number)
        del self._numbers[block.header.hash]
        for transaction in block.transactions:
            self._places.pop(transaction.hash, None)

    def mine(self, timestamp: int) -> Built:
        """Plan, build and commit in one go."""
        built = self.build(self.plan(timestamp))
        self.commit(built)
        return built


class BlockBuilder:
    """A block in the making."""

    def __init__(self, source: StateAt, plan: Plan) -> None:
        self.plan = plan
        self.machine = Machine(source, plan.context, Fork.PRAGUE)
        self.machine.begin_block()
        self.transactions: list[Transaction] = []
        self.receipts: list[Receipt] = []
        self.outcomes: dict[Hash32, str] = {}
        self.invalid: list[Transaction] = []
        self.gas_used = 0
        self._logs = 0

    @property
    def gas_left(self) -> int:
        return self.plan.context.gas_limit - self.gas_used

    def include_bundles(self) -> None:
        """Score every bundle alone on the parent's state, then include from the best down while they still work."""
        scored: list[Scored] = []
        for bundle in self.plan.bundles:
            snapshot = self.machine.snapshot()
            tried = self._try_bundle(bundle)
            self.machine.revert(snapshot)
            if isinstance(tried, str):
                self.outcomes[bundle.hash] = tried
            else:
                scored.append(tried)
        # A stable sort: of two equal bundles the one that came first wins.
        for candidate in sorted(scored, key=lambda s: -s.payment * 10**9 // max(s.gas_used, 1)):
            snapshot = self.machine.snapshot()
            again = self._try_bundle(candidate.bundle)
            if isinstance(again, str):
                self.machine.revert(snapshot)
                self.outcomes[candidate.bundle.hash] = f"conflicts with a better bundle: {again}"
                continue
            for transaction, result in zip(candidate.bundle.transactions, again.results, strict=True):
                self._append(transaction, result)
            self.outcomes[candidate.bundle.hash] = f"included in block {self.plan.context.number}"

    def _try_bundle(self, bundle: Bundle) -> Scored | str:
        """Run a bundle; the caller reverts. A text says why it cannot be included."""
        now = self.plan.context.timestamp
        if bundle.min_timestamp is not None and now < bundle.min_timestamp:
            return f"block time {now} is before minTimestamp {bundle.min_timestamp}"
        if bundle.max_timestamp is not None and now > bundle.max_timestamp:
            return f"block time {now} is after maxTimestamp {bundle.max_timestamp}"
        if sum(transaction.gas_limit for transaction in bundle.transactions) > self.gas_left:
            return "no room: the bundle's gas limits exceed the gas left in the block"
        results: list[TransactionResult] = []
        for transaction in bundle.transactions:
            try:
                result = self.machine.apply(transaction.raw)
            except InvalidTransaction as error:
                return f"err: {error}; txhash 0x{transaction.hash.hex()}"
            if result.status == 0 and transaction.hash not in bundle.reverting:
                return f"execution reverted; txhash 0x{transaction.hash.hex()}"
            results.append(result)
        return Scored(
            bundle=bundle,
            results=tuple(results),
            payment=sum(result.coinbase_payment for result in results),
            gas_used=sum(result.gas_used for result in results),
        )

    def include_mempool(self) -> None:
        """Include single transactions, dearest first, until the block is full."""
        queue = ByTip(self.plan.queues, self.plan.context.base_fee_per_gas)
        while (following := queue.pop()) is not None:
            transaction, token = following
            if transaction.gas_limit > self.gas_left:
                continue
            snapshot = self.machine.snapshot()
            try:
                result = self.machine.apply(transaction.raw)
            except InvalidTransaction:
                self.machine.revert(snapshot)
                nonce = self.machine.nonce(transaction.sender)
                if transaction.nonce == nonce:
                    # Neither too early nor superseded: it will not become valid by waiting.
                    self.invalid.append(transaction)
                elif transaction.nonce < nonce:
                    queue.follow(token)
                continue
            self._append(transaction, result)
            queue.follow(token)
            if self.gas_left < MINIMUM_GAS:
                break

    def _append(self, transaction: Transaction, result: TransactionResult) -> None:
        self.gas_used += result.gas_used
        contract = result.contract_address
        self.receipts.append(
            Receipt(
                transaction_hash=transaction.hash,
                index=len(self.transactions),
                sender=transaction.sender,
                to=transaction.to,
                type=transaction.type,
                status=result.status,
                gas_used=result.gas_used,
                cumulative_gas_used=self.gas_used,
                effective_gas_price=result.effective_gas_price,
                contract_address=None if contract is None else Address(contract),
                logs=result.logs,
                log0=self._logs,
                coinbase_delta=result.coinbase_payment,
            )
        )
        self.transactions.append(transaction)
        self._logs += len(result.logs)


def check_transaction(transaction: Transaction, chain_id: int, gas_limit: int) -> None:
    """What makes a transaction unfit for this chain whatever the state.

    Raises:
        Refused: with the words a node uses.
    """
    if transaction.chain_id is None:
        raise Refused("only replay-protected (EIP-155) transactions allowed over RPC")
    if transaction.chain_id != chain_id:
        raise Refused(f"invalid chain id for signer: have {transaction.chain_id} want {chain_id}")
    if transaction.gas_limit > gas_limit:
        raise Refused("exceeds block gas limit")
    if len(transaction.raw) > MAX_TRANSACTION_BYTES:
        raise Refused(f"oversized data: transaction size {len(transaction.raw)}, limit {MAX_TRANSACTION_BYTES}")
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise Refused("max priority fee per gas higher than max fee per gas")
    intrinsic = intrinsic_gas(transaction)
    if transaction.gas_limit < intrinsic:
        raise Refused(f"intrinsic gas too low: gas {transaction.gas_limit}, minimum needed {intrinsic}")


def intrinsic_gas(transaction: Transaction) -> int:
    """The least gas limit of a transaction under Prague rules, EIP-7623's floor included."""
    zeros = transaction.data.count(0)
    tokens = zeros + 4 * (len(transaction.data) - zeros)
    gas = 21_000 + 4 * tokens
    if transaction.to is None:
        gas += 32_000 + 2 * ((len(transaction.data) + 31) // 32)
    gas += sum(2400 + 1900 * len(slots) for _, slots in transaction.access_list)
    return max(gas, 21_000 + 10 * tokens)


def next_context(parent: Header, chain_id: int, coinbase: Address, timestamp: int) -> BlockContext:
    """The context of the block after ``parent``; randomness and beacon root follow from the parent."""
    return BlockContext(
        chain_id=chain_id,
        number=parent.number + 1,
        timestamp=timestamp,
        coinbase=coinbase,
        gas_limit=parent.gas_limit,
        base_fee_per_gas=next_base_fee(parent),
        prev_randao=keccak(b"randao" + parent.hash),
        excess_blob_gas=0,
        parent_hash=parent.hash,
        parent_beacon_root=keccak(b"beacon" + parent.hash),
    )


def header_context(header: Header, chain_id: int) -> BlockContext:
    """The context of an existing block, in which calls on its state are made."""
    return BlockContext(
        chain_id=chain_id,
        number=header.number,
        timestamp=header.timestamp,
        coinbase=header.coinbase,
        gas_limit=header.gas_limit,
        base_fee_per_gas=header.base_fee_per_gas,
        prev_randao=header.prev_randao,
        excess_blob_gas=header.excess_blob_gas,
        parent_hash=header.parent_hash,
        parent_beacon_root=header.parent_beacon_root,
    )


def after(diff: Diff, ledger: Ledger) -> tuple[Changes, dict[bytes, bytes]]:
    """A machine's changes as whole accounts, and the codes of new contracts."""
    changes: dict[Address, AccountAfter | None] = {}
    codes: dict[bytes, bytes] = {}
    for raw, change in diff.items():
        address = Address(raw)
        if change is None:
            changes[address] = None
            continue
        old = ledger.accounts.get(address)
        slots = dict(change.storage)
        if change.storage_cleared and old is not None:
            slots = dict.fromkeys(old.storage, 0) | slots
        if change.account is not None:
            nonce, balance, code_hash = change.account
        elif old is not None:
            nonce, balance, code_hash = old.nonce, old.balance, old.code_hash
        else:
            raise AssertionError(f"the machine changed slots of 0x{address.hex()}, which does not exist")
        if change.code is not None:
            codes[code_hash] = change.code
        changes[address] = AccountAfter(nonce, balance, code_hash, slots)
    return changes, codes
