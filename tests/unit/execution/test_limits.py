"""The last look before sending: each limit refuses by name, and so does everything that is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.execution.limits import ChainFacts, Intent, Limits, check_key, check_public, check_send, is_devnet
from flasharb.execution.published_keys import PUBLISHED
from flasharb.execution.signing import SigningKey
from flasharb.execution.transaction import Transaction
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import Hash32
from tests.support.execution import SEARCHER_KEY

GENESIS = Hash32(b"\x07" * 32)
OWN_SENDER = SigningKey(b"\x42" * 32).address
PUBLISHED_SENDER = SigningKey.from_hex(SEARCHER_KEY).address
TRANSACTION = Transaction(1, 0, 1, 100, 300_000, bytes(20), 0, b"")
INTENT = Intent(OWN_SENDER, TRANSACTION, 11, 1_000)
LIMITS = Limits(chain_id=1, live=True, devnet_genesis=GENESIS, max_fee_per_gas=100, min_net_profit_wei=1_000)
FACTS = ChainFacts(chain_id=1, genesis_hash=Hash32(bytes(32)), head=10)


def test_everything_right_may_be_sent() -> None:
    """At the edge of each limit."""
    assert check_send(INTENT, LIMITS, FACTS) is None


@pytest.mark.parametrize(
    ("intent", "limits", "facts", "reason"),
    [
        (INTENT, LIMITS, replace(FACTS, chain_id=None), "chain_unknown"),
        (INTENT, LIMITS, replace(FACTS, head=None), "chain_unknown"),
        (INTENT, LIMITS, replace(FACTS, chain_id=5), "wrong_chain"),
        (replace(INTENT, transaction=replace(TRANSACTION, chain_id=5)), LIMITS, FACTS, "wrong_chain"),
        (INTENT, replace(LIMITS, live=False), FACTS, "not_live"),
        (replace(INTENT, sender=PUBLISHED_SENDER), LIMITS, FACTS, "published_key"),
        (INTENT, LIMITS, replace(FACTS, head=11), "stale"),
        (INTENT, replace(LIMITS, max_fee_per_gas=99), FACTS, "gas_price_above_cap"),
        (replace(INTENT, net_profit_wei=None), LIMITS, FACTS, "profit_unknown"),
        (INTENT, replace(LIMITS, min_net_profit_wei=None), FACTS, "profit_unknown"),
        (replace(INTENT, net_profit_wei=999), LIMITS, FACTS, "min_profit"),
        (replace(INTENT, net_profit_wei=0), replace(LIMITS, min_net_profit_wei=0), FACTS, "min_profit"),
    ],
)
def test_each_limit_refuses_by_name(intent: Intent, limits: Limits, facts: ChainFacts, reason: str) -> None:
    """One thing wrong at a time."""
    withheld = check_send(intent, limits, facts)

    assert withheld is not None
    assert withheld.reason == reason
    assert withheld.detail


def test_devnet_needs_no_live_flag_and_takes_published_keys() -> None:
    """Its id and its genesis hash together make it the devnet."""
    facts = ChainFacts(DEVNET_CHAIN_ID, GENESIS, 10)
    limits = replace(LIMITS, chain_id=DEVNET_CHAIN_ID, live=False)
    intent = replace(INTENT, sender=PUBLISHED_SENDER, transaction=replace(TRANSACTION, chain_id=DEVNET_CHAIN_ID))

    assert check_send(intent, limits, facts) is None
    stranger = check_send(intent, limits, replace(facts, genesis_hash=Hash32(bytes(32))))
    assert stranger is not None
    assert stranger.reason == "not_live"
    assert is_devnet(facts, GENESIS)
    assert not is_devnet(replace(facts, genesis_hash=None), GENESIS)
    assert not is_devnet(replace(facts, chain_id=1), GENESIS)


@pytest.mark.parametrize("chain_id", [1, 10, 8453, 42_161, 11_155_111, 100])
def test_published_keys_are_refused_on_real_chains(chain_id: int) -> None:
    """Every one of the list; an own key is not."""
    for sender in PUBLISHED:
        assert check_key(sender, chain_id) is not None
    assert check_key(OWN_SENDER, chain_id) is None


def test_fault_36_public_sending_needs_a_bound_and_no_private_attempt() -> None:
    """The template's fallback_to_public = true alone never sends anything publicly."""

    def reason(**changes: object) -> str | None:
        facts = {"allowed": True, "max_loss_wei": 10, "worst_loss_wei": 10, "private_may_land": False}
        withheld = check_public(**(facts | changes))
        return withheld and withheld.reason

    assert reason() is None
    assert reason(allowed=False) == "public_off"
    assert reason(max_loss_wei=0) == "no_loss_bound"
    assert reason(max_loss_wei=None) == "no_loss_bound"
    assert reason(private_may_land=True) == "private_may_land"
    assert reason(worst_loss_wei=11) == "loss_above_bound"
    assert reason(worst_loss_wei=None) == "loss_above_bound"
