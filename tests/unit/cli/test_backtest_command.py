"""``backtest`` on the committed block of the devnet: finds what the run found, writes its page, says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

from flasharb.adapters.blockfile import read_block
from flasharb.cli.backtest import command
from flasharb.cli.backtest_report import report
from flasharb.errors import FlasharbError
from flasharb.simulation.backtest import Terms, backtest
from flasharb.units import ZERO_ADDRESS, address
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "fixtures" / "blocks"
WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def test_the_committed_arbitrage_is_found_again() -> None:
    """Our own bundle is a real arbitrage of that block: same size, same profit, bounded by the certificate."""
    result = run(str(FOLDER), "--json")
    assert result.exception is None
    answer = msgspec.json.decode(result.stdout)
    summary = answer["summary"]
    assert (summary["arbitrages"], summary["found"], summary["profit_ratio"]) == (1, 1, 1.0)
    (arbitrage,) = answer["blocks"][0]["arbitrages"]
    assert arbitrage["our_gross_profit"] == arbitrage["searcher_gross_profit"]
    assert arbitrage["our_path"] == arbitrage["path"]
    assert int(arbitrage["bound"]) >= int(arbitrage["our_gross_profit"])
    assert arbitrage["simulated"]
    gap = answer["blocks"][0]["bound_gap"]
    opportunities = answer["blocks"][0]["opportunities"]
    shares = sorted(int(one["bound"]) / int(one["gross_profit"]) - 1 for one in opportunities)
    assert (gap["trades"], gap["unbounded"], gap["max"]) == (
        len(opportunities),
        0,
        pytest.approx(shares[-1], abs=1e-12),
    )
    assert gap == summary["bound_gap"]
    assert 0 <= gap["median"] <= gap["p99"] <= gap["max"] <= 1e-6


def test_a_token_that_is_no_base_token_is_the_reason() -> None:
    """With another base token the same arbitrage is missed, by name."""
    usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
    answer = msgspec.json.decode(run(str(FOLDER), "--json", "--base", usdc).stdout)
    (arbitrage,) = answer["blocks"][0]["arbitrages"]
    assert (arbitrage["found"], arbitrage["reason"]) == (False, "token_filtered")
    assert answer["summary"]["missed"] == {"token_filtered": 1}


def test_the_page_holds_plots_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    """One profit plot and one size curve as pictures inside the page; the same figures give the same page."""
    page = tmp_path / "report.html"
    assert run(str(FOLDER), "--html", str(page)).exception is None
    text = page.read_text()
    pictures = [part.partition("</svg>")[0] + "</svg>" for part in text.split("<figure>")[1:]]
    assert len(pictures) == 2
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert "src=" not in text
    assert "<script" not in text
    assert "found, simulated" in text
    block = read_block(next(FOLDER.glob("*.json.gz")))
    assert report([backtest(block, Terms((WETH,), WETH, ZERO_ADDRESS))]) == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((str(REPOSITORY / "docs"),), "no recorded block"),
        ((str(FOLDER), "--base", "0x12"), "--base: not an address"),
        ((str(FOLDER), "--html", "/dev/null/page.html"), "--html /dev/null/page.html"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, with the argument."""
    result = run(*arguments)
    assert isinstance(result.exception, FlasharbError)
    assert result.exception.exit_code == 2
    assert words in str(result.exception)
