"""The cycle collector leaves alone what is there when the first market has been searched."""

from __future__ import annotations

import gc

import pytest
import trio

from flasharb.service import garbage
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.figures import Figures
from flasharb.service.messages import Candidates, Update, newest
from flasharb.settings import Settings
from flasharb.strategy.search import Search, Tokens
from tests.support.market_samples import USDC, WETH, header, market, v2


@pytest.fixture
def collector() -> object:
    """The collector as it was, afterwards."""
    before = gc.get_threshold()
    yield None
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_is_there_is_not_looked_at_again() -> None:
    kept = [[n] for n in range(1000)]
    garbage.settle()
    assert gc.get_freeze_count() >= len(kept)
    assert gc.get_threshold() == garbage.THRESHOLDS


async def test_it_settles_after_each_search_of_a_whole_market() -> None:
    settled: list[int] = []
    search = Search(Settings(), Tokens((WETH.address,), (USDC.address,), WETH.address))
    detector = Detector(search, Figures(), lambda report: None, settle=lambda: settled.append(len(settled)))
    updates = Conflated[Update](newest)
    snapshot = market(v2("a", (WETH.address, 10**20), (USDC.address, 10**12)))
    send, receive = trio.open_memory_channel[Candidates](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(detector.run, updates, send)
        for touched in (None, frozenset[bytes]()):
            updates.put(Update(snapshot, header(100), touched, 0.0, 12.0))  # type: ignore[arg-type]
            await trio.testing.wait_all_tasks_blocked()
        updates.close()
        async for _ in receive:
            pass
    assert settled == [0]
