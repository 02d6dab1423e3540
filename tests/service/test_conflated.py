"""The conflated channel: never a queue, never a lost wake-up."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from flasharb.service.conflated import Conflated


def newest(old: frozenset[int], new: frozenset[int]) -> frozenset[int]:
    return old | new


async def test_reader_gets_one_merged_value_for_all_that_it_missed() -> None:
    channel = Conflated(newest)
    for number in range(1000):
        channel.put(frozenset({number}))
    channel.close()

    received = [value async for value in channel]

    assert received == [frozenset(range(1000))]
    assert channel.merged == 999


async def test_waiting_reader_gets_every_value_that_it_is_ready_for() -> None:
    channel = Conflated(newest)
    received: list[frozenset[int]] = []

    async def read() -> None:
        async for value in channel:
            received.append(value)  # noqa: PERF401 - seen one by one while the channel is open

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for number in range(3):
            await wait_all_tasks_blocked()
            channel.put(frozenset({number}))
        await wait_all_tasks_blocked()
        channel.close()

    assert received == [{0}, {1}, {2}]
    assert channel.merged == 0


async def test_closing_keeps_the_unread_value() -> None:
    channel = Conflated(newest)
    channel.put(frozenset({7}))
    channel.close()

    assert [value async for value in channel] == [{7}]


async def test_reader_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    channel = Conflated(newest)
    with trio.move_on_after(0):
        await channel.__anext__()
    channel.put(frozenset({1}))

    assert await channel.__anext__() == {1}
