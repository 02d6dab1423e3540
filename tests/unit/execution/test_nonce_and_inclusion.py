"""Nonces are leased from the confirmed state; inclusion is what receipts and nonces prove, nothing else."""

from __future__ import annotations

import pytest

from flasharb.execution.inclusion import Landed, Lost, Miss, Pending, Receipt, decide
from flasharb.execution.nonce import Lease, NoLease, Nonces
from flasharb.units import Hash32

HEAD = Hash32(b"\x01" * 32)
NEXT = Hash32(b"\x02" * 32)


def lease(nonces: Nonces, block: int) -> tuple[Nonces, Lease]:
    given = nonces.lease(block)
    assert not isinstance(given, NoLease)
    return given


def test_nothing_is_signed_before_the_nonce_is_confirmed() -> None:
    """No head, a head without its nonce, an answer about another head: no lease."""
    nonces = Nonces()
    assert isinstance(nonces.lease(11), NoLease)
    nonces = nonces.at_head(10, HEAD)
    assert isinstance(nonces.lease(11), NoLease)
    nonces, _ = nonces.confirm(NEXT, 5)
    assert isinstance(nonces.lease(11), NoLease)


def test_all_bundles_of_a_block_share_the_confirmed_nonce() -> None:
    """Sending does not count up: at most one of them can land."""
    nonces, _ = Nonces().at_head(10, HEAD).confirm(HEAD, 5)

    nonces, first = lease(nonces, 11)
    nonces, second = lease(nonces, 11)

    assert first.nonce == second.nonce == 5
    assert isinstance(nonces.lease(10), NoLease)


def test_a_new_head_forgets_the_nonce() -> None:
    """It may have moved without us: it is asked for again at every head."""
    nonces, _ = Nonces().at_head(10, HEAD).confirm(HEAD, 5)

    assert isinstance(nonces.at_head(11, NEXT).lease(12), NoLease)


def test_fault_18_moved_nonce_kills_every_lease_of_it() -> None:
    """Another transaction of the account used it, whoever sent that."""
    nonces, _ = Nonces().at_head(10, HEAD).confirm(HEAD, 5)
    nonces, near = lease(nonces, 11)
    nonces, far = lease(nonces, 13)

    nonces, dead = nonces.at_head(11, NEXT).confirm(NEXT, 6)

    assert dead == (near, far)
    assert lease(nonces, 12)[1].nonce == 6


def test_leases_die_with_their_last_block() -> None:
    """The nonce has not moved: only those whose block is past are over."""
    nonces, _ = Nonces().at_head(10, HEAD).confirm(HEAD, 5)
    nonces, near = lease(nonces, 11)
    nonces, far = lease(nonces, 13)

    nonces, dead = nonces.at_head(11, NEXT).confirm(NEXT, 5)

    assert dead == (near,)
    assert nonces.live == (far,)


def receipt(block: int = 11, block_hash: Hash32 = HEAD, status: int = 1) -> Receipt:
    return Receipt(Hash32(bytes(32)), block, block_hash, status, 21_000, 7)


def judge(*receipts: Receipt | None, head: int = 11, max_block: int = 11, **more: int | None) -> object:
    return decide(receipts, head=head, max_block=max_block, **({"nonce": 5, "account_nonce": 5} | more))


def test_landed_when_all_stand_in_one_block() -> None:
    """With the account's nonce moved, as it must be; a later head changes nothing."""
    assert judge(receipt(), receipt(), account_nonce=6) == Landed((receipt(), receipt()), settled=True)
    assert judge(receipt(), head=20, account_nonce=9) == Landed((receipt(),), settled=True)


def test_settled_only_under_enough_blocks() -> None:
    """A reorganisation may still take it away."""
    for head, settled in ((11, False), (12, False), (13, True)):
        assert judge(receipt(), head=head, account_nonce=6, confirmations=2) == Landed((receipt(),), settled)


def test_landed_and_reverted() -> None:
    """Landing is not success."""
    landed = judge(receipt(status=0), account_nonce=6)

    assert isinstance(landed, Landed)
    assert not landed.succeeded


@pytest.mark.parametrize(
    ("receipts", "more", "reason"),
    [
        ((None,), {}, Miss.NOT_INCLUDED),
        ((None,), {"head": 12}, Miss.NOT_INCLUDED),
        ((None,), {"max_block": 20, "account_nonce": 6}, Miss.NONCE_USED),
        ((None,), {"account_nonce": 6}, Miss.NONCE_USED),
        ((receipt(), None), {}, Miss.SPLIT),
        ((receipt(), receipt(block_hash=NEXT)), {}, Miss.SPLIT),
    ],
)
def test_lost(receipts: tuple[Receipt | None, ...], more: dict[str, int], reason: Miss) -> None:
    """Its blocks are past, its nonce went elsewhere, or it was taken apart."""
    lost = judge(*receipts, **more)

    assert isinstance(lost, Lost)
    assert lost.reason is reason


@pytest.mark.parametrize("more", [{"head": 10}, {"max_block": 12}, {"head": 10, "account_nonce": None}])
def test_pending(more: dict[str, int | None]) -> None:
    """A block is still to come and the nonce has not moved, as far as is known."""
    assert judge(None, **more) == Pending()
