"""Pool events that came as a run: still a table, and of one block, on their way to the block assembler.

Only where no message needs to be judged by itself does a run stay whole: every pool's events in the order of their
times, every price in its range. ``split`` says so without looking at one of them in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise, repeat
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flasharb.feed.events import LastReserves, V2Sync, V3Swap
from flasharb.feed.runs import Kind, Rows, Run
from flasharb.feed.tick_check import MAX_SQRT_PRICE_X96, MAX_TICK, MIN_SQRT_PRICE_X96, MIN_TICK

CONCENTRATED_VENUES: Final = frozenset({301, 600})
"""Uniswap V3 on Ethereum and Arbitrum; other venues' pools are known by their content."""

_MARGIN: Final = 1e-9
"""Far more than floats are off here; a price closer than this to where its verdict changes is left to integers."""
_ONE_TICK: Final = sqrt(1.0001)


@dataclass(frozen=True, slots=True)
class PoolRun:
    """Reserves (``sync``) or prices (``swap``) after events of one block, in the order in which they came."""

    kind: Kind
    block_number: int
    rows: Rows
    _pools: list[bytes] = field(default_factory=list, repr=False, compare=False)

    def __len__(self) -> int:
        """How many events."""
        return len(self.rows)

    def pools(self) -> Sequence[bytes]:
        """The pool of each event; made once, because several ask, and each address keeps its hash."""
        if len(self._pools) != len(self.rows):
            self._pools[:] = self.rows["pool"].tolist()
        return self._pools

    def prices(self) -> NDArray[np.float64]:
        """Token 1 per token 0 after each event, in smallest units, fee not taken off; zero or not finite: none."""
        rows = self.rows
        if self.kind == "swap":
            return (_sqrt_price(rows) * 2.0**-96) ** 2 * ((rows["low"] > 0) | (rows["high"] > 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            prices: NDArray[np.float64] = _u128(rows["low1"], rows["high1"]) / _u128(rows["low0"], rows["high0"])
        return prices

    def timed(self) -> Iterator[tuple[int, V2Sync | V3Swap]]:
        """Each event with its timestamp in nanoseconds."""
        return zip(self.rows["time"].tolist(), self.events(), strict=True)

    def events(self) -> list[V2Sync | V3Swap]:
        """The events one by one."""
        rows = self.rows
        if self.kind == "sync":
            reserves = (_whole(rows["low0"], rows["high0"]), _whole(rows["low1"], rows["high1"]))
            return list(map(V2Sync, self.pools(), *reserves, repeat(self.block_number)))  # type: ignore[arg-type]
        prices = [
            low | middle << 64 | high << 128
            for low, middle, high in zip(
                rows["price0"].tolist(), rows["price1"].tolist(), rows["price2"].tolist(), strict=True
            )
        ]
        liquidity = _whole(rows["low"], rows["high"])
        return list(map(V3Swap, self.pools(), prices, rows["tick"].tolist(), liquidity, repeat(self.block_number)))  # type: ignore[arg-type]


def last_reserves(told: Sequence[PoolRun | V2Sync]) -> LastReserves | None:
    """What these syncs of one block, runs and single ones in their order, say in the end; None if there are none.

    Reserves are absolute: of a pool only the last sync counts.
    """
    last: dict[bytes, int] = {}
    runs: list[Rows] = []
    single: list[V2Sync] = []
    rows = 0
    for one in told:
        if isinstance(one, V2Sync):
            single.append(one)
            last[one.pool] = -len(single)
        elif len(one):
            last.update(zip(one.pools(), count(rows), strict=False))
            runs.append(one.rows)
            rows += len(one)
    if not last:
        return None
    pools = [pool for pool, place in last.items() if place >= 0] if single else list(last)
    reserve0: list[int] = []
    reserve1: list[int] = []
    if pools:
        places = np.fromiter(map(last.__getitem__, pools), np.intp, len(pools))
        columns = [np.concatenate([run[name] for run in runs])[places] for name in ("low0", "high0", "low1", "high1")]
        reserve0, reserve1 = _whole(*columns[:2]), _whole(*columns[2:])
    ended = [one for n, one in enumerate(single, 1) if last[one.pool] == -n]
    pools += [one.pool for one in ended]
    reserve0 += [one.reserve0 for one in ended]
    reserve1 += [one.reserve1 for one in ended]
    return LastReserves(told[0].block_number, pools, reserve0, reserve1)  # type: ignore[arg-type]


def split(run: Run) -> list[PoolRun] | None:
    """A run's events by block; None where its messages have to be judged one by one.

    Swaps of constant-product pools say nothing, but may leave an empty part, whose block has been told all the same.
    """
    if run.beside is not None:
        return _split_pairs(run, run.beside)
    rows = run.rows
    blocks, times = rows["block"], rows["time"]
    same_block = blocks[1:] == blocks[:-1]
    if not ((blocks[1:] > blocks[:-1]) | (same_block & (times[1:] > times[:-1]))).all():
        return None
    told = _prices_told(run) if run.kind == "swap" else np.ones(len(rows), np.bool_)
    if told is None:
        return None
    ends = [*(np.flatnonzero(~same_block) + 1).tolist(), len(rows)]
    parts = []
    for start, end in pairwise([0, *ends]):
        parts.append(PoolRun(run.kind, int(blocks[start]), rows[start:end][told[start:end]]))
    return parts


def _split_pairs(run: Run, beside: Rows) -> list[PoolRun] | None:
    """Syncs and swaps by turns, where the swaps have no price: they say at most that another block has begun."""
    syncs, swaps = (run.rows, beside) if run.kind == "sync" else (beside, run.rows)
    told, blocks = _prices_told(Run("swap", run.dialect, swaps)), run.column("block")
    if told is None or told.any() or (blocks[1:] < blocks[:-1]).any():
        return None
    parts = split(Run("sync", run.dialect, syncs))
    if parts is not None and blocks[-1] > parts[-1].block_number:
        parts.append(PoolRun("swap", int(blocks[-1]), swaps[:0]))
    return parts


def _prices_told(run: Run) -> NDArray[np.bool_] | None:
    """Which rows tell a price, the others being swaps of constant-product pools; None if any is out of the ordinary."""
    rows = run.rows
    price, tick = _sqrt_price(rows), rows["tick"]
    empty = (price == 0.0) & (tick == 0) & (rows["low"] == 0) & (rows["high"] == 0)
    empty &= ~np.isin(rows["venue"], list(CONCENTRATED_VENUES))
    sound = (price > MIN_SQRT_PRICE_X96 * (1 + _MARGIN)) & (price < MAX_SQRT_PRICE_X96 * (1 - _MARGIN))
    sound &= (tick >= MIN_TICK) & (tick < MAX_TICK)
    if run.dialect == "p3":
        above = price * 2.0**-96 / 1.0001 ** (tick / 2)
        sound &= (above > 1 + _MARGIN) & (above < _ONE_TICK * (1 - _MARGIN))
    return sound if (sound | empty).all() else None


def _sqrt_price(rows: Rows) -> NDArray[np.float64]:
    price = _u128(rows["price0"], rows["price1"]) + rows["price2"] * 2.0**128
    # p3's field has 32 bytes, of which a price fills 20.
    return price + rows["price3"] * 2.0**192 if "price3" in (rows.dtype.names or ()) else price


def _u128(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = low.astype(np.float64) + high * 2.0**64
    return whole


def _whole(low: NDArray[Any], high: NDArray[Any]) -> list[int]:
    if not high.any():
        return low.tolist()  # type: ignore[no-any-return]
    return [below | above << 64 for below, above in zip(low.tolist(), high.tolist(), strict=True)]
