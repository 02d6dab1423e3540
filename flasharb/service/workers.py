"""EVM work in processes of its own.

A CPU-bound thread would hold Trio up (measured: wake-up latency 0.2 ms becomes 5.6 ms); a process does not. Each worker
process has one task here that owns it: it takes a call, sends the request, waits for the answer at most the wall
budget, and replaces the process when the budget is overrun, its memory or stack is exhausted, or it died; one that dies
while it has nothing to do is replaced at once and costs no request.

A caller that is cancelled while its request waits for a worker takes it back; while it is running, the caller stops
waiting, and the task reads and drops the late answer, so a pipe never holds half a talk. The worker is not killed for
that: a new one takes about as long to start as the budget lasts, and knows nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from flasharb.errors import OutsideError
from flasharb.service.frames import PREFIX_BYTES, Exhausted, Failed, Ready, pack, unpack

COMMAND: Final = (sys.executable, "-m", "flasharb.service.worker")
"""A worker without limits of its own."""
ALARM_BUDGETS: Final = 2.0
"""After so many wall budgets a worker ends itself: then nobody was there to kill it."""
START_LIMIT_S: Final = 30.0
"""A process that is not ready after this (imports of py-evm on a loaded machine take seconds) is broken."""


class WorkerError(OutsideError):
    """A worker process cannot be started."""


class WorkerBug(Exception):
    """Our own code failed inside a worker; the message holds its traceback."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """The request took longer than the wall budget; its worker was killed and replaced."""

    budget_s: float


@dataclass(frozen=True, slots=True)
class Died:
    """The worker ended while it worked on the request (killed, out of memory); it was replaced."""

    status: int | None


@dataclass(slots=True)
class _Call:
    """``request_for(memory)`` builds the request for the process that takes it, whose memory starts empty."""

    request_for: Callable[[dict[Any, Any]], object]
    done: trio.Event = field(default_factory=trio.Event)
    answer: Any = None


class _EndOfWorker(Exception):
    """The worker closed its pipe."""


class Workers:
    """Runs requests on worker processes; made by ``open_workers``."""

    def __init__(self, command: Sequence[str], wall_budget_s: float) -> None:
        self._command = command
        self._budget_s = wall_budget_s
        # No buffer: a call waits in the sender, where its deadline can still cancel it.
        self._calls, self._taken = trio.open_memory_channel[_Call](0)
        self.replaced = 0
        """Worker processes that hung or died and were replaced."""

    async def call(self, request_for: Callable[[dict[Any, Any]], object]) -> Any:
        """Run one request on the next free worker; gives its answer, an ``Overrun``, an ``Exhausted`` or a ``Died``.

        ``request_for`` gets the memory of the chosen process, a dict that lives exactly as long as the process: what
        was sent to it once need not be sent again.

        Raises:
            WorkerBug: our own code failed in the worker.
        """
        call = _Call(request_for)
        await self._calls.send(call)
        await call.done.wait()
        if isinstance(call.answer, Failed):
            raise WorkerBug(call.answer.traceback)
        return call.answer

    async def _keep_worker(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        while True:
            process = await self._start()
            try:
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await self._serve(process)
            finally:
                with trio.CancelScope(shield=True):
                    await _end(process)

    async def _start(self) -> trio.Process:
        # Its own process group: Ctrl-C in the terminal is for us, we end the workers in order.
        process = await trio.lowlevel.open_process(
            list(self._command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        try:
            with trio.fail_after(START_LIMIT_S):
                message = unpack(await _receive(process))
        except (_EndOfWorker, trio.TooSlowError) as error:
            with trio.CancelScope(shield=True):
                await _end(process)
            raise WorkerError(
                f"a worker process did not start ({' '.join(self._command)}); its words stand above on stderr"
            ) from error
        except BaseException:
            with trio.CancelScope(shield=True):
                await _end(process)
            raise
        assert isinstance(message, Ready), message
        return process

    async def _serve(self, process: trio.Process) -> None:
        """Work off calls until this process is no longer fit."""
        memory: dict[Any, Any] = {}
        while (call := await self._next_call(process)) is not None:
            call.answer = await self._ask(process, call.request_for(memory))
            call.done.set()
            if isinstance(call.answer, Overrun | Exhausted | Died):
                break
        self.replaced += 1

    async def _next_call(self, process: trio.Process) -> _Call | None:
        """The next call; None: the process ended while it waited for one."""
        call: _Call | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await process.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            call = await self._taken.receive()
            nursery.cancel_scope.cancel()
        return call

    async def _ask(self, process: trio.Process, request: object) -> Any:
        assert process.stdin is not None
        with trio.move_on_after(self._budget_s):
            try:
                await process.stdin.send_all(pack(request))
                return unpack(await _receive(process))
            except (_EndOfWorker, trio.BrokenResourceError):
                process.kill()
                return Died(await process.wait())
        return Overrun(self._budget_s)


async def _receive(process: trio.Process) -> bytes:
    assert process.stdout is not None
    size = int.from_bytes(await _exactly(process.stdout, PREFIX_BYTES), "little")
    return await _exactly(process.stdout, size)


async def _exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        if not chunk:
            raise _EndOfWorker
        data += chunk
    return bytes(data)


async def _end(process: trio.Process) -> None:
    process.kill()
    await process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            await stream.aclose()


def limited_command(memory_mb: int, wall_budget_s: float) -> tuple[str, ...]:
    """A worker that takes at most so many MiB of address space, and ends when nobody ends it."""
    return (*COMMAND, "--memory-mb", str(memory_mb), "--alarm-s", str(wall_budget_s * ALARM_BUDGETS + 1))


@asynccontextmanager
async def open_workers(count: int, wall_budget_s: float, command: Sequence[str] = COMMAND) -> AsyncIterator[Workers]:
    """Start ``count`` worker processes; they are ready inside the block and ended after it.

    Raises:
        WorkerError: a process does not start.
    """
    workers = Workers(command, wall_budget_s)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for _ in range(count):
                starting.start_soon(nursery.start, workers._keep_worker)
        yield workers
        nursery.cancel_scope.cancel()
