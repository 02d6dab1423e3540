"""Configuration: precedence, strict values, every error at once with its source, and secrets never shown."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_origin, get_type_hints

import pytest

from flasharb.cli.loading import DEFAULT_FILE, environment_name, examine, known_keys, load_settings
from flasharb.errors import SettingsError, UsageError
from flasharb.settings import Settings

CANARY = "c0ffee" * 10 + "abcd"


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def errors_of(path: Path | None, environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ)
    head, *lines = str(caught.value).splitlines()
    assert head == f"configuration: {len(lines)} wrong key{'s' if len(lines) > 1 else ''}"
    return [line.strip() for line in lines]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the configuration of the checkout by accident."""
    monkeypatch.chdir(tmp_path)


def test_without_anything_the_embedded_devnet() -> None:
    """No file, no variable: the defaults, and each key says so."""
    loaded = load_settings(None, {})

    assert loaded.settings == Settings()
    assert loaded.settings.chain.id == 61_861
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.file is None


def test_default_file_is_found_in_the_working_directory(tmp_path: Path) -> None:
    """`config/flash_arbitrage.toml` is read when it is there."""
    (tmp_path / "config").mkdir()
    (tmp_path / DEFAULT_FILE).write_text("[strategy]\nmax_hops = 2\n")

    assert load_settings(None, {}).settings.strategy.max_hops == 2


def test_precedence_is_default_file_environment_command_line(tmp_path: Path) -> None:
    """Each later source wins, and each key names the one that won."""
    path = write(tmp_path, "[strategy]\nmax_hops = 2\nslippage_tolerance_bps = 10\nmin_profit_usd = 1\n")
    environ = {"FLASHARB_STRATEGY_SLIPPAGE_TOLERANCE_BPS": "20", "FLASHARB_STRATEGY_MIN_PROFIT_USD": "2.5"}

    loaded = load_settings(path, environ, {"strategy.min_profit_usd": 3.0})

    assert loaded.settings.strategy.max_hops == 2
    assert loaded.settings.strategy.slippage_tolerance_bps == 20
    assert loaded.settings.strategy.min_profit_usd == 3.0
    assert loaded.sources["strategy.max_position_pct"] == "default"
    assert loaded.sources["strategy.max_hops"] == f"{path} line 2"
    assert loaded.sources["strategy.slippage_tolerance_bps"] == "environment FLASHARB_STRATEGY_SLIPPAGE_TOLERANCE_BPS"
    assert loaded.sources["strategy.min_profit_usd"] == "command line"


def test_every_key_can_be_set_by_its_variable() -> None:
    """FLASHARB_<TABLE>_<KEY>, without two keys that share a variable."""
    names = [environment_name(key) for key in known_keys()]

    assert len(set(names)) == len(names) == 65
    loaded = load_settings(
        None,
        {
            "FLASHARB_MESSAGE_BUS_CONSUMER_ID": "0x10",
            "FLASHARB_POOLS_TRACK_ALL": "Yes",
            "FLASHARB_STRATEGY_BASE_TOKENS": "WETH, DAI",
            "FLASHARB_POOLS_USD_TOKENS": "USDC",
            "FLASHARB_MEV_MAX_GAS_PRICE_GWEI": "2.5",
        },
    )
    assert loaded.settings.message_bus.consumer_id == 16
    assert loaded.settings.pools.track_all is True
    assert loaded.settings.strategy.base_tokens == ("WETH", "DAI")
    assert loaded.settings.pools.usd_tokens == ("USDC",)
    assert loaded.settings.mev.max_gas_price_gwei == 2.5


def test_all_errors_at_once_with_key_value_range_and_source(tmp_path: Path) -> None:
    """One run names everything that is wrong, whatever it came from, also what contradicts itself."""
    path = write(
        tmp_path,
        '[strategy]\nmax_hops = 9\nmin_profit_usd = "a"\nmax_hop = 3\n\n[mev]\nuse_flashbots = 1\n\n[bus]\nx = 1\n\n'
        "[message_bus]\ncheck_crc = false\n",
    )
    environ = {"FLASHARB_NODE_BATCH_SIZE": "none", "FLASHARB_POOLS_MIN_LIQUIDITY_USD": "nan"}

    assert sorted(errors_of(path, environ)) == sorted(
        [
            f"strategy.max_hops = 9 ({path} line 2): must be a whole number from 2 to 4 (pools in a cycle)",
            (
                f'strategy.min_profit_usd = "a" ({path} line 3): must be a number from 0 to 1_000_000_000'
                " (USD, net after loan, gas and bid)"
            ),
            f"strategy.max_hop ({path} line 4): no such key; did you mean strategy.max_hops?",
            f"mev.use_flashbots = 1 ({path} line 7): must be true or false",
            f"bus ({path} line 9): no such table",
            (
                f"message_bus.check_crc = false ({path} line 13): must be true while message_bus.dialect = auto:"
                " it tells the dialects apart"
            ),
            (
                'node.batch_size = "none" (environment FLASHARB_NODE_BATCH_SIZE): must be a whole number'
                " from 1 to 10_000 (calls in one JSON-RPC batch)"
            ),
            (
                "pools.min_liquidity_usd = nan (environment FLASHARB_POOLS_MIN_LIQUIDITY_USD): must be a number from"
                " 0 to 1_000_000_000_000_000 (USD: V2 each reserve, V3 each token within 10 % of the price)"
            ),
        ]
    )


def test_contradiction_that_rests_on_a_wrong_key_is_not_said(tmp_path: Path) -> None:
    """A misspelt dialect stands at its default `auto` while the rest is looked at: no false complaint follows."""
    path = write(tmp_path, '[message_bus]\ndialect = "p2"\ncheck_crc = false\n')

    [only] = errors_of(path, {})

    assert only.startswith('message_bus.dialect = "p2"')


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("3", True),
        ("2", True),
        ("1", False),
        ("4", True),
        ("5", False),
        ("2.0", False),
        ("true", False),
        ('"2"', False),
        ("[2]", False),
    ],
)
def test_whole_numbers_are_strict(tmp_path: Path, value: str, good: int) -> None:
    """Bounds are inclusive; a float, a bool, a text or a list is no whole number."""
    path = write(tmp_path, f"[strategy]\nmax_hops = {value}\n")

    assert (examine(path, {})[1] == ()) == bool(good)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "-0.1", "1e10", "true", "2020-01-01", "{}"])
def test_numbers_outside_their_range(tmp_path: Path, value: str) -> None:
    """Infinity and nan are in no range."""
    path = write(tmp_path, f"[strategy]\nmin_profit_usd = {value}\n")

    assert len(examine(path, {})[1]) == 1


def test_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    """TOML that does not parse."""
    path = write(tmp_path, "[strategy]\nmax_hops = \n")

    [only] = errors_of(path, {})

    assert str(path) in only
    assert "line 2" in only


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing file that was named, a folder, and bytes that are no text."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    for path in (tmp_path / "missing.toml", tmp_path, binary):
        with pytest.raises(UsageError, match=re.escape(str(path))):
            load_settings(path, {})


def test_mistyped_variables_are_errors_and_foreign_ones_are_not() -> None:
    """A variable near a known one, or in a known table, would else be ignored in silence. Its value is never shown."""
    environ = {
        "FLASHARB_STRATGY_MAX_HOPS": "2",
        "FLASHARB_SIGNER_KEYS": CANARY,
        "FLASHARB_TEST_RPC": "http://x",
        "FLASHARB_HYPOTHESIS_PROFILE": "long",
    }

    errors = errors_of(None, environ)

    assert any("did you mean FLASHARB_STRATEGY_MAX_HOPS?" in line for line in errors)
    assert len(errors) == 2
    assert CANARY not in "".join(errors)


def test_the_signers_variable_is_a_source_not_a_setting() -> None:
    """FLASHARB_SIGNER_KEY looks like [signer] key and is not one; renaming it works too."""
    assert load_settings(None, {"FLASHARB_SIGNER_KEY": CANARY}).settings == Settings()
    renamed = {"FLASHARB_SIGNER_KEY_ENV": "FLASHARB_SIGNER_SECRET", "FLASHARB_SIGNER_SECRET": CANARY}
    assert load_settings(None, renamed).settings.signer.key_env == "FLASHARB_SIGNER_SECRET"


@pytest.mark.parametrize(
    "text",
    [
        f'[signer]\nkey = "0x{CANARY}"\n',
        f'[signer]\nkey_env = "{CANARY}"\n',
        f'[signer]\nkey_file = ["0x{CANARY}"]\n',
        f'[contract]\naddress = "0x{CANARY}"\n',
        f'[strategy]\nmax_hops = "{CANARY}"\n',
        f'[chain]\nid = 1\nslot_s = 12.0\n[node]\nurl = "ftp://h/{CANARY}"\n',
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_never_echoed(tmp_path: Path, text: str) -> None:
    """People paste keys where they do not belong; no message repeats one."""
    assert CANARY not in "\n".join(errors_of(write(tmp_path, text), {}))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[chain]\nid = 1\nslot_s = 12.0\n", "node.url"),
        ('[chain]\nid = 1\n[node]\nurl = "http://h"\n', "chain.slot_s"),
        ('[message_bus]\ntransport = "node"\n', "message_bus.transport"),
        ('[message_bus]\ntransport = "node"\n[node]\nurl = "http://h:8545"\n', "node.url"),
        ('[message_bus]\ntransport = "tcp"\naddress = "h"\n', "message_bus.address"),
        ('[message_bus]\ntransport = "websocket"\naddress = "http://h"\n', "message_bus.address"),
        ('[message_bus]\ntransport = "capture"\n', "message_bus.address"),
        ('[node]\nurl = "localhost:8545"\n', "node.url"),
        ('[node]\nurl = "http://h:port"\n', "node.url"),
        ('[relays]\nurls = ["ws://h"]\n', "relays.urls"),
        ('[relays]\nurls = ["http://h", "http://h"]\n', "relays.urls"),
        ('[signer]\nkeystore_file = "k"\n', "signer.keystore_password_file"),
        ('[signer]\nkeystore_password_file = "k"\n', "signer.keystore_file"),
        ('[signer]\nkey_env = "MY KEY"\n', "signer.key_env"),
        ('[contract]\naddress = "0x12"\n', "contract.address"),
        ('[pools]\nchainlink_feed = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"\n', "pools.chainlink_feed"),
        ('[strategy]\nbase_tokens = ["0x1234"]\n', "strategy.base_tokens"),
        ("[strategy]\nbase_tokens = []\n", "strategy.base_tokens"),
        ("[pools]\nusd_tokens = []\n", "pools.usd_tokens"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, key: str) -> None:
    """Keys that are each in range and cannot stand together, or a text of a wrong form."""
    [only] = errors_of(write(tmp_path, text), {})

    assert only.startswith(f"{key} = ")


def test_only_one_source_of_the_key(tmp_path: Path) -> None:
    """A set variable and a file are two."""
    path = write(tmp_path, '[signer]\nkey_file = "k"\n')

    assert load_settings(path, {}).settings.signer.key_file == "k"
    [only] = errors_of(path, {"FLASHARB_SIGNER_KEY": CANARY})
    assert "signer.key_env" in only
    assert "signer.key_file" in only


def test_defaults_have_the_declared_types() -> None:
    """The loader takes a key's type from its default: 10 instead of 10.0 would make a float key a whole number."""
    for table in fields(Settings):
        declared = get_type_hints(type(getattr(Settings(), table.name)))
        for name, kind in declared.items():
            assert known_keys()[f"{table.name}.{name}"].kind is (get_origin(kind) or kind), f"{table.name}.{name}"
