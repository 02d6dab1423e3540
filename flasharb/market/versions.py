"""Dictionaries in versions that share their entries: a new version costs what changes, not what is there.

A market of a million pools has two such tables and keeps them for 64 blocks; copied for each block they would take
seconds of every minute and gigabytes.

One version of a line holds the table itself; every other one holds what differs on the way there. To read such a one is
to look along that way, to change it turns the way round (``_take_the_table``): at the head of a chain both are free.
"""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Final, Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Final = cast("Any", object())


def of(entries: Mapping[K, V]) -> Versions[K, V]:
    """Any mapping as a version."""
    return entries if isinstance(entries, Versions) else Versions(entries)


def plain(entries: Mapping[K, V]) -> Mapping[K, V]:
    """For many reads at once: the table itself where this is the newest version. To be used at once, and not kept."""
    return entries._whole() if isinstance(entries, Versions) else entries


class Versions(Mapping[K, V], Generic[K, V]):
    """One version: a mapping that never changes."""

    __slots__ = ("_differs", "_size", "_table", "_towards")

    def __init__(self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._table: dict[K, V] | None = dict(entries)
        self._size = len(self._table)
        # without the table: what differs from the next version on the way to it
        self._differs: dict[K, V] = {}
        self._towards: Versions[K, V] | None = None

    def changed(self, entries: Mapping[K, V], without: Collection[K] = ()) -> Versions[K, V]:
        """A version with other or further entries, and without some."""
        if not entries and not without:
            return self
        table = self._take_the_table()
        before = {key: table.get(key, _ABSENT) for key in (*entries, *without)}
        table.update(entries)
        for key in without:
            table.pop(key, None)
        after = Versions.__new__(Versions)
        after._table, after._size, after._differs, after._towards = table, len(table), {}, None
        self._table, self._differs, self._towards = None, before, after
        return after

    def _way(self) -> tuple[list[Versions[K, V]], dict[K, V]]:
        """The versions from the table to here, this one last, and the table."""
        way: list[Versions[K, V]] = []
        version: Versions[K, V] = self
        while version._table is None:
            way.append(version)
            assert version._towards is not None
            version = version._towards
        return way[::-1], version._table

    def _take_the_table(self) -> dict[K, V]:
        """Move the table here, turning round the way to it."""
        way, table = self._way()
        for nearer in way:
            holder = nearer._towards
            assert holder is not None
            back = {key: table.get(key, _ABSENT) for key in nearer._differs}
            for key, value in nearer._differs.items():
                if value is _ABSENT:
                    table.pop(key, None)
                else:
                    table[key] = value
            holder._table, holder._differs, holder._towards = None, back, nearer
            nearer._table, nearer._differs, nearer._towards = table, {}, None
        return table

    def _whole(self) -> dict[K, V]:
        """All entries; not to be written to."""
        if self._table is not None:
            return self._table
        way, table = self._way()
        entries = dict(table)
        for nearer in way:
            entries.update(nearer._differs)
        return {key: value for key, value in entries.items() if value is not _ABSENT}

    def _find(self, key: object) -> V:
        version: Versions[K, V] = self
        while version._table is None:
            found = version._differs.get(cast("K", key), version)
            if found is not version:
                return cast("V", found)
            assert version._towards is not None
            version = version._towards
        return cast("V", version._table.get(cast("K", key), _ABSENT))

    def __getitem__(self, key: K) -> V:
        found = self._find(key)
        if found is _ABSENT:
            raise KeyError(key)
        return found

    def get(self, key: K, default: Any = None) -> Any:
        """The entry, or ``default``."""
        table = self._table
        if table is not None:
            return table.get(key, default)
        found = self._find(key)
        return default if found is _ABSENT else found

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not _ABSENT

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        return iter(self._whole())

    def keys(self) -> KeysView[K]:
        """See ``dict``, but not to be kept while other versions are made."""
        return self._whole().keys()

    def values(self) -> ValuesView[V]:
        """See ``dict``."""
        return self._whole().values()

    def items(self) -> ItemsView[K, V]:
        """See ``dict``."""
        return self._whole().items()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mapping) and self._whole() == dict(other))

    def __hash__(self) -> int:
        raise TypeError("a mapping has no hash")

    def __repr__(self) -> str:
        return f"Versions({self._whole()!r})"
