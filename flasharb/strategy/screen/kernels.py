"""The inner loops of the screen, written once: compiled by numba where there is one, else run as they stand.

Every table comes either as a structured array (compiled) or as a dictionary of memory views of its columns (plain
Python, to which a memory view gives numbers of its own, not numpy's); ``table["column"]`` means the same for both, and
so do the results, bit for bit: there is no other arithmetic here than comparing and multiplying floats.

A neighbour is looked for in doubling steps from where the search stands. Two sorted neighbourhoods are walked in step
that way, each jumping over what the other lacks, which is short work both for two hubs and for a hub and a token with
three pools.
"""

from __future__ import annotations

from typing import Any

from flasharb.strategy.screen.layout import SCREENED

Graph = Any
"""slots, pairs, links, tokens, and the base tokens' numbers"""
Table = Any
Column = Any

MAX_HOPS, BUDGET, CURTAILED = 0, 1, 2
"""Places in ``control``: settings, and a count of thirds of 4-cycles that were passed over."""


def screen(graph: Graph, batch: Table, risen: Column, stale: Column, found: Column, control: Column) -> Any:
    """``reprice`` and ``search`` in one call: legs risen, pairs stale, legs done, cycles found."""
    rises, stales = reprice(graph, batch, risen, stale)
    done, count = search(graph, risen[:rises], found, control)
    return rises, stales, done, count


def reprice(graph: Graph, batch: Table, risen: Column, stale: Column) -> tuple[int, int]:
    """Take over a batch's rates, then look at each pair's best ones.

    ``risen`` gets the legs (2 x pair + direction) whose best rate rose, ``stale`` the pairs of the batch that open
    cycles lead through; returns how many each.
    """
    slots, pairs, links, _, _ = graph
    forward, backward, pair_of = slots["forward"], slots["backward"], slots["pair"]
    first, opened = pairs["first"], pairs["open"]
    tail_link, head_link = pairs["tail_link"], pairs["head_link"]
    out, back = links["out"], links["back"]
    slot, to, fro = batch["slot"], batch["forward"], batch["backward"]
    for n in range(len(slot)):
        forward[slot[n]] = to[n]
        backward[slot[n]] = fro[n]
    rises = stales = 0
    for n in range(len(slot)):
        pair = pair_of[slot[n]]
        if opened[pair]:
            stale[stales] = pair
            stales += 1
        best_to = best_fro = 0.0
        for other in range(first[pair], first[pair + 1]):
            best_to = max(best_to, forward[other])
            best_fro = max(best_fro, backward[other])
        here, there = tail_link[pair], head_link[pair]
        if best_to > out[here]:
            risen[rises] = 2 * pair
            rises += 1
        if best_fro > back[here]:
            risen[rises] = 2 * pair + 1
            rises += 1
        out[here] = back[there] = best_to
        back[here] = out[there] = best_fro
    return rises, stales


def search(graph: Graph, legs: Column, found: Column, control: Column) -> tuple[int, int]:
    """Token cycles that pass through the legs, four numbers each in ``found`` (-1 for no token).

    Returns how many legs were done and how many cycles those gave; a leg whose cycles found no room is not done.
    """
    _, pairs, links, tokens, _ = graph
    rank, out, back = tokens["rank"], links["out"], links["back"]
    room = len(found) // 4
    count = 0
    for n in range(len(legs)):
        pair = legs[n] >> 1
        start, end, here = pairs["tail"][pair], pairs["head"][pair], pairs["tail_link"][pair]
        if legs[n] & 1:
            start, end, here = end, start, pairs["head_link"][pair]
        rate = out[here]
        before = count
        if (rank[start] >= 0 or rank[end] >= 0) and rate * back[here] > SCREENED:
            count = note(found, count, start, end, -1, -1)
        if control[MAX_HOPS] > 2:
            count = close(graph, start, end, -1, rate, found, count)
        if control[MAX_HOPS] > 3:
            count = fours(graph, start, end, rate, found, count, control)
        if count > room:
            return n, before
    return len(legs), count


def fours(graph: Graph, start: int, end: int, rate: float, found: Column, count: int, control: Column) -> int:
    """Cycles ``start`` → ``end`` → third → fourth.

    When the budget (of links walked) is spent, the other thirds are taken only if they are base tokens.
    """
    _, _, links, tokens, _ = graph
    first, rank, token, out = tokens["first"], tokens["rank"], links["token"], links["out"]
    spent = 0
    for at in range(first[end], first[end + 1]):
        third = token[at]
        if third != start:
            spent += min(first[start + 1] - first[start], first[third + 1] - first[third])
            if spent > control[BUDGET] and rank[third] < 0:
                control[CURTAILED] += 1
            else:
                count = close(graph, start, end, third, rate * out[at], found, count)
    return count


def close(graph: Graph, start: int, end: int, third: int, rate: float, found: Column, count: int) -> int:
    """Cycles that go on from ``third`` (or from ``end``, when that is -1) over one more token and back to ``start``.

    At least one of the tokens is a base token; ``rate`` is that of the legs so far.
    """
    _, _, links, tokens, bases = graph
    first, rank, token, out, back = tokens["first"], tokens["rank"], links["token"], links["out"], links["back"]
    last = end if third < 0 else third
    if rank[start] < 0 and rank[end] < 0 and rank[last] < 0:
        for n in range(len(bases)):
            there, here = link(links, tokens, last, bases[n]), link(links, tokens, start, bases[n])
            if there >= 0 and here >= 0 and rate * out[there] * back[here] > SCREENED:
                count = note(found, count, start, end, third, bases[n])
        return count
    here, here_end = first[start], first[start + 1]
    there, there_end = first[last], first[last + 1]
    while here < here_end and there < there_end:
        if token[here] < token[there]:
            here = seek(token, here + 1, here_end, token[there])
        elif token[here] > token[there]:
            there = seek(token, there + 1, there_end, token[here])
        else:
            if token[here] != end and rate * out[there] * back[here] > SCREENED:
                count = note(found, count, start, end, third, token[here])
            here += 1
            there += 1
    return count


def note(found: Column, count: int, start: int, end: int, third: int, fourth: int) -> int:
    """Append a cycle; beyond the room only counted."""
    at = 4 * count
    if at < len(found):
        found[at] = start
        found[at + 1] = end
        found[at + 2] = third
        found[at + 3] = fourth
    return count + 1


def link(links: Table, tokens: Table, start: int, end: int) -> int:
    """The link from one token to another, -1 when no pool has both."""
    first, token = tokens["first"], links["token"]
    high = first[start + 1]
    at = seek(token, first[start], high, end)
    return at if at < high and token[at] == end else -1


def seek(token: Column, low: int, high: int, wanted: int) -> int:
    """The first place in ``token[low:high]``, ascending, that is not below ``wanted``; ``high`` when there is none."""
    step = 1
    while low + step < high and token[low + step] < wanted:
        low += step
        step *= 2
    high = min(high, low + step)
    while low < high:
        middle = (low + high) >> 1
        if token[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def walk(links: Table, tokens: Table, base: int, hops: int, forth: bool, best: Column, before: Column) -> None:
    """The best products of rates over paths of each length up to ``hops`` from ``base`` to each token; to ``base`` from
    each, where not ``forth``.

    Row h of ``best`` and ``before`` (the token next to it on its path), ``len(tokens) - 1`` numbers each, is for h
    hops. Only the best path to a token is gone on from, and no path visits a token twice.
    """
    first, token = tokens["first"], links["token"]
    rates = links["out"] if forth else links["back"]
    count = len(first) - 1
    for n in range(count * (hops + 1)):
        best[n] = 0.0
    best[base] = 1.0
    for hop in range(hops):
        for start in range(count):
            rate = best[hop * count + start]
            if rate > 0.0:
                for at in range(first[start], first[start + 1]):
                    place = (hop + 1) * count + token[at]
                    if rate * rates[at] > best[place] and not visited(before, count, hop, start, token[at]):
                        best[place] = rate * rates[at]
                        before[place] = start


def visited(before: Column, count: int, hops: int, last: int, wanted: int) -> bool:
    """Whether ``wanted`` is on the path of so many hops that ends at ``last``."""
    token = last
    for hop in range(hops, 0, -1):
        if token == wanted:
            return True
        token = before[hop * count + token]
    return bool(token == wanted)
