"""`flasharb config show` and `config check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flasharb.cli.config import command
from flasharb.errors import SettingsError
from tests.conftest import REPOSITORY

CANARY = "c0ffee" * 10 + "abcd"


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(command, list(arguments), env=environ, standalone_mode=False)

    return run


def test_show_lists_every_key_with_its_source(invoke) -> None:
    """Default, file and environment are told apart."""
    file = str(REPOSITORY / "config" / "flash_arbitrage.toml")
    result = invoke("show", "--config", file, FLASHARB_STRATEGY_MAX_HOPS="2")

    lines = [line for line in result.stdout.splitlines() if " = " in line]
    assert len(lines) == 65
    assert any(line.startswith("max_hops = 2 ") and "environment" in line for line in lines)
    assert any(line.startswith("slot_s = 2.0 ") and "flash_arbitrage.toml line" in line for line in lines)


def test_show_json(invoke) -> None:
    """Machine-readable: value, source and the variable that would override it."""
    shown = json.loads(invoke("show", "--json").stdout)

    assert shown["file"] is None
    assert shown["keys"]["strategy.min_profit_usd"] == {
        "value": 0.5,
        "source": "default",
        "environment": "FLASHARB_STRATEGY_MIN_PROFIT_USD",
    }


@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["check"], ["check", "--json"]])
def test_no_secret_is_ever_shown(invoke, arguments: list[str]) -> None:
    """The signer's key, a node's access token and a relay's password."""
    result = invoke(
        *arguments,
        FLASHARB_SIGNER_KEY=CANARY,
        FLASHARB_NODE_URL="https://host/v3/abcdef0123456789abcdef0123456789?apikey=topsecret1",
        FLASHARB_RELAYS_URLS="https://user:hunter2@relay.example/",
    )

    text = result.output + str(result.exception)
    for secret in (CANARY, "abcdef0123456789abcdef0123456789", "topsecret1", "hunter2"):
        assert secret not in text


def test_check_says_that_the_public_fallback_has_no_effect(invoke) -> None:
    """The template's fallback_to_public = true needs a loss bound; without one `check` says so and passes."""
    result = invoke("check")

    assert result.return_value == 0
    assert "mev.fallback_to_public = true has no effect: no loss bound is configured" in result.stdout
    with_bound = invoke("check", FLASHARB_MEV_MAX_PUBLIC_LOSS_USD="5")
    assert "no loss bound" not in with_bound.stdout


def test_check_lists_all_errors(invoke) -> None:
    """As an error with exit code 2, or as JSON with the same code."""
    wrong = {"FLASHARB_STRATEGY_MAX_HOPS": "9", "FLASHARB_MEV_TARGET_BLOCKS": "0"}

    result = invoke("check", **wrong)
    assert isinstance(result.exception, SettingsError)
    assert result.exception.exit_code == 2
    as_json = invoke("check", "--json", **wrong)
    assert as_json.return_value == 2
    report = json.loads(as_json.stdout)
    assert report["ok"] is False
    assert {one["key"] for one in report["problems"]} == {"strategy.max_hops", "mev.target_blocks"}
    assert all(one.keys() == {"key", "value", "expected", "source"} for one in report["problems"])


def test_check_live_says_what_is_lacking_on_a_real_chain(invoke) -> None:
    """Everything that `run --live` would miss, together with plain errors, in one list."""
    environ = {"FLASHARB_CHAIN_ID": "1", "FLASHARB_CHAIN_SLOT_S": "12", "FLASHARB_NODE_URL": "http://localhost:8545"}

    dry = json.loads(invoke("check", "--json", **environ).stdout)
    live = json.loads(invoke("check", "--json", "--live", **environ).stdout)

    dry_keys = {one["key"] for one in dry["problems"]}
    assert dry_keys == {"pools.files", "pools.token_files", "message_bus.address"}
    assert {one["key"] for one in live["problems"]} == dry_keys | {"signer.key_env", "contract.address", "relays.urls"}


def test_a_devnet_of_ones_own_has_no_bus_by_itself(invoke) -> None:
    """Only the embedded one brings its bus; an empty address would end the run with `Invalid argument`."""
    report = json.loads(invoke("check", "--json", FLASHARB_NODE_URL="http://localhost:8545").stdout)
    assert [one["key"] for one in report["problems"]] == ["message_bus.address"]
    assert json.loads(invoke("check", "--json").stdout)["ok"] is True
