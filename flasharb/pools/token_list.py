"""Token lists as wallets publish them (the schema of tokenlists.org), beside our own token files.

::

    {"name": "…", "version": {…}, "tokens": [{"chainId": 1, "address": "0x…", "symbol": "WETH", "decimals": 18, …}]}

One list holds tokens of many chains and much that nobody here needs; only those of the chain asked for are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flasharb.errors import UsageError
from flasharb.pools.files import TokenFile, parse_tokens

_TAKEN = ("address", "symbol", "decimals")


def is_token_list(content: object) -> bool:
    """Whether a JSON value is a published list: our own files say once for all which chain they are of."""
    return isinstance(content, dict) and "chain_id" not in content and isinstance(content.get("tokens"), list)


def parse_token_list(content: Mapping[str, Any], chain_id: int) -> TokenFile:
    """The tokens of one chain on a published list.

    Raises:
        UsageError: none of them is of this chain, or one that is has something wrong with it.
    """
    listed = [item for item in content["tokens"] if isinstance(item, dict) and item.get("chainId") == chain_id]
    if not listed:
        told = sorted({str(item.get("chainId")) for item in content["tokens"] if isinstance(item, dict)})
        raise UsageError(f"no token of chain {chain_id} is on the list (it has those of {', '.join(told) or 'none'})")
    taken = [{name: item[name] for name in _TAKEN if name in item} for item in listed]
    try:
        return parse_tokens({"chain_id": chain_id, "tokens": taken})
    except UsageError as error:
        raise UsageError(f"of the tokens of chain {chain_id}, counted from 0: {error}") from None
