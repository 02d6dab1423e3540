"""Worker processes: replaced when they hang or die, never confused by a caller that went away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from eth_hash.auto import keccak

from flasharb.evm import AccountInfo, BlockContext, Fork, UnsignedTransaction
from flasharb.service.facts import AccountFact, CodeFact
from flasharb.service.frames import PREFIX_BYTES, Exhausted, Ready, pack, unpack
from flasharb.service.requests import Request
from flasharb.service.workers import COMMAND, Died, Overrun, WorkerBug, WorkerError, Workers, open_workers
from flasharb.units import Hash32

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
        assert_gone(before)


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
        assert_gone(pid)


async def test_a_worker_that_dies_while_idle_costs_no_request() -> None:
    """Killed by the system, say: it is replaced at once, and the next call goes to the new one."""
    async with scripted() as workers:
        pid = await workers.call(always(("pid", None)))
        os.kill(pid, signal.SIGKILL)
        while workers.replaced == 0:
            await trio.lowlevel.checkpoint()
        assert await workers.call(always(("echo", "whole"))) == "whole"
        assert_gone(pid)


async def test_a_worker_killed_while_it_works_is_named_and_replaced() -> None:
    async with scripted() as workers:
        pid = await workers.call(always(("pid", None)))
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await workers.call(always(("spin", None))))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)
        assert answers == [Died(-signal.SIGKILL)]
        assert await workers.call(always(("echo", 1))) == 1


async def test_an_exhausted_worker_is_replaced() -> None:
    """It said so itself; what it holds may be half of something."""
    async with scripted() as workers:
        pid = await workers.call(always(("pid", None)))
        assert await workers.call(always(("exhaust", "memory"))) == Exhausted("memory")
        assert await workers.call(always(("pid", None))) != pid
        assert workers.replaced == 1
        assert_gone(pid)


async def test_abandoned_work_never_blocks_the_pool_for_longer_than_the_budget() -> None:
    """Every worker is busy with hostile work that nobody waits for any more: new calls are served all the same."""
    async with scripted(count=2, wall_budget_s=0.5) as workers:
        with trio.move_on_after(0.1) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(workers.call, always(("spin", None)))
        assert scope.cancelled_caught
        assert [await workers.call(always(("echo", one))) for one in range(4)] == [0, 1, 2, 3]
        assert workers.replaced >= 1


async def test_a_call_that_is_cancelled_while_it_waits_is_never_run() -> None:
    async with scripted() as workers:
        ran: list[str] = []

        def noting(memory: dict[Any, Any]) -> object:
            ran.append("ran")
            return ("echo", None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.call, always(("sleep", 0.3)))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.05):
                await workers.call(noting)
        assert await workers.call(always(("echo", 2))) == 2
        assert ran == []


async def test_busy_workers_are_killed_at_the_end_and_leave_no_zombie() -> None:
    async with scripted(count=2) as workers:
        pids = {await workers.call(always(("pid", None)))}
        while len(pids) < 2:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(workers.call, always(("sleep", 0.1)))
                await trio.testing.wait_all_tasks_blocked()
                pids.add(await workers.call(always(("pid", None))))
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(workers.call, always(("spin", None)))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    for pid in pids:
        assert_gone(pid)


def assert_gone(pid: int) -> None:
    """Neither running nor a zombie: the process has been waited for."""
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_worker_without_a_service_ends_itself() -> None:
    """A real worker whose service was killed while it looped: its own alarm ends it."""
    command = [*COMMAND, "--alarm-s", "1"]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    size = int.from_bytes(await process.stdout.receive_some(PREFIX_BYTES), "little")
    assert unpack(await process.stdout.receive_some(size)) == Ready()
    await process.stdin.send_all(pack(endless_request()))
    with trio.fail_after(60):
        assert await process.wait() == -signal.SIGALRM
    await process.stdin.aclose()
    await process.stdout.aclose()


def endless_request() -> Request:
    """A loop with gas for hours."""
    sender, loop = b"\x5e" * 20, b"\x10" * 20
    code = bytes.fromhex("5b5f56")
    info = AccountInfo(1, 0, keccak(code))
    transaction = UnsignedTransaction(sender, loop, b"", 0, 0, 10**12, 1, 0)
    context = BlockContext(1, 1, 1, bytes(20), 10**13, 1, bytes(32), excess_blob_gas=0)
    facts = (
        CodeFact(code, keccak(code)),
        AccountFact(sender, AccountInfo(0, 10**18)),
        AccountFact(loop, info),
        AccountFact(bytes(20), None),
    )
    return Request(Hash32(bytes(32)), facts, context, Fork.SHANGHAI, (transaction,), (), 10**13)
