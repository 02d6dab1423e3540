"""The committed artifact: what is deployed from it is recognised, anything else is not."""

from __future__ import annotations

import pytest

from flasharb.execution.artifact import Deployed, creation_code, load, read_deployed, runtime_code
from flasharb.units import ZERO_ADDRESS, Address

OWNER, WETH, VAULT, MANAGER = (Address(bytes([n]) * 20) for n in (1, 2, 3, 4))


def test_deployed_code_tells_its_arguments() -> None:
    assert read_deployed(runtime_code(OWNER, WETH, VAULT, MANAGER)) == Deployed(OWNER, WETH, VAULT, MANAGER)
    assert read_deployed(runtime_code(OWNER, WETH, ZERO_ADDRESS)) == Deployed(OWNER, WETH, ZERO_ADDRESS)


def test_every_changed_byte_is_noticed() -> None:
    code = runtime_code(OWNER, WETH, VAULT, MANAGER)
    arguments = {place + n for places in load().immutable_places.values() for place in places for n in range(32)}
    for place in range(len(code)):
        changed = code[:place] + bytes([code[place] ^ 1]) + code[place + 1 :]
        found = read_deployed(changed)
        if place in arguments:
            # Another argument where the name has one place only; a contradiction or no address otherwise.
            assert found != Deployed(OWNER, WETH, VAULT, MANAGER)
        else:
            assert found == f"the code differs from the artifact, first at byte {place}"


def test_code_of_another_length_is_another_contract() -> None:
    assert read_deployed(b"") == f"0 bytes of code, the artifact has {len(load().deployed_bytecode)}"


def test_creation_code_ends_with_the_arguments() -> None:
    code = creation_code(OWNER, WETH, VAULT, MANAGER)
    assert code.startswith(load().bytecode)
    assert code[-128:] == b"".join(bytes(12) + part for part in (OWNER, WETH, VAULT, MANAGER))
    with pytest.raises(ValueError, match="20 bytes"):
        creation_code(Address(b"\1"), WETH, VAULT)


def test_the_artifact_says_how_it_was_made() -> None:
    artifact = load()
    assert artifact.compiler.startswith("0.8.28+")
    assert set(artifact.immutable_places) == {"OWNER", "WETH", "VAULT", "MANAGER"}
    assert len(artifact.deployed_bytecode) <= 24_576
