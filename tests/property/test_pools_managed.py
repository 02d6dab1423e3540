"""The pools inside Uniswap V4's PoolManager against the manager's own bytecode.

``python -m tests.long.pools_managed`` runs 5,000 cases of each kind.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from eth_hash.auto import keccak

from flasharb.evm import LogEntry, Machine
from flasharb.feed.events import PoolLog
from flasharb.feed.logs import event_of
from flasharb.market.transition import next_state
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick, tick_at_sqrt_price
from flasharb.pools.managed.key import PoolKey
from flasharb.pools.managed.pool import V4Pool, v4_pool
from flasharb.pools.managed.storage import load, state_slot
from flasharb.pools.protocols import LOG_TOPICS
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs
from flasharb.units import Address, hex0x
from tests.support import managed_chain as chain
from tests.support.managed_cases import KINDS, managed_case, run_case
from tests.support.pool_bytecode import SENDER, RevertedError, word

CASES = 400
HISTORIES = 30
EVERY_WORD = 1 << 16

pytestmark = [pytest.mark.node, chain.needs_manager]


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_manager(kind: str) -> None:
    """Amounts, state afterwards, what is refused, and the ladder's quotes are the manager's, bit for bit."""
    assert [problem for number in range(CASES) if (problem := run_case(kind, number))] == []


def test_cases_have_both_shares_and_both_currencies() -> None:
    """Protocol fees of one, both and no direction; ether and tokens; exact input and output."""
    cases = [managed_case("range", number) for number in range(CASES)]
    shares = Counter((case.pool.protocol_fees & 0xFFF > 0, case.pool.protocol_fees >> 12 > 0) for case in cases)

    assert min(shares[one, other] for one in (False, True) for other in (False, True)) > CASES // 20
    assert min(Counter(any(case.key.currency0) for case in cases).values()) > CASES // 4
    assert min(Counter(case.exact_in for case in cases).values()) > CASES // 4


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_events_lead_to_the_stored_state(seed: int) -> None:
    """After every event of a random history our pool is the one that the manager's storage describes."""
    dice = random.Random(f"managed history {seed}")
    key = chain.key_of(dice.randint(0, 20_000), dice.choice((10, 60, 200)), native=dice.random() < 0.5)
    spec = chain.spec(key)
    machine = chain.manager_machine({})
    chain.transact(machine, chain.MANAGER, chain.SET_CONTROLLER + word(SENDER))
    tick = dice.randint(-100_000, 100_000)
    price = sqrt_price_at_tick(tick) + dice.randint(0, 999)
    (begun,) = chain.transact(machine, chain.MANAGER, chain.initialize_call(key, price)).logs
    pool = stored(machine, spec)
    assert after(v4_pool(spec, (0, 0, 0), {}), begun) == pool
    assert pool == v4_pool(spec, (pool.sqrt_price_x96, tick_at_sqrt_price(pool.sqrt_price_x96), 0), {})
    seen: Counter[bytes] = Counter()
    for _ in range(12):
        for log in act(dice, machine, pool, key):
            if log.address == chain.MANAGER and log.topics[1:2] == (key.pool_id(),):
                pool = after(pool, log)
                seen[log.topics[0]] += 1
        assert pool == stored(machine, spec)
        assert pool.ticks_agree()
    assert len(seen) >= 2


def stored(machine: Machine, spec: PoolSpec) -> V4Pool:
    """The pool as its storage says, all words of it, in three rounds at most."""
    slots: dict[tuple[Address, int], int] = {}
    for _ in range(4):
        answer = load(spec, Elsewhere(slots), EVERY_WORD)
        if isinstance(answer, V4Pool):
            return answer
        assert isinstance(answer, Needs)
        assert not answer.elsewhere & slots.keys()
        slots |= {(at, slot): machine.storage(at, slot) for at, slot in answer.elsewhere}
    raise AssertionError("more than three rounds")


def act(dice: random.Random, machine: Machine, pool: V4Pool, key: PoolKey) -> tuple[LogEntry, ...]:
    """Somebody does something to the pool; what the manager refuses has no events."""
    spacing = key.tick_spacing
    kind = dice.choice(("add", "add", "remove", "swap", "swap", "swap", "donate", "fee"))
    try:
        if kind == "fee":
            fees = dice.choice((0, dice.randint(0, 1000) | dice.randint(0, 1000) << 12))
            return chain.transact(machine, chain.MANAGER, chain.fee_call(key, fees)).logs
        if kind == "add":
            lower, upper = (pool.tick // spacing - dice.randint(0, 300), pool.tick // spacing + dice.randint(1, 300))
            call = chain.modify_call(key, lower * spacing, upper * spacing, dice.randint(1, 10**18))
        elif kind == "remove" and len(pool.ladder.ticks) > 1:
            lower, upper = dice.choice(list(pairwise(pool.ladder.ticks)))
            call = chain.modify_call(key, lower, upper, -dice.randint(1, pool.ladder.info[lower].gross))
        elif kind == "donate":
            call = chain.donate_call(key, dice.randint(0, 10**18), dice.randint(0, 10**18))
        else:
            down = dice.random() < 0.5
            away = tick_at_sqrt_price(pool.sqrt_price_x96) + (-1 if down else 1) * dice.randint(2, 400) * spacing
            amount = dice.choice((-1, 1)) * dice.randint(1, 10 ** dice.choice((3, 12, 18)))
            call = chain.swap_call(key, down, amount, sqrt_price_at_tick(away))
        return chain.locked(machine, key, call).logs
    except RevertedError:
        return ()


def after(pool: V4Pool, log: LogEntry) -> V4Pool:
    """Our pool after one log of the manager, on the way that it takes from the feed into the market."""
    topics = [hex0x(topic) for topic in log.topics]
    fields = {"address": hex0x(log.address), "topics": topics, "data": hex0x(log.data)}
    event = event_of(fields | {"blockNumber": "0x1", "logIndex": "0x0"}, LOG_TOPICS)
    if event is None:
        assert log.topics[0] == chain.DONATED
        return pool
    assert isinstance(event, PoolLog)
    assert (event.pool, event.emitter) == (pool.spec.address, chain.MANAGER)
    moved = next_state(pool, event)
    assert isinstance(moved, V4Pool), moved
    assert next_state(pool, msgspec.structs.replace(event, emitter=SENDER)) is pool, "a stranger's log is not believed"
    return moved


def test_a_missed_fee_update_is_noticed() -> None:
    """A Swap event says what fee it charged: another than ours means that we missed something."""
    pool = managed_case("range", 1).pool.with_protocol_fees(500 | 700 << 12)
    down, up = pool.ladder.fees

    assert pool.after_swap((-5, 4), 1 << 96, 7, 0, down).sqrt_price_x96 == 1 << 96
    assert pool.after_swap((4, -5), 1 << 96, 7, 0, up).liquidity == 7
    for amounts, fee in (((-5, 4), up), ((4, -5), down), ((-5, 0), 3)):
        with pytest.raises(ValueError, match="fee update was missed"):
            pool.after_swap(amounts, 1 << 96, 7, 0, fee)


def test_slots_are_where_the_manager_says() -> None:
    """mapping(PoolId => State) in slot 6: the manager's own extsload of that slot gives Slot0."""
    key = chain.key_of(3000, 60)
    machine = chain.manager_machine({})
    chain.transact(machine, chain.MANAGER, chain.initialize_call(key, 1 << 96))
    extsload = keccak(b"extsload(bytes32)")[:4] + word(state_slot(key.pool_id()))

    assert int.from_bytes(machine.call(chain.MANAGER, extsload).output, "big") == 1 << 96 | 3000 << 208
    assert isinstance(load(chain.spec(key), Elsewhere()), Needs)
