"""The list of published keys is what the tools' mnemonics give."""

from __future__ import annotations

from eth_account import Account

from flasharb.devnet.world import TRADERS, devnet_key
from flasharb.execution.published_keys import PUBLISHED

MNEMONICS = {
    "test test test test test test test test test test test junk": 20,
    "myth like bonus scare over problem client lizard pioneer submit female collect": 10,
    "candy maple cake sugar pudding cream honey rich smooth crumble sweet treat": 10,
}


def test_list_is_complete_and_nothing_else() -> None:
    """Every account of every mnemonic, the numbers 1 to 16 and the devnet's accounts, and no address besides."""
    Account.enable_unaudited_hdwallet_features()
    derived = {
        Account.from_mnemonic(words, account_path=f"m/44'/60'/0'/0/{index}").address
        for words, count in MNEMONICS.items()
        for index in range(count)
    } | {Account.from_key(number.to_bytes(32, "big")).address for number in range(1, 17)}
    roles = ["deployer", "signer", "lp", "crowd", "builder", *(f"trader {number}" for number in range(TRADERS))]
    derived |= {Account.from_key(devnet_key(role)).address for role in roles}

    assert {"0x" + one.hex() for one in PUBLISHED} == {one.lower() for one in derived}
