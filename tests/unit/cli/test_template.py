"""The checked-in configuration is complete, commented, and the same as the defaults."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

from flasharb.cli.loading import bounds, known_keys, load_settings
from flasharb.settings import Settings
from tests.conftest import REPOSITORY

TEMPLATE = REPOSITORY / "config" / "flash_arbitrage.toml"


def test_template_equals_defaults() -> None:
    """Loading the template changes nothing, and every key of it came from the file."""
    loaded = load_settings(TEMPLATE, {})

    assert loaded.settings == Settings()
    assert {key for key, source in loaded.sources.items() if source == "default"} == set()
    assert all(re.search(r" line \d+$", source) for source in loaded.sources.values())


def test_template_has_every_key_in_order() -> None:
    """No key of settings.py is missing, none is extra, and the order is the same."""
    document = tomllib.loads(TEMPLATE.read_text())

    assert [f"{table}.{key}" for table, content in document.items() for key in content] == list(known_keys())


@pytest.mark.parametrize("key", list(known_keys()))
def test_every_key_is_commented_with_its_range(key: str) -> None:
    """The comment above a key names its range or choices as the loader enforces them."""
    table, name = key.split(".")
    section = TEMPLATE.read_text().split(f"\n[{table}]\n")[1].split("\n[")[0]
    match = re.search(rf"((?:^#[^\n]*\n)+)^{name} = ", section, re.MULTILINE)

    assert match is not None, f"{key} has no comment of its own"
    comment = " ".join(match[1].replace("#", " ").split())
    assert bounds(key) in comment


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strategy.min_profit_usd", "0.50"),
        ("strategy.max_position_pct", "0.05"),
        ("strategy.slippage_tolerance_bps", "50"),
        ("pools.track_all", "false"),
        ("pools.min_liquidity_usd", "10000"),
        ("mev.use_flashbots", "true"),
        ("mev.fallback_to_public", "true"),
        ("mev.max_gas_price_gwei", "100"),
        ("message_bus.channel", '"market_data"'),
        ("message_bus.consumer_id", "1"),
    ],
)
def test_agreed_values_stand_verbatim(key: str, value: str) -> None:
    """The ten values that users were promised are written as they were given."""
    table, name = key.split(".")
    section = TEMPLATE.read_text().split(f"\n[{table}]\n")[1].split("\n[")[0]

    assert f"\n{name} = {value}\n" in section


def test_every_table_has_a_line_of_its_own() -> None:
    """Each table says in a comment above it what it is for."""
    text = TEMPLATE.read_text()

    for table in fields(Settings):
        assert re.search(rf"^#[^\n]*\n\[{table.name}\]$", text, re.MULTILINE), table.name
