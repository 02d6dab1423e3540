"""``flasharb record``: a block of a node as a file that simulates and verifies without it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from flasharb.adapters.blockfile import read_block, write_block
from flasharb.adapters.node import open_node
from flasharb.adapters.proven import reader_at
from flasharb.adapters.readers import NodeReader, StateReader
from flasharb.adapters.state import MAX_ROUNDS, fetch_block, fetch_header, prefetch
from flasharb.cli import trio_main
from flasharb.cli.loading import load_settings
from flasharb.errors import FlasharbError, StateUnavailable
from flasharb.evm import InvalidTransaction
from flasharb.settings import Settings
from flasharb.simulation.discovery import Lockstep, named_by
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import CorruptBlock, RecordedBlock, header_hash, parse, to_json
from flasharb.simulation.recording import Recorder
from flasharb.simulation.verify import verify
from flasharb.units import Hash32, hex0x


@click.command(name="record", epilog="Example: flasharb record --rpc http://127.0.0.1:8545 --block 22615247")
@click.option("--rpc", "rpc_url", metavar="URL", required=True, help="Node with the state of the parent block.")
@click.option("--block", "number", type=click.IntRange(min=1), required=True, help="Block number.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File; the default is BLOCK.json.gz here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(rpc_url: str, number: int, out: Path | None, as_json: bool) -> int:
    """Write a block of a node, with all state that its transactions touch, as mainnet-block-bundle/1.

    The block is executed here, and what it reads is fetched at the parent block. The file is written only when
    executing it from nothing but its own state gives the header's gas used, receipts root and logs bloom.
    """
    settings = load_settings(None, os.environ).settings
    path = out or Path(f"{number}.json.gz")
    block = trio_main.run(_record, rpc_url, number, settings)
    _prove(block)
    write_block(path, block)
    summary = _summary(path, read_block(path))
    if as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        held = f"{summary['transactions']} transactions, {summary['accounts']} accounts, {summary['slots']} slots"
        click.echo(f"{path}: block {number} ({block.fork}), {held}, verified")
        for note in summary["notes"]:
            click.echo(f"note: {note}", err=True)
    return 0


def _summary(path: Path, block: RecordedBlock) -> dict[str, Any]:
    return {
        "file": str(path),
        "block_number": block.number,
        "fork": str(block.fork),
        "transactions": len(block.transactions),
        "accounts": len(block.pre_state),
        "slots": sum(len(account.storage) for account in block.pre_state.values() if account is not None),
        "notes": list(block.verification.get("notes", ())),
    }


async def _record(rpc_url: str, number: int, settings: Settings) -> RecordedBlock:
    async with open_node(
        rpc_url, timeout_s=settings.node.request_timeout_s, batch_size=settings.node.batch_size
    ) as node:
        block = await fetch_block(node, number)
        parent = await fetch_header(node, number - 1)
        try:
            found = header_hash(block.header)
        except CorruptBlock as error:
            raise StateUnavailable(f"{node.shown_url}: block {number}: {error}") from None
        if hex0x(found) != block.header.get("hash"):
            raise StateUnavailable(
                f"{node.shown_url}: the header of block {number} hashes to {hex0x(found)}, not to "
                f"{block.header.get('hash')}: it has fields that are not known here"
            )
        # A replayed block comes with a made-up parent, which is not worth keeping.
        real = parent is not None and header_hash(parent) == bytes.fromhex(block.header["parentHash"][2:])
        state = ForkState()
        lockstep = Lockstep(block.transactions, state, block.context, block.fork)
        reader: StateReader = NodeReader(node, number - 1)
        if settings.simulation.verify_state:
            reader = await reader_at(node, Hash32(block.context.parent_hash), proven=True)
        await prefetch(reader, lockstep, named_by(block.transactions, block.context), state)
        recorder = Recorder(
            block.header,
            parent if real else None,
            block.transactions,
            block.withdrawals,
            block.chain_id,
            block.fork,
            state,
        )
        recorded = await _finish(reader, recorder, number, state)
        return replace(recorded, source={"node": node.shown_url})


async def _finish(reader: StateReader, recorder: Recorder, number: int, state: ForkState) -> RecordedBlock:
    for _ in range(MAX_ROUNDS):
        try:
            answer = recorder.step()
        except InvalidTransaction as error:
            raise FlasharbError(f"block {number} does not execute here: {error}") from None
        if isinstance(answer, RecordedBlock):
            return answer
        refused = await reader.fetch_available(answer, state)
        if refused is not None:
            if not recorder.executed:
                raise refused.error
            recorder.leave_out(refused.missing)
    raise StateUnavailable(f"{reader.node.shown_url}: still something missing after {MAX_ROUNDS} fetches")


def _prove(block: RecordedBlock) -> None:
    """What is about to be written must hold by itself."""
    try:
        answer = verify(parse(to_json(block)))
    except CorruptBlock as error:
        raise FlasharbError(f"block {block.number} is not written: {error}") from None
    if not answer.ok:
        first = answer.mismatches[0]
        where = "the block" if first.index is None else f"transaction {first.index}"
        raise FlasharbError(
            f"block {block.number} is not written, it does not verify: {first.field} of {where}: "
            f"expected {first.expected}, got {first.got}"
        )
