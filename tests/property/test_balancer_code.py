"""Pools of the Vault known by their code: the real code of every version, with random immutables."""

from __future__ import annotations

import gzip
import json

import pytest
from eth_hash.auto import keccak

from flasharb.pools import PoolSpec
from flasharb.pools.balancer import StableFacts, WeightedFacts, WeightedPool, load_weighted
from flasharb.pools.balancer.code import TEMPLATES, VAULT, recognise
from flasharb.pools.storage import Elsewhere, Needs
from flasharb.units import Address, address
from tests.conftest import REPOSITORY
from tests.support.balancer_cases import case_of
from tests.support.balancer_world import ARTIFACTS, FIXTURES, code_of

SAME_BUT_METADATA = {"stable_v5": ("stable_v6",)}
"""Later deployments of the same code."""
WEIGHTED_PAIR = next(n for n in range(100) if len(case_of("weighted", n).facts.scaling) == 2)
RECORDED = REPOSITORY.parent / "shared" / "mainnet" / "19929064.json.gz"


def test_the_facts_of_every_deployed_pool_are_read_from_its_code() -> None:
    """Whatever tokens, decimals, weights and rates the constructor was given, they are found in the code it left."""
    kinds = set()
    for kind in ("weighted", "stable"):
        for number in range(120):
            case = case_of(kind, number)
            code = case.world.accounts[case.world.pool].code
            assert recognise(code, case.world.tokens, case.world.vault) == case.facts
            kinds.add(case.facts.kind)
    assert kinds == set(FIXTURES)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: f"{template.kind} {template.code_hash[:4]}")
def test_the_templates_are_the_deployments_own_code(template) -> None:  # type: ignore[no-untyped-def]
    """The creation code holds the code with all immutables still zero, and its hash is the template's.

    What a pool was made with is then read from its code.
    """
    if template.kind not in FIXTURES and not ARTIFACTS:
        pytest.skip("FLASHARB_BALANCER does not name a folder with the code of this version")
    shape = template.kind.partition("_")[0]
    case = case_of(shape, 5 if shape == "stable" else WEIGHTED_PAIR, template.kind)
    code, hashes = case.world.accounts[case.world.pool].code, set()
    for kind in (template.kind, *SAME_BUT_METADATA.get(template.kind, ())):
        creation = code_of(kind)
        at = creation.find(code[:40])
        hashes.add(keccak(creation[at : at + len(code)]).hex())

    assert template.code_hash in hashes
    assert recognise(code, case.world.tokens, case.world.vault) == case.facts


def test_a_contract_that_differs_in_one_bit_is_none() -> None:
    """Nor is an empty account, nor a pool of another Vault or with other tokens than it is said to have."""
    case = case_of("weighted", 1)
    code, tokens, vault = case.world.accounts[case.world.pool].code, case.world.tokens, case.world.vault
    unknown = "the code is none of the pools that are modelled"
    for at in range(0, len(code), 997):
        if 0x7F in code[max(0, at - 32) : at]:
            continue  # maybe in an immutable
        changed = bytearray(code)
        changed[at] ^= 1
        assert recognise(bytes(changed), tokens, vault) == unknown
    assert recognise(b"", tokens, vault) == unknown
    assert "another Vault" in str(recognise(code, tokens))
    assert "not the tokens" in str(recognise(code, (*tokens[:-1], Address(b"\x99" * 20))[::-1], vault))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded mainnet block 19929064 is not beside the repository")
def test_the_recorded_swap_of_a_mainnet_pool_is_quoted_to_the_unit() -> None:
    """Block 19929064: code, storage and balances as recorded, the pool's fee event, and the Vault's Swap event.

    The swap's transaction lowers the pool's fee before it, and sets it back after it.
    """
    block = json.loads(gzip.decompress(RECORDED.read_bytes()))
    logs = [log for receipt in block["expected"]["receipts"] for log in receipt["logs"]]
    swap, fee_changed = (
        "0x" + keccak(signature).hex()
        for signature in (b"Swap(bytes32,address,address,uint256,uint256)", b"SwapFeePercentageChanged(uint256)")
    )
    topics, data = next((topics, data) for at, topics, data in logs if address(at) == VAULT and topics[0] == swap)
    token_in, token_out = (Address(bytes.fromhex(topic[-40:])) for topic in topics[2:])
    pool = _recorded(block, Address(bytes.fromhex(topics[1][2:42])), tuple(sorted((token_in, token_out))))
    i, j = pool.spec.ends(token_in, token_out)
    amount_in, amount_out = int(data[2:66], 16), int(data[66:], 16)
    seen = []

    for at, (topic, *_), words in logs:
        if address(at) == pool.spec.address and topic == fee_changed:
            pool = pool.after_swap_fee_changed(int(words, 16))
        elif address(at) == VAULT and topic == swap:
            seen.append(pool.amount_out(i, j, amount_in))

    assert seen == [amount_out]


def _recorded(block, pool: Address, tokens: tuple[Address, ...]) -> WeightedPool:  # type: ignore[no-untyped-def]
    def storage(at: Address, slot: int) -> int:
        slots = {int(key, 16): int(value, 16) for key, value in block["pre_state"]["0x" + at.hex()]["storage"].items()}
        return slots[slot]

    code = bytes.fromhex(block["codes"][block["pre_state"]["0x" + pool.hex()]["code_hash"]][2:])
    facts = recognise(code, tokens)
    assert isinstance(facts, WeightedFacts), facts
    assert not isinstance(facts, StableFacts)
    spec = PoolSpec(pool, "balancer_weighted", tokens, 0, facts=facts)
    now = int(block["header"]["timestamp"], 16)
    needs = load_weighted(spec, {}, Elsewhere(timestamp=now))
    assert isinstance(needs, Needs)
    own = {slot: storage(pool, slot) for slot in needs.slots}
    others = {(at, slot): storage(at, slot) for at, slot in needs.elsewhere}
    loaded = load_weighted(spec, own, Elsewhere(others, timestamp=now))
    assert isinstance(loaded, WeightedPool)
    return loaded
