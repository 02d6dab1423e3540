"""Random cases for pairs of Solidly and its forks, and how each runs through the real pair.

A case is known by its kind ("stable" or "volatile") and number. Recorded results of real pairs stand in
``fixtures/solidly/cases.json.gz``; ``run_case`` asks the real pair itself.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flasharb.pools import PoolSpec, QuoteUnavailable
from flasharb.pools.solidly import LAYOUTS, SolidlyFacts, SolidlyPool, load
from flasharb.pools.storage import Elsewhere, mapping_slot
from flasharb.units import ZERO_ADDRESS, Address
from tests.support.pool_bytecode import RevertedError, number
from tests.support.solidly_world import CONTRACTS, PairWorld, pair_world

KINDS = ("stable", "volatile")
RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "solidly" / "cases.json.gz"
DECIMALS = ((18, 18), (6, 18), (18, 6), (6, 6), (8, 18), (2, 18), (18, 8))


@dataclass(frozen=True, slots=True)
class PairCase:
    """A state and a swap given in. ``custom`` is the pair's own fee as its factory keeps it, where it keeps one."""

    kind: str
    stable: bool
    decimals: tuple[int, int]
    reserves: tuple[int, int]
    fee: int
    custom: int
    i: int
    amount_in: int

    def pool(self, pair: Address = ZERO_ADDRESS, factory: Address = ZERO_ADDRESS) -> SolidlyPool:
        """Our pair, from the slots that the real ones would have."""
        facts = SolidlyFacts(self.kind, self.stable, self._units(), factory)  # type: ignore[arg-type]
        own, others = self.slots(pair)
        spec = PoolSpec(pair, self.kind, (Address(b"\1" * 20), Address(b"\2" * 20)), 0, facts=facts)
        slots = {(factory, slot): value for slot, value in {0: 0, **others}.items()}
        pool = load(spec, own, Elsewhere(slots))
        assert isinstance(pool, SolidlyPool)
        return pool

    def slots(self, pair: bytes) -> tuple[dict[int, int], dict[int, int]]:
        """The slots of pair and factory."""
        layout = LAYOUTS[self.kind]
        own = {layout.reserves: self.reserves[0], layout.reserves + 1: self.reserves[1]}
        others = {} if layout.fees is None else dict.fromkeys(layout.fees, 299)
        if layout.fees is not None:
            others[layout.fees[0 if self.stable else 1]] = self.fee
        if layout.custom_fees is not None:
            others[mapping_slot(number(pair), layout.custom_fees)] = self.custom
        return own, others

    def on_devnet(self) -> PairCase | None:
        """The same for the devnet's own pair, which asks its factory for the fee; None if it searches by another loop.

        Of a volatile pair all kinds have one mathematics.
        """
        pool = self.pool()
        if self.stable and not pool.facts.loop.first:
            return None
        return replace(self, kind="velodrome_v1", fee=pool.fee_bps, custom=0)

    def _units(self) -> tuple[int, int]:
        return 10 ** self.decimals[0], 10 ** self.decimals[1]


def case_of(shape: str, index: int) -> PairCase:
    """The case of this number."""
    dice = random.Random(f"{shape} {index}")
    kind, stable = dice.choice(tuple(CONTRACTS)), shape == "stable"
    decimals = dice.choice(DECIMALS)
    size = 10 ** dice.uniform(-3, 9 if stable else 12)
    reach = 10 ** dice.choice((0.01, 0.1, 0.5, 2, 5))
    reserves = [max(1, int(size * dice.uniform(1, reach) * 10**digits)) for digits in decimals]
    if dice.random() < 0.05:
        reserves[dice.randint(0, 1)] = dice.randint(1, 10**6)
    if dice.random() < 0.03:
        reserves[dice.randint(0, 1)] = dice.randint(10**28, 10**34)
    fee = 1 if kind == "solidly_v1" else dice.randint(1, 5) if kind == "velodrome_v1" else dice.choice((1, 5, 30, 300))
    custom = dice.choice((0, 0, 0, 7, 420)) if kind.startswith("velodrome_v2") else 0
    i = dice.randint(0, 1)
    most = reserves[i] * dice.choice((1, 1, 1, 10, 100)) // dice.choice((1, 10, 100, 100, 10**4, 10**7))
    return PairCase(kind, stable, decimals, (reserves[0], reserves[1]), fee, custom, i, dice.randint(1, max(1, most)))


# --- running ---


def run_case(shape: str, index: int) -> str | None:
    """None where the real pair and ours agree, else what differs."""
    case = case_of(shape, index)
    found = compare(case, pair_world(case.kind, case.stable, case.decimals))
    return f"{shape} {index}: {found} in {case}" if found else None


def compare(case: PairCase, world: PairWorld) -> str | None:
    """None where the pair of this world and our mathematics agree, else what differs."""
    pool, i, j = case.pool(world.pair, world.factory), case.i, 1 - case.i
    real = real_quote(case, world)
    try:
        ours: int | None = pool.quoted(i, j, case.amount_in)
    except QuoteUnavailable:
        ours = None
    if ours != real:
        return f"quote {ours}, the pair's {real}"
    try:
        result = pool.swapped(i, j, case.amount_in)
    except QuoteUnavailable as error:
        return f"no swap though the pair quotes {real}: {error}" if real and takes(case, world, real) else None
    if result.amount_out:
        after = takes(case, world, result.amount_out)
        if after != result.pool.reserves:
            return f"{result.amount_out} leaves {after}, ours {result.pool.reserves}"
    more = result.amount_out + 1
    if (result.amount_out != real or not case.stable) and more < case.reserves[j] and takes(case, world, more):
        return f"{more} is taken, ours is {result.amount_out}, the quote {real}"
    return None


def real_quote(case: PairCase, world: PairWorld) -> int | None:
    """``getAmountOut`` of the real pair, None where it reverts."""
    try:
        return world.quote(world.machine(_storage(case, world), case.reserves), case.i, case.amount_in)
    except RevertedError:
        return None


def takes(case: PairCase, world: PairWorld, amount_out: int) -> tuple[int, int] | None:
    """The reserves after the real pair has paid this much, None where it refuses."""
    balances = list(case.reserves)
    balances[case.i] += case.amount_in
    machine = world.machine(_storage(case, world), (balances[0], balances[1]))
    try:
        world.swap(machine, 1 - case.i, amount_out)
    except RevertedError:
        return None
    at = LAYOUTS[case.kind].reserves
    return machine.storage(world.pair, at), machine.storage(world.pair, at + 1)


def record(count: int) -> None:
    """Write what the real pairs answer to this many cases of each kind."""
    rows = []
    wanted = [(shape, index) for shape in KINDS for index in range(count)]
    wanted += [("stable", index) for index in range(count, 20 * count) if _is_lowered(case_of("stable", index))]
    for case in (case_of(shape, index) for shape, index in wanted):
        world = pair_world(case.kind, case.stable, case.decimals)
        quote = real_quote(case, world)
        paid, after = _most_taken(case, world, quote) if quote else (quote, None)
        rows.append({**asdict(case), "quote": quote, "paid": paid, "after": after})
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    RECORDED.parent.mkdir(exist_ok=True)
    with RECORDED.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        file.write(text.encode())


def _is_lowered(case: PairCase) -> bool:
    pool, i, j = case.pool(), case.i, 1 - case.i
    try:
        return pool.amount_out(i, j, case.amount_in) < pool.quoted(i, j, case.amount_in)
    except QuoteUnavailable:
        return False


def _most_taken(case: PairCase, world: PairWorld, quote: int) -> tuple[int, tuple[int, int] | None]:
    """The most up to its quote that the real pair lets pass, and its reserves after that."""
    after = takes(case, world, quote)
    if after is not None:
        return quote, after
    low, high = 0, quote
    while high - low > 1:
        middle = (low + high) // 2
        if takes(case, world, middle):
            low = middle
        else:
            high = middle
    return low, takes(case, world, low) if low else None


def recorded() -> Iterator[tuple[PairCase, int | None, int | None, tuple[int, int] | None]]:
    """Each recorded case with the pair's ``getAmountOut`` (None: it reverts), what it pays, its reserves after that."""
    for row in json.loads(gzip.decompress(RECORDED.read_bytes())):
        quote, paid, after = row.pop("quote"), row.pop("paid"), row.pop("after")
        pairs = {name: tuple(row.pop(name)) for name in ("decimals", "reserves")}
        yield PairCase(**row, **pairs), quote, paid, tuple(after) if after else None  # type: ignore[misc]


def _storage(case: PairCase, world: PairWorld) -> Mapping[bytes, Mapping[int, int]]:
    own, others = case.slots(world.pair)
    # a supply, so that fees can be credited to somebody
    return {world.pair: {**own, 2: 10**18}, world.factory: others}
