"""What real pools whose code is not in this repository answered to random swaps: ``fixtures/balancer/cases.json.gz``.

A line a swap: the pool's facts, the slots of pool and Vault before it, the amount, the answer (null: it reverted) and
the slots that it changed.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flasharb.pools import PoolSpec
from flasharb.pools.balancer import StableFacts, StablePool, load_stable
from flasharb.pools.storage import Elsewhere, Needs
from flasharb.units import Address, Hash32
from tests.support.balancer_cases import NOW, PAUSABLE_UNTIL, Case, amount_of, case_of
from tests.support.pool_bytecode import RevertedError

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "balancer" / "cases.json.gz"
VERSIONS = ("stable_v5",)
"""The versions that are recorded."""

Slots = dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded swap of token i for token j, ``given_out`` or given in; ``other`` is the other amount."""

    before: StablePool
    i: int
    j: int
    given_out: bool
    amount: int
    other: int | None
    after: StablePool | None


def recorded() -> Iterator[Answer]:
    """Each recorded swap."""
    for line in gzip.decompress(RECORDED.read_bytes()).splitlines():
        row: dict[str, Any] = json.loads(line)
        own, vault, changed = row["own"], row["vault"], row["changed"]
        after = changed and _pool(row, own | changed["own"], vault | changed["vault"])
        other = row["other"]
        yield Answer(_pool(row, own, vault), row["i"], row["j"], row["given_out"], row["amount"], other, after)


def _pool(row: dict[str, Any], own: Slots, vault: Slots) -> StablePool:
    tokens = tuple(Address(bytes.fromhex(token)) for token in row["tokens"])
    at, pool_id = Address(bytes.fromhex(row["at"])), Hash32(bytes.fromhex(row["pool_id"]))
    scaling = tuple(10 ** (18 - digits) for digits in row["decimals"])
    flags = tuple(row["has_rate"]), tuple(row["exempt"])
    facts = StableFacts(at, pool_id, row["kind"], tokens.index(Address(pool_id[:20])), scaling, *flags, PAUSABLE_UNTIL)
    spec = PoolSpec(Address(pool_id[:20]), "balancer", tokens, 0, facts=facts)
    slots = {int(slot, 16): int(value, 16) for slot, value in own.items()}
    others = {(at, int(slot, 16)): int(value, 16) for slot, value in vault.items()}
    pool = load_stable(spec, slots, Elsewhere(others, timestamp=NOW))
    assert isinstance(pool, StablePool)
    return pool


def record(count: int) -> None:
    """Write what the real pools answer to this many swaps of each kind."""
    wanted = [(kind, number, version) for version in VERSIONS for kind in ("stable", "bpt") for number in range(count)]
    text = "".join(json.dumps(_row(*each), separators=(",", ":")) + "\n" for each in wanted)
    RECORDED.parent.mkdir(exist_ok=True)
    with RECORDED.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        file.write(text.encode())


def _row(kind: str, number: int, version: str) -> dict[str, Any]:
    case = case_of(kind, number, version)
    world, facts, machine = case.world, case.facts, case.machine()
    assert isinstance(facts, StableFacts)
    given_out = number % 4 == 3
    dice = random.Random(f"recorded {kind} {number}")
    amount = amount_of(dice, case.pool(machine), case.j if given_out else case.i)
    own, vault = _slots(case, machine)
    changed: dict[str, Slots] | None = None
    other: int | None
    try:
        other, _ = world.swap(machine, int(given_out), case.i, case.j, amount)
    except RevertedError:
        other = None
    else:
        parts = zip(("own", "vault"), (own, vault), _slots(case, machine), strict=True)
        changed = {name: {s: v for s, v in now.items() if old[s] != v} for name, old, now in parts}
    return {
        "kind": facts.kind,
        "at": world.vault.hex(),
        "pool_id": world.pool_id.hex(),
        "tokens": [token.hex() for token in world.tokens],
        "decimals": [19 - len(str(scale)) for scale in facts.scaling],
        "has_rate": facts.has_rate,
        "exempt": facts.exempt,
        "own": own,
        "vault": vault,
        "i": case.i,
        "j": case.j,
        "given_out": given_out,
        "amount": amount,
        "other": other,
        "changed": changed,
    }


def _slots(case: Case, machine: Any) -> tuple[Slots, Slots]:
    """The slots of pool and Vault that a pool is loaded from, as they are now."""
    spec = PoolSpec(case.world.pool, "balancer", case.world.tokens, 0, facts=case.facts)
    needs = load_stable(spec, {}, Elsewhere(timestamp=NOW))
    assert isinstance(needs, Needs)
    own = {f"{slot:x}": f"{machine.storage(case.world.pool, slot):x}" for slot in sorted(needs.slots)}
    vault = {f"{slot:x}": f"{machine.storage(at, slot):x}" for at, slot in sorted(needs.elsewhere)}
    return own, vault
