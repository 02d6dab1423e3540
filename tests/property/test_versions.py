"""Every version of a table stays what it was, whichever versions are made of it, in whatever order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.market.versions import Versions, of, plain


@given(st.integers(0, 2**32))
def test_versions_are_as_copies_would_be(seed: int) -> None:
    """Changed at the head, back in time, in branches; read in every way at once and at the end."""
    random = Random(seed)
    first = {n: n for n in range(random.randrange(5))}
    made: list[tuple[Versions[int, int], dict[int, int]]] = [(Versions(first), dict(first))]
    for _ in range(30):
        version, copy = made[-1] if random.random() < 0.6 else random.choice(made)
        entries = {random.randrange(8): random.randrange(100) for _ in range(random.randrange(3))}
        without = {random.randrange(8) for _ in range(random.randrange(3))} - entries.keys()
        after = {key: value for key, value in (copy | entries).items() if key not in without}
        made.append((version.changed(entries, without), after))
        for known, expected in random.sample(made, min(4, len(made))):
            key = random.randrange(8)
            assert known.get(key, -1) == expected.get(key, -1)
            assert (key in known) == (key in expected)
            assert len(known) == len(expected)
    for known, expected in made:
        assert known == expected
        assert dict(known.items()) == dict(zip(known.keys(), known.values(), strict=True)) == expected
        assert dict(plain(known)) == {key: known[key] for key in known} == expected


def test_nothing_changed_is_the_same_version() -> None:
    version = Versions({1: 2})
    assert version.changed({}) is version
    assert of(version) is version
    assert of({1: 2}) == version != Versions({1: 3})


def test_what_is_not_there_is_said_so_in_old_versions_and_new() -> None:
    old = Versions({1: 2})
    new = old.changed({3: 4}, [1])
    for version, key in ((old, 3), (new, 1)):
        with pytest.raises(KeyError):
            version[key]
    assert repr(old) == "Versions({1: 2})"
    with pytest.raises(TypeError):
        hash(new)
