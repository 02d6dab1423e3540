"""Worker processes: replaced when they hang or die, never confused by a caller that went away."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from flasharb.service.workers import Died, Overrun, WorkerBug, WorkerError, Workers, open_workers

SCRIPTED = (sys.executable, "-m", "tests.support.scripted_worker")


def always(request: object) -> Callable[[dict[Any, Any]], object]:
    return lambda memory: request


@asynccontextmanager
async def scripted(count: int = 1, wall_budget_s: float = 30.0) -> AsyncIterator[Workers]:
    async with open_workers(count, wall_budget_s, SCRIPTED) as workers:
        yield workers


async def test_answers_come_back_whole_whatever_their_size() -> None:
    async with scripted() as workers:
        for value in (None, -(2**300), b"x" * 3_000_000, {"a": (1, b"\0" * 20)}):
            assert await workers.call(always(("echo", value))) == value


async def test_a_hanging_worker_is_killed_and_replaced() -> None:
    async with scripted(wall_budget_s=0.5) as workers:
        before = await workers.call(always(("pid", None)))
        assert await workers.call(always(("spin", None))) == Overrun(0.5)
        after = await workers.call(always(("pid", None)))

        assert after != before
        assert workers.replaced == 1
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)


async def test_a_dying_worker_is_replaced() -> None:
    async with scripted() as workers:
        assert await workers.call(always(("die", 9))) == Died(9)
        assert await workers.call(always(("echo", 1))) == 1


async def test_memory_lives_as_long_as_the_process() -> None:
    def counted(memory: dict[Any, Any]) -> object:
        memory["calls"] = memory.get("calls", 0) + 1
        return ("die", 0) if memory["calls"] == 3 else ("echo", memory["calls"])

    async with scripted() as workers:
        assert [await workers.call(counted) for _ in range(4)] == [1, 2, Died(0), 1]


async def test_the_answer_to_a_caller_that_left_is_dropped() -> None:
    async with scripted() as workers:
        pid = await workers.call(always(("pid", None)))
        with trio.move_on_after(0.05) as scope:
            await workers.call(always(("sleep", 0.3)))
        assert scope.cancelled_caught

        assert await workers.call(always(("echo", "mine"))) == "mine"
        assert await workers.call(always(("pid", None))) == pid


async def test_two_workers_work_at_once() -> None:
    """Each call sleeps most of the budget; one after the other they would overrun the test's limit."""
    async with scripted(count=2) as workers:
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await workers.call(always(("pid", None))))
            answers.append(await workers.call(always(("sleep", 0.5))))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert answers.count("slept") == 2


async def test_a_bug_in_the_worker_is_not_swallowed() -> None:
    async with scripted() as workers:
        with pytest.raises(WorkerBug, match="ZeroDivisionError"):
            await workers.call(always(("fail", "Traceback: ZeroDivisionError")))


async def test_a_worker_that_does_not_start_is_a_named_error() -> None:
    # One worker: of two, the second may or may not fail before the first one's failure cancels it.
    with pytest.RaisesGroup(pytest.RaisesExc(WorkerError, match="did not start"), flatten_subgroups=True):
        async with open_workers(1, 1.0, (*SCRIPTED, "broken")):
            raise AssertionError("unreachable")


async def test_no_process_outlives_the_block() -> None:
    async with scripted(count=2) as workers:
        pids = set()
        while len(pids) < 2:
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    pids.add(await workers.call(always(("pid", None))))

                nursery.start_soon(ask)
                nursery.start_soon(ask)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
