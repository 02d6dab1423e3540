"""Bundles of a crashed run: decided by receipts on their own chain, left alone on another, over with their devnet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasharb.adapters.journal import Journal
from flasharb.service.leftovers import DEVNET_ENDED, UNKNOWN, Here, settle
from flasharb.units import Hash32, hex0x
from tests.support.service_fakes import FakeChain

HERE = Here(1, "0x" + "11" * 32, "0x" + "22" * 20, False)
DEVNET = Here(61_861, "0x" + "33" * 32, "0x" + "22" * 20, True)
SENT = Hash32(b"\xaa" * 32)
LAST = 7


def crashed(path: Path, where: Here | None, *, sent: bool = True) -> None:
    """The journal of a run that ended with one bundle under way."""
    with Journal(path, "crashed") as journal:
        if where is not None:
            journal.append("started", where.record())
        journal.append("intent", {"trade": 3, "nonce": 0, "first_block": LAST})
        if sent:
            journal.append("submitted", {"trade": 3, "tx_hash": hex0x(SENT), "target_block": LAST})


async def restarted(path: Path, where: Here, chain: FakeChain) -> tuple[list[dict[str, Any]], str, int]:
    """The outcomes written at the next start, what is said, and how many stay open."""
    with Journal(path, "next") as journal:
        notices = await settle(journal, where, chain)
        still_open = len(journal.open_intents)
    lines = [json.loads(line) for line in (path / "journal.jsonl").read_text().splitlines()]
    assert lines[-1] == {"event": "started", "run": "next", **where.record()}
    return [line for line in lines if line["event"] == "outcome"], " ".join(one.detail for one in notices), still_open


def chain_at(head: int) -> FakeChain:
    chain = FakeChain()
    chain.grow(head, [])
    return chain


@pytest.mark.parametrize(("status", "word"), [(1, "included"), (0, "reverted")])
async def test_a_landed_bundle_is_found_by_its_receipt(tmp_path: Path, status: int, word: str) -> None:
    crashed(tmp_path, HERE)
    chain = chain_at(LAST + 1)
    chain.include(SENT, LAST, status)
    ((outcome,), said, still_open) = await restarted(tmp_path, HERE, chain)

    assert (outcome["run"], outcome["trade"], outcome["outcome"]) == ("crashed", 3, word)
    assert outcome["tx_hash"] == hex0x(SENT)
    assert outcome["found_by"] == "next"
    assert word in said
    assert still_open == 0


async def test_a_bundle_that_nobody_took_is_missed_only_when_its_blocks_are_past(tmp_path: Path) -> None:
    crashed(tmp_path, HERE)
    outcomes, said, still_open = await restarted(tmp_path, HERE, chain_at(LAST))
    assert (outcomes, still_open) == ([], 1)
    assert "may still land" in said

    ((outcome,), _, still_open) = await restarted(tmp_path, HERE, chain_at(LAST + 1))
    assert (outcome["outcome"], outcome["reason"], still_open) == ("missed", "not_included", 0)


@pytest.mark.parametrize(("nonce", "word", "reason"), [(0, "missed", "not_included"), (1, UNKNOWN, "nonce_used")])
async def test_an_intent_that_was_perhaps_never_sent(tmp_path: Path, nonce: int, word: str, reason: str) -> None:
    """Its hash is not known; a free nonce proves that it did not land, a used one proves nothing."""
    crashed(tmp_path, HERE, sent=False)
    chain = chain_at(LAST + 20)
    chain.account_nonce = nonce
    ((outcome,), _, _) = await restarted(tmp_path, HERE, chain)
    assert (outcome["outcome"], outcome["reason"]) == (word, reason)


@pytest.mark.parametrize("there", [None, Here(5, HERE.genesis_hash, HERE.sender, False)])
async def test_bundles_of_another_chain_stay_open(tmp_path: Path, there: Here | None) -> None:
    crashed(tmp_path, there)
    outcomes, said, still_open = await restarted(tmp_path, HERE, chain_at(LAST + 20))
    assert (outcomes, still_open) == ([], 1)
    assert "another chain" in said


async def test_a_devnet_takes_its_bundles_with_it(tmp_path: Path) -> None:
    """Every devnet begins with the same genesis: asking the new one would be asking a stranger."""
    crashed(tmp_path, DEVNET)
    chain = chain_at(LAST + 1)
    chain.include(SENT, LAST)
    ((outcome,), said, still_open) = await restarted(tmp_path, DEVNET, chain)
    assert (outcome["outcome"], outcome["reason"], still_open) == ("missed", DEVNET_ENDED, 0)
    assert "their devnet ended with its process" in said


async def test_nothing_open_nothing_said(tmp_path: Path) -> None:
    outcomes, said, _ = await restarted(tmp_path, HERE, chain_at(1))
    assert (outcomes, said) == ([], "")
