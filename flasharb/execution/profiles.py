"""Block builders as data: what each takes, so that a bundle it would drop is seen before it is sent.

Known builders are told by their host; everybody else gets the common subset (``GENERIC``). Facts from the builders'
own documents and sources; none of them was called to write this.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

COMMON_FIELDS: Final = frozenset({"txs", "blockNumber", "minTimestamp", "maxTimestamp", "revertingTxHashes"})
MAX_TRANSACTIONS: Final = 100
MAX_BUNDLE_BYTES: Final = 300_000


class Cancel(StrEnum):
    """How a sent bundle is withdrawn."""

    METHOD = "method"
    """``eth_cancelBundle`` with the replacement id."""
    EMPTY = "empty"
    """``eth_sendBundle`` with no transactions and the same replacement id."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Profile:
    """One builder's dialect of ``eth_sendBundle``."""

    name: str
    hosts: frozenset[str]
    sign: bool = True
    uuid_field: str | None = None
    cancel: Cancel = Cancel.NONE
    fields: frozenset[str] = COMMON_FIELDS
    refund_recipient_required: bool = False
    """A refund share without a recipient makes this builder discard the bundle."""


GENERIC: Final = Profile("generic", frozenset())

PROFILES: Final = (
    Profile(
        "flashbots",
        frozenset({"relay.flashbots.net", "relay-sepolia.flashbots.net"}),
        uuid_field="replacementUuid",
        cancel=Cancel.METHOD,
        fields=COMMON_FIELDS | {"builders"},
    ),
    Profile(
        "buildernet",
        frozenset(f"{name}.buildernet.org" for name in ("rpc", "direct-us", "direct-eu", "direct-ap")),
        uuid_field="replacementUuid",
        cancel=Cancel.EMPTY,
        fields=COMMON_FIELDS | {"droppingTxHashes", "refundPercent", "refundRecipient"},
    ),
    Profile(
        "titan",
        frozenset(f"{name}.titanbuilder.xyz" for name in ("rpc", "eu.rpc", "us.rpc", "ap.rpc")),
        uuid_field="replacementUuid",
        cancel=Cancel.EMPTY,
        fields=COMMON_FIELDS | {"droppingTxHashes", "refundPercent", "refundRecipient"},
    ),
    Profile(
        "rsync",
        frozenset({"rsync-builder.xyz", "www.rsync-builder.xyz"}),
        uuid_field="uuid",
        fields=COMMON_FIELDS | {"droppingTxHashes", "refundPercent", "refundRecipient"},
        refund_recipient_required=True,
    ),
    Profile("beaverbuild", frozenset({"rpc.beaverbuild.org"}), sign=False),
)


def profile_for(url: str) -> Profile:
    """The profile of the builder behind a URL."""
    host = urlsplit(url).hostname or ""
    return next((profile for profile in PROFILES if host in profile.hosts), GENERIC)
