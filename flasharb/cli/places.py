"""Where a transaction to simulate is: in a recorded block, or on a node; and the state that it runs on there."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import flasharb
from flasharb.adapters.blockfile import read_block
from flasharb.adapters.node import Node
from flasharb.adapters.proven import reader_at
from flasharb.adapters.readers import NodeReader, StateReader
from flasharb.adapters.state import NodeBlock, fetch_block, locate, prefetch, simulate_on_node
from flasharb.cli.transaction_argument import Draft, Signed, Wanted
from flasharb.errors import OutsideError, StateUnavailable, UsageError
from flasharb.evm import BlockContext, Fork, MissingState, UnsignedTransaction
from flasharb.evm.blobs import excess_after
from flasharb.evm.transactions import decode
from flasharb.execution.fees import next_base_fee
from flasharb.settings import Settings
from flasharb.simulation.discovery import Lockstep, named_by
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import RecordedBlock, RecordedState
from flasharb.simulation.result import Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.units import Address, Hash32, address, hex0x

FIXTURE_BLOCKS: Final = Path(flasharb.__file__).resolve().parent.parent / "fixtures" / "blocks"

MAINNET_WETH: Final = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
"""Also the devnet's, whose contracts stand at their mainnet addresses."""


@dataclass(frozen=True, slots=True)
class Place:
    """A transaction with all that its execution depends on.

    ``index`` is its position; ``before`` are the transactions that run first; ``reader`` is asked for the state of the
    parent block (None: ``state`` is all there is). ``beside_block``: it is no part of the block.
    """

    context: BlockContext
    fork: Fork
    index: int
    before: tuple[bytes, ...]
    transaction: bytes | UnsignedTransaction
    state: ForkState
    origin: str
    reader: StateReader | None = None
    beside_block: bool = False

    async def simulate(self, options: Options) -> tuple[Run, Simulation]:
        """Execute the transaction; the run answers questions about the state after it.

        Raises:
            StateUnavailable: state is needed that neither file nor node knows.
            NodeError: the node does not answer.
            InvalidTransaction: the transaction cannot be executed at its place.
        """
        options = replace(options, beside_block=self.beside_block)
        run = Run([self.transaction], self.state, self.context, self.fork, self.before, options)
        if self.reader is not None:
            return run, await simulate_on_node(self.reader, run, self.state)
        answer = run.step()
        if isinstance(answer, MissingState):
            raise StateUnavailable(
                f"{self.origin}: {answer}. A recorded block knows only what its own transactions touch; "
                "with --rpc URL a node can tell the rest"
            )
        return run, answer


# Recorded blocks


def in_file(path: Path, wanted: Wanted, alone: bool) -> Place:
    """The transaction in one recorded block; one that is not part of it runs after all the block's transactions.

    Raises:
        UsageError: the file is damaged, or has no transaction with this hash.
    """
    block = read_block(path)
    place = _in_block(block, str(path), wanted, alone)
    if place is None:
        assert isinstance(wanted, bytes)
        held = f"block {block.number}, {len(block.transactions)} transactions"
        raise UsageError(f"transaction {hex0x(wanted)} is not in {path} ({held})")
    return place


def _in_block(block: RecordedBlock, origin: str, wanted: Wanted, alone: bool) -> Place | None:
    hashes = block.transaction_hashes
    tx_hash = wanted.hash if isinstance(wanted, Signed) else wanted
    state = ForkState(RecordedState(block))
    if isinstance(tx_hash, bytes) and tx_hash in hashes:
        index = hashes.index(tx_hash)
        before = () if alone else block.transactions[:index]
        return Place(block.context, block.fork, index, before, block.transactions[index], state, origin)
    before = () if alone else block.transactions
    index = len(before)
    if isinstance(wanted, Signed):
        return Place(block.context, block.fork, index, before, wanted.raw, state, origin, beside_block=True)
    if isinstance(wanted, Draft):
        transaction = _completed(wanted, block.context, before, state, origin)
        return Place(block.context, block.fork, index, before, transaction, state, origin, beside_block=True)
    return None


def _completed(
    draft: Draft, context: BlockContext, before: Sequence[bytes], state: ForkState, origin: str
) -> UnsignedTransaction:
    for created, account in draft.create.items():
        try:
            state.create_account(
                created, balance=account.balance, nonce=account.nonce, code=account.code, storage=account.storage
            )
        except ValueError as error:
            raise UsageError(f"create: {error}") from None
    nonce = draft.nonce
    if nonce is None:
        try:
            account_info = state.account(draft.sender)
        except MissingState as missing:
            raise StateUnavailable(
                f"{origin}: {missing}; give the nonce, or create the sender with the field create"
            ) from None
        nonce = (account_info.nonce if account_info is not None else 0) + sum(
            decode(raw).sender == draft.sender for raw in before
        )
    return _unsigned(draft, context, nonce)


def _unsigned(draft: Draft, context: BlockContext, nonce: int) -> UnsignedTransaction:
    max_fee = context.base_fee_per_gas if draft.max_fee_per_gas is None else draft.max_fee_per_gas
    return UnsignedTransaction(
        sender=draft.sender,
        to=draft.to,
        data=draft.data,
        value=draft.value,
        nonce=nonce,
        gas_limit=draft.gas_limit,
        max_fee_per_gas=max_fee,
        max_priority_fee_per_gas=draft.max_priority_fee_per_gas or 0,
        access_list=draft.access_list,
        chain_id=context.chain_id if draft.chain_id is None else draft.chain_id,
    )


def in_recorded_runs(data_dir: Path, wanted: Wanted, alone: bool) -> Place:
    """The transaction among the blocks of the recorded runs, the last run first, then among the fixtures.

    Raises:
        UsageError: it is in none of them, with the places that were searched; or it has no hash to look for.
    """
    if isinstance(wanted, Draft):
        raise UsageError("an unsigned transaction needs --fork FILE or --rpc URL: the block it is tried in")
    tx_hash = wanted.hash if isinstance(wanted, Signed) else wanted
    runs = data_dir / "runs"
    searched = []
    for folder in (*_newest_first(runs), FIXTURE_BLOCKS):
        files = sorted(folder.glob("*.json.gz"), reverse=True)
        searched.append(f"{folder} ({len(files)} blocks)")
        for path in files:
            if _mentions(path, tx_hash):
                place = _in_block(read_block(path), str(path), Hash32(tx_hash), alone)
                if place is not None:
                    return place
    raise UsageError(
        f"transaction {hex0x(tx_hash)} is unknown. Looked in: {'; '.join(searched)}"
        f"{'' if runs.is_dir() else f'; no recorded runs in {runs}'}. "
        "--fork FILE names a recorded block, --rpc URL a node"
    )


def _newest_first(runs: Path) -> Iterator[Path]:
    if runs.is_dir():
        for run in sorted(runs.iterdir(), reverse=True):
            if (run / "blocks").is_dir():
                yield run / "blocks"


def _mentions(path: Path, tx_hash: bytes) -> bool:
    """Whether the file holds the hash as text: far cheaper than parsing every block."""
    try:
        return tx_hash.hex().encode() in gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        # A damaged file among many is no reason to give up: the one that has it will be read in earnest.
        return False


# A node


async def on_node(node: Node, wanted: Wanted, alone: bool, settings: Settings) -> Place:
    """The transaction where the node has it; one that is not mined runs on the head, in the block after it.

    Raises:
        OutsideError: the node does not know the hash, does not answer, or tells state that is disproved.
    """
    state = ForkState()
    origin = node.shown_url
    tx_hash = wanted.hash if isinstance(wanted, Signed) else wanted
    found = await locate(node, Hash32(tx_hash)) if isinstance(tx_hash, bytes) else None
    if found is not None:
        number, index = found
        block = await fetch_block(node, number, first=index + 1)
        if index >= len(block.transactions):
            raise OutsideError(f"{origin}: block {number} has no transaction {index}")
        before = () if alone else block.transactions[:index]
        reader = await _parent_reader(node, block.context, settings)
        place = Place(block.context, block.fork, index, before, block.transactions[index], state, origin, reader)
    elif isinstance(wanted, bytes):
        raise OutsideError(f"transaction {hex0x(wanted)} is unknown to {origin}, or not mined yet")
    else:
        place = await _on_head(node, wanted, state, settings)
    transactions = [*place.before, place.transaction]
    lockstep = Lockstep(transactions, state, place.context, place.fork)
    assert place.reader is not None
    await prefetch(place.reader, lockstep, named_by(transactions, place.context), state)
    return place


async def _parent_reader(node: Node, context: BlockContext, settings: Settings) -> StateReader:
    if settings.simulation.verify_state:
        return await reader_at(node, Hash32(context.parent_hash), proven=True)
    return NodeReader(node, context.number - 1)


async def _on_head(node: Node, wanted: Signed | Draft, state: ForkState, settings: Settings) -> Place:
    head = int(str(await node.call("eth_blockNumber")), 16)
    block = await fetch_block(node, head, first=0)
    context, fork = _next_block(block, settings.chain.slot_s)
    reader = await _parent_reader(node, context, settings)
    if isinstance(wanted, Signed):
        return Place(context, fork, 0, (), wanted.raw, state, node.shown_url, reader, beside_block=True)
    if wanted.nonce is None and wanted.sender not in wanted.create:
        await reader.fetch(MissingState(accounts=(wanted.sender,)), state)
    transaction = _completed(wanted, context, (), state, node.shown_url)
    return Place(context, fork, 0, (), transaction, state, node.shown_url, reader, beside_block=True)


@dataclass(frozen=True, slots=True)
class _Gas:
    base_fee_per_gas: int
    gas_used: int
    gas_limit: int
    blob_gas_used: int
    excess_blob_gas: int


def _next_block(parent: NodeBlock, slot_s: float) -> tuple[BlockContext, Fork]:
    """The block after ``parent`` as far as it is known beforehand; its coinbase and randomness are the parent's."""
    context, header = parent.context, parent.header
    gas_used, blob_gas_used = (int(header.get(name, "0x0"), 16) for name in ("gasUsed", "blobGasUsed"))
    gas = _Gas(context.base_fee_per_gas, gas_used, context.gas_limit, blob_gas_used, context.excess_blob_gas or 0)
    number, timestamp = context.number + 1, context.timestamp + max(1, round(slot_s))
    fork = parent.rules(number, timestamp)
    following = replace(
        context,
        number=number,
        timestamp=timestamp,
        base_fee_per_gas=next_base_fee(gas),
        excess_blob_gas=excess_after(fork, gas),
        parent_hash=bytes.fromhex(header["hash"][2:]),
        parent_beacon_root=None,
    )
    return following, fork


def sender_and_target(transaction: bytes | UnsignedTransaction) -> tuple[Address, Address | None]:
    """Who sends, and which contract is called (None: one is created)."""
    tx = decode(transaction) if isinstance(transaction, bytes) else transaction
    return Address(tx.sender), Address(tx.to) if tx.to else None


def recorded_wrapped_native(settings: Settings, chain_id: int) -> Address:
    """The wrapped ether of the chain that a block was recorded on; where nobody says, it is where mainnet has it."""
    configured = settings.chain.wrapped_native
    if configured and settings.chain.id == chain_id:
        return address(configured)
    return MAINNET_WETH
