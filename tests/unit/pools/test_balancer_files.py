"""Facts of the Vault's pools and of Solidly's pairs in pool files."""

from __future__ import annotations

from typing import Any

import pytest

from flasharb.pools.balancer import StableFacts, WeightedFacts
from flasharb.pools.balancer.code import VAULT
from flasharb.pools.balancer.files import read_facts
from flasharb.pools.solidly import SolidlyFacts
from flasharb.pools.solidly.files import reader
from flasharb.units import Address

POOL_ID = "0x" + "07" * 20 + "0001" + "00" * 10
GENERAL = "0x" + "07" * 20 + "0000" + "00" * 10
WEIGHTED = {
    "kind": "weighted_v3",
    "pool_id": POOL_ID,
    "decimals": [18, 6],
    "pausable_until": 7,
    "weights": [8 * 10**17, 2 * 10**17],
}
STABLE = {
    "kind": "stable_v3",
    "pool_id": GENERAL,
    "decimals": [18, 18, 6],
    "pausable_until": 7,
    "has_rate": [True, False, False],
    "exempt": [False, False, False],
    "bpt": 1,
}
PAIR = {"stable": True, "decimals": [18, 6], "factory": "0x" + "03" * 20}


def test_reads_the_facts_of_every_kind() -> None:
    """As the code of the pool would give them."""
    raw, general = bytes.fromhex(POOL_ID[2:]), bytes.fromhex(GENERAL[2:])

    assert read_facts(WEIGHTED) == WeightedFacts(VAULT, raw, "weighted_v3", (1, 10**12), (8 * 10**17, 2 * 10**17), 7)  # type: ignore[arg-type]
    assert read_facts(STABLE) == StableFacts(
        VAULT,
        general,  # type: ignore[arg-type]
        "stable_v3",
        1,
        (1, 1, 10**12),
        (True, False, False),
        (False, False, False),
        7,
    )
    assert read_facts({**WEIGHTED, "vault": "0x" + "05" * 20}).vault == b"\5" * 20
    assert reader("velodrome_v2")(PAIR) == SolidlyFacts("velodrome_v2", True, (10**18, 10**6), Address(b"\3" * 20))


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (WEIGHTED, {"kind": "weighted_v9"}, "kind"),
        (WEIGHTED, {"extra": 1}, "expected the keys"),
        (WEIGHTED, {"pool_id": "0x12"}, "pool_id"),
        (WEIGHTED, {"pool_id": POOL_ID[:45] + "9" + POOL_ID[46:]}, "Specialisation"),
        (WEIGHTED, {"decimals": [18]}, "decimals"),
        (WEIGHTED, {"decimals": [18, 19]}, "decimals"),
        (WEIGHTED, {"weights": [1, 2]}, "weights"),
        (WEIGHTED, {"pausable_until": "soon"}, "pausable_until"),
        (WEIGHTED, {"vault": 5}, "vault"),
        (STABLE, {"pool_id": POOL_ID}, "specialisation 0"),
        (STABLE, {"bpt": 3}, "bpt"),
        (STABLE, {"has_rate": [True, 1, False]}, "has_rate"),
    ],
)
def test_says_what_is_wrong_with_a_pool_of_the_vault(
    base: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    """Each wrong key by its name."""
    with pytest.raises(ValueError, match=message):
        read_facts({**base, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stable": 1}, "stable"),
        ({"decimals": [18, "6"]}, "decimals"),
        ({"decimals": [18, 37]}, "decimals"),
        ({"factory": 3}, "factory"),
        ({"fee": 3}, "exactly the keys"),
    ],
)
def test_says_what_is_wrong_with_a_pair(change: dict[str, Any], message: str) -> None:
    """Each wrong key by its name."""
    with pytest.raises(ValueError, match=message):
        reader("velodrome_v2")({**PAIR, **change})
