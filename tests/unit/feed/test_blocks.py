"""When a block is complete, and what happens to what comes afterwards."""

from __future__ import annotations

import pytest

from flasharb.feed import blocks
from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import (
    BlockHeader,
    ClosedBlock,
    Event,
    FeedGap,
    Heartbeat,
    NewHead,
    PoolUnreliable,
    V2Sync,
    V3Mint,
)
from flasharb.units import Address, Hash32

POOL, OTHER = Address(b"\x11" * 20), Address(b"\x22" * 20)


def sync(block: int, reserve: int = 1, index: int | None = None, pool: Address = POOL) -> V2Sync:
    return V2Sync(pool, reserve, reserve, block, index)


def header(number: int, branch: int = 0, parent_branch: int | None = None) -> BlockHeader:
    def named(n: int, b: int) -> Hash32:
        return Hash32(n.to_bytes(16, "big") + b.to_bytes(16, "big"))

    parent = named(number - 1, branch if parent_branch is None else parent_branch)
    return BlockHeader(number, named(number, branch), parent, number * 12, 7, 1, 2, POOL)


def run(assembler: BlockAssembler, *events: Event) -> list[ClosedBlock]:
    return [closed for event in events for closed in assembler.add(event)]


def test_first_message_of_a_later_block_closes() -> None:
    assembler = BlockAssembler()
    assert run(assembler, sync(5, 1), sync(5, 2)) == []
    assert run(assembler, sync(6)) == [ClosedBlock(5, (sync(5, 1), sync(5, 2)), None)]
    assert assembler.closed_through == 5


def test_heartbeat_of_a_later_block_closes_and_one_of_the_same_does_not() -> None:
    assembler = BlockAssembler()
    assert run(assembler, sync(5), Heartbeat(5, 0)) == []
    assert run(assembler, Heartbeat(6, 0), Heartbeat(6, 1)) == [ClosedBlock(5, (sync(5),), None)]
    assert assembler.counters.stale == 0


def test_header_of_the_next_block_closes() -> None:
    assembler = BlockAssembler(after=4)
    assert run(assembler, NewHead(header(5)), sync(5)) == []
    assert run(assembler, NewHead(header(6))) == [ClosedBlock(5, (sync(5),), header(5))]


def test_blocks_without_events_are_released_where_they_are_known() -> None:
    assembler = BlockAssembler(after=4)
    found = run(assembler, NewHead(header(5)), NewHead(header(6)), Heartbeat(7, 0), sync(10))
    assert [(block.number, block.header is not None) for block in found] == [(5, True), (6, True), (9, False)]


def test_older_messages_are_stale() -> None:
    assembler = BlockAssembler(after=5)
    assert run(assembler, sync(5), sync(4), sync(7), sync(6)) == [ClosedBlock(6, (), None)]
    assert assembler.counters.stale == 3


def test_events_are_in_log_order_each_once() -> None:
    assembler = BlockAssembler(after=4)
    (closed,) = run(assembler, sync(5, 2, 9), sync(5, 1, 3), sync(5, 2, 9), Heartbeat(6, 0))
    assert closed.events == (sync(5, 1, 3), sync(5, 2, 9))
    assert assembler.counters.duplicates == 1


def test_bus_events_keep_the_order_of_arrival() -> None:
    mint = V3Mint(POOL, -1, 1, 5, 5)
    lost = PoolUnreliable(OTHER, "truncated", 5)
    (closed,) = run(BlockAssembler(), sync(5, 2), mint, lost, sync(5, 1), Heartbeat(6, 0))
    assert closed.events == (sync(5, 2), mint, lost, sync(5, 1))


def test_other_events_are_passed_by() -> None:
    assert run(BlockAssembler(), FeedGap("lost")) == []


def test_reorganisation_takes_the_blocks_again() -> None:
    assembler = BlockAssembler(after=3)
    run(assembler, NewHead(header(4)), NewHead(header(5)), sync(5, 1), Heartbeat(6, 0))
    assert run(assembler, sync(5, 2)) == []
    found = run(assembler, NewHead(header(5, 1, 0)), sync(5, 2), NewHead(header(6, 1)), Heartbeat(7, 0))
    assert found == [ClosedBlock(5, (sync(5, 2),), header(5, 1, 0)), ClosedBlock(6, (), header(6, 1))]
    assert assembler.counters.reorganisations == 1


def test_head_with_a_foreign_parent_takes_the_parent_back() -> None:
    assembler = BlockAssembler(after=3)
    run(assembler, NewHead(header(4)), NewHead(header(5)), Heartbeat(6, 0))
    assert assembler.closed_through == 5
    found = run(assembler, NewHead(header(6, 1)))
    assert [(block.number, block.header) for block in found] == [(5, None)]
    assert assembler.counters.reorganisations == 1


def test_repeated_head_is_a_duplicate() -> None:
    assembler = BlockAssembler(after=3)
    assert run(assembler, NewHead(header(4)), NewHead(header(4))) == []
    assert assembler.counters.duplicates == 1


def test_damaged_block_number_closes_nothing() -> None:
    assembler = BlockAssembler(after=4)
    found = run(assembler, sync(5), Heartbeat(2**60, 0), sync(2**63), NewHead(header(2**40)), Heartbeat(6, 0))
    assert found == [ClosedBlock(5, (sync(5),), None)]
    assert assembler.counters.implausible == 3


def test_waits_for_headers_in_order_and_not_forever() -> None:
    assembler = BlockAssembler(after=4, wait_for_header=True)
    assert run(assembler, sync(5), sync(6), Heartbeat(7, 0)) == []
    assert run(assembler, NewHead(header(6))) == []
    found = run(assembler, NewHead(header(5)))
    assert found == [ClosedBlock(5, (sync(5),), header(5)), ClosedBlock(6, (sync(6),), header(6))]
    found = run(assembler, *(sync(n) for n in range(7, 80)))
    assert [block.number for block in found] == list(range(7, 15))


def test_reset_starts_after_another_block() -> None:
    assembler = BlockAssembler(after=4)
    run(assembler, sync(5))
    assembler.reset(9)
    assert run(assembler, sync(8), sync(10), Heartbeat(11, 0)) == [ClosedBlock(10, (sync(10),), None)]


def test_flooded_block_distrusts_its_pools_instead_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_EVENTS", 10)
    assembler = BlockAssembler(after=4)
    flood = [sync(5, n, n if n % 2 else None, Address(bytes([n % 4]) * 20)) for n in range(1000)]
    (closed,) = run(assembler, *flood, Heartbeat(6, 0))
    assert all(isinstance(event, PoolUnreliable) for event in closed.events)
    assert {event.pool for event in closed.events} == {bytes([n]) * 20 for n in range(4)}
    assert assembler.counters.overflowed == 1000 - 11
