"""Factories' creation logs from a node, in ranges that the node can answer; pools that exist among those that could."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any, Final

import trio

from flasharb.adapters.asking import Question, answers
from flasharb.adapters.chain import read_bytes, read_number
from flasharb.adapters.node import Node, RpcError, RpcFailure
from flasharb.adapters.pauses import Pauses
from flasharb.errors import NodeError
from flasharb.pools.creation import POOL_COUNT, POOL_LIST, Claim, Creation, FactoryLog, Listing, Told
from flasharb.pools.register import Refused, Register
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, checksum, hex0x

FIRST_SPAN: Final = 2_000
"""Blocks of the first request; most providers answer that many."""
LARGEST_SPAN: Final = 100_000
MOST_FAILURES: Final = 6
"""Requests in a row without an answer before the node counts as gone."""
_THROTTLED: Final = ("rate limit", "rate-limit", "too many requests", "throttl", "capacity", "status 429")

CLAIMS_AT_ONCE: Final = 200
"""Contracts that are asked together; the code of each is held until all of them are known."""
_MOST_LISTED: Final = 100_000
"""More pools than any list has; a longer one is no list of pools."""

Take = Callable[[int, Sequence[FactoryLog]], Awaitable[None]]
"""``take(last, logs)``: all logs up to block ``last`` have been told now."""


async def factory_logs(
    node: Node,
    creators: Sequence[tuple[str, Address, Creation]],
    blocks: tuple[int, int],
    take: Take,
    *,
    patient: bool = True,
) -> None:
    """Tell the creation logs of all ``creators`` (``pools.register``) in these blocks, range by range, in order.

    A range that the node finds too large is halved, a node that asks for patience gets it (``patient``; else that is
    raised at once).

    Raises:
        NodeError: no answer even to a single block, or after several attempts; what was told before holds.
    """
    places = {"address": sorted({hex0x(emitter) for _, emitter, _ in creators})}
    topics = sorted({hex0x(creation.topic) for _, _, creation in creators})
    if not topics:
        return
    first, last = blocks
    span, failures, pauses = FIRST_SPAN, 0, Pauses(Random())
    while first <= last:
        end = min(first + span - 1, last)
        try:
            query = {**places, "topics": [topics], "fromBlock": hex(first), "toBlock": hex(end)}
            answer = await node.call("eth_getLogs", query)
        except NodeError as error:
            failures += 1
            patience = throttled(error) or not isinstance(error, RpcError)
            hopeless = (failures > MOST_FAILURES or not patient) if patience else end == first
            if hopeless:
                raise
            if patience:
                await trio.sleep(pauses.next())
            if not throttled(error):
                # An answer that does not come may be too large as well.
                span = max(1, (end - first + 1) // 2)
            continue
        await take(end, [_factory_log(one) for one in _listed(answer) if not one.get("removed")])
        failures = 0
        pauses.reset()
        first, span = end + 1, min(span + span // 4 + 1, LARGEST_SPAN)


def throttled(error: NodeError) -> bool:
    """Whether the node wants fewer requests, not smaller ones."""
    words = str(error).lower()
    return any(one in words for one in _THROTTLED)


async def settle(
    node: Node, register: Register, met: Iterable[Claim | Listing], block: int | None = None
) -> list[Refused]:
    """Find out what the pools are that logs only spoke of, and take them; those not taken.

    ``block``: the one at whose end the node is asked, and then a list is read for as many of its newest pools as there
    are logs of it. None: now, and lists are read whole.

    Raises:
        NodeError: the node does not answer; the rest of them is not known then.
    """
    place = "latest" if block is None else hex(block)
    claims: dict[Address, Claim] = {}
    listings: dict[Address, tuple[Listing, int]] = {}
    for one in met:
        if isinstance(one, Listing):
            listings[one.contract] = one, listings.get(one.contract, (one, 0))[1] + 1
        else:
            claims[one.pool] = one
    for listing, logs in listings.values():
        for claim in await listed(node, listing, place, None if block is None else logs):
            claims.setdefault(claim.pool, claim)
    # a list names what is known already each time that it is read
    unknown = [claim for claim in claims.values() if claim.pool not in register.specs]
    refused: list[Refused | None] = []
    for start in range(0, len(unknown), CLAIMS_AT_ONCE):
        some = unknown[start : start + CLAIMS_AT_ONCE]
        questions: list[Question[Told]] = [
            Question(claim.pool, claim.ask, f"contract {checksum(claim.pool)}") for claim in some
        ]
        told = await answers(node, questions, place)
        refused += [register.told(claim, one) for claim, one in zip(some, told, strict=True)]
    return [one for one in refused if one is not None]


async def listed(node: Node, listing: Listing, place: str, newest: int | None) -> list[Claim]:
    """The pools on a contract's list, or so many of the newest.

    Raises:
        NodeError: no answer, or one that is no list of pools.
    """
    where, at = f"{node.shown_url}: the pools listed by {checksum(listing.contract)}", hex0x(listing.contract)
    count = int.from_bytes(read_bytes(await node.call("eth_call", {"to": at, "data": hex0x(POOL_COUNT)}, place), where))
    if count > _MOST_LISTED:
        raise NodeError(f"{where}: it says that they are {count}")
    first = 0 if newest is None else max(0, count - newest)
    questions = ({"to": at, "data": hex0x(POOL_LIST + index.to_bytes(32, "big"))} for index in range(first, count))
    claims = []
    for answer in await node.batch([("eth_call", (question, place)) for question in questions]):
        if isinstance(answer, RpcFailure):
            raise NodeError(f"{where}: {answer}")
        word = read_bytes(answer, where)
        if len(word) != 32:
            raise NodeError(f"{where}: {answer!r:.80} is no address")
        pool = Address(word[12:])
        claims.append(Claim(pool, partial(listing.ask, pool), listing.source))
    return claims


async def existing(node: Node, named: Sequence[PoolSpec | Claim]) -> list[PoolSpec | Claim]:
    """Those that have code now.

    Raises:
        NodeError: no answer for one of them.
    """
    places = [one.pool if isinstance(one, Claim) else one.address for one in named]
    codes = await node.batch([("eth_getCode", (hex0x(at), "latest")) for at in places])
    found = []
    for one, at, code in zip(named, places, codes, strict=True):
        if isinstance(code, RpcFailure):
            raise NodeError(f"{node.shown_url}: eth_getCode {hex0x(at)}: {code}")
        if read_bytes(code, "eth_getCode"):
            found.append(one)
    return found


def _listed(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise NodeError(f"eth_getLogs: expected a list of logs, got {answer!r:.80}")
    return answer


def _factory_log(answer: dict[str, Any]) -> FactoryLog:
    topics = answer.get("topics")
    if not isinstance(topics, list):
        raise NodeError(f"eth_getLogs: a log without topics: {answer!r:.80}")
    return FactoryLog(
        Address(read_bytes(answer.get("address"), "address of a log")),
        tuple(read_bytes(topic, "topic of a log") for topic in topics),
        read_bytes(answer.get("data"), "data of a log"),
        read_number(answer.get("blockNumber"), "blockNumber of a log"),
    )
