"""Whatever discovery writes is read again: one strategy of facts for each protocol that has some."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.pools.files import PoolFile, parse_pools, pool_file_json
from flasharb.pools.protocols import PROTOCOLS
from tests.support.pool_specs import STRATEGIES, UNLISTED


def test_every_protocol_has_its_strategy_here() -> None:
    """A new protocol is written and read, or says why no file has it."""
    assert STRATEGIES.keys() | UNLISTED == PROTOCOLS.keys()


@pytest.mark.parametrize("protocol", STRATEGIES)
@given(data=st.data())
def test_a_pool_is_read_from_the_file_as_it_was_written(protocol: str, data: st.DataObject) -> None:
    """Through JSON text, with everything that its protocol knows about it."""
    spec = data.draw(STRATEGIES[protocol](protocol))
    file = PoolFile(1, (spec,))
    content: Any = json.loads(json.dumps(pool_file_json(file)))
    assert parse_pools(content) == file
