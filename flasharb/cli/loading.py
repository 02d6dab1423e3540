"""Loading the configuration: defaults, then a TOML file, then ``FLASHARB_<TABLE>_<KEY>``, then the command line.

Every wrong key is reported at once, each with its value, its range and where it came from. Values are strict: a number
in quotes is no number, ``nan`` is in no range, an unknown table or key is an error with the nearest known name.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, get_origin

import typed_settings
from typed_settings.cls_utils import deep_options
from typed_settings.loaders import DictLoader

from flasharb.cli.consistency import Problem, contradictions
from flasharb.cli.redact import shown
from flasharb.errors import SettingsError, UsageError
from flasharb.settings import Settings

DEFAULT_FILE: Final = Path("config/flash_arbitrage.toml")
PREFIX: Final = "FLASHARB_"
DEFAULT_KEY_ENV: Final = "FLASHARB_SIGNER_KEY"

_WORDS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The effective settings and, for each ``table.key``, where its value came from."""

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None


@dataclass(slots=True)
class _Gathered:
    values: dict[str, object] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, key: str, value: str | None, expected: str, source: str) -> None:
        self.problems.append(Problem(key, value, expected, source))


def load_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Loaded:
    """Read, merge and check the whole configuration.

    Without ``path`` the file ``config/flash_arbitrage.toml`` is read if the working directory has it; otherwise the
    defaults hold, and they are the embedded devnet. ``overrides`` maps ``table.key`` to a value of the command line.

    Raises:
        SettingsError: one or more wrong keys; the message has a line for each.
        UsageError: the file cannot be read.
    """
    loaded, problems = examine(path, environ, overrides)
    if problems:
        raise settings_error(problems)
    return loaded


def settings_error(problems: tuple[Problem, ...]) -> SettingsError:
    """One error that lists every problem."""
    count = "1 wrong key" if len(problems) == 1 else f"{len(problems)} wrong keys"
    return SettingsError("\n  ".join([f"configuration: {count}", *map(str, problems)]))


def examine(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> tuple[Loaded, tuple[Problem, ...]]:
    """Like :func:`load_settings`, with the problems as values; a wrong key is left at its default.

    Raises:
        UsageError: the file cannot be read.
    """
    file = path if path is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    gathered = _Gathered(sources=dict.fromkeys(known_keys(), "default"))
    if file is not None:
        _from_file(file, gathered)
    _from_environment(environ, gathered)
    for key, value in (overrides or {}).items():
        _take(gathered, key, value, "command line")
    settings = _build(gathered.values)
    problems = tuple(gathered.problems)
    problems += independent(contradictions(settings, environ, gathered.sources), problems)
    return Loaded(settings, gathered.sources, file), problems


def independent(found: tuple[Problem, ...], wrong: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Those of ``found`` that do not rest on a wrong key, which was left at its default."""
    keys = {problem.key for problem in wrong}
    return tuple(one for one in found if keys.isdisjoint((one.key, *one.expected.replace(":", " ").split())))


@dataclass(frozen=True, slots=True)
class Key:
    """What one key may hold: its type, and from ``settings.py`` unit, minimum, maximum and choices."""

    kind: type
    limits: Mapping[str, Any]


@cache
def known_keys() -> Mapping[str, Key]:
    """Every ``table.key`` in the order of ``settings.py``."""
    return {
        option.path: Key(get_origin(option.cls) or option.cls, _metadata(option.parent_cls, option.name))
        for option in deep_options(Settings)
    }


def _metadata(table: type, name: str) -> Mapping[str, Any]:
    return next(one.metadata for one in fields(table) if one.name == name)


def bounds(key: str) -> str:
    """The range or the choices of a key in words, ``2 to 3``; empty for free text."""
    limits = known_keys()[key].limits
    if limits["choices"]:
        return "One of " + ", ".join(limits["choices"])
    if known_keys()[key].kind is bool:
        return "true or false"
    if limits["minimum"] is None:
        return ""
    return f"{_plain(limits['minimum'])} to {_plain(limits['maximum'])}"


def _described_range(key: str) -> str:
    kind, unit = known_keys()[key].kind, known_keys()[key].limits["unit"]
    if kind in {int, float}:
        return f"{'a whole number' if kind is int else 'a number'} from {bounds(key)} ({unit})"
    if found := bounds(key):
        return found[0].lower() + found[1:]
    return f"{'text' if kind is str else 'a list of texts'} ({unit})"


def _plain(number: float) -> str:
    return f"{int(number):_}" if number == int(number) else f"{number:.9f}".rstrip("0")


def environment_name(key: str) -> str:
    """The variable that overrides ``table.key``."""
    return PREFIX + key.replace(".", "_").upper()


def _build(values: Mapping[str, object]) -> Settings:
    nested: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        table, name = key.split(".")
        nested.setdefault(table, {})[name] = value
    # Only checked values come here: typed-settings' own messages quote the value, which may be a misplaced key.
    return typed_settings.load_settings(Settings, [DictLoader(nested)])


def _from_file(path: Path, gathered: _Gathered) -> None:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}); a TOML file must be") from None
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Besides its own error, the parser lets through those of endless numbers and endless nesting.
        gathered.refuse(str(path), None, f"must be TOML: {error}", str(path))
        return
    tables = {table: [key for key in known_keys() if key.startswith(table + ".")] for table in _tables()}
    for table, content in document.items():
        source = f"{path}{_line(text, table, None)}"
        if table not in tables:
            gathered.refuse(table, None, "no such table" + _nearest(table, list(tables)), source)
        elif not isinstance(content, dict):
            gathered.refuse(table, None, f"must be a table: [{table}]", source)
        else:
            for name, value in content.items():
                _take(gathered, f"{table}.{name}", value, f"{path}{_line(text, table, name)}")


def _tables() -> Iterator[str]:
    return (one.name for one in fields(Settings))


def _line(text: str, table: str, name: str | None) -> str:
    """`` line N`` of a table or key, found by its usual form; nothing when it is written in an unusual one."""
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            here = match[1]
            if name is None and here == table:
                return f" line {number}"
        elif here == (table if name else "") and re.match(rf"\s*{re.escape(name or table)}\s*[=.]", line):
            return f" line {number}"
    return ""


def _from_environment(environ: Mapping[str, str], gathered: _Gathered) -> None:
    by_variable = {environment_name(key): key for key in known_keys()}
    reserved = {DEFAULT_KEY_ENV, str(gathered.values.get("signer.key_env")), environ.get("FLASHARB_SIGNER_KEY_ENV")}
    starts = tuple(f"{PREFIX}{table.upper()}_" for table in _tables())
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in reserved:
            continue
        source = f"environment {variable}"
        if key := by_variable.get(variable):
            _take(gathered, key, _parsed(text, known_keys()[key].kind), source)
        elif hint := _nearest(variable, list(by_variable)):
            # Never the value: a mistyped variable may hold the signer's key.
            gathered.refuse(variable, None, "no such key" + hint, "environment")
        elif variable.startswith(starts):
            gathered.refuse(variable, None, "no such key (`flasharb config show` lists them)", "environment")


def _parsed(text: str, kind: type) -> object:
    """The text of an environment variable as the key's type; left as text when it is none, for the check to refuse."""
    stripped = text.strip()
    try:
        if kind is bool:
            return _WORDS.get(stripped.lower(), text)
        if kind is int:
            return int(stripped, 0) if stripped.lower().startswith("0x") else int(stripped)
        if kind is float:
            return float(stripped)
    except ValueError:
        return text
    if kind is str:
        return text
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _nearest(name: str, names: list[str]) -> str:
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return f"; did you mean {found[0]}?" if found else ""


def _take(gathered: _Gathered, key: str, value: object, source: str) -> None:
    """Record a value that fits the key, or the problem."""
    if key not in known_keys():
        table = key.partition(".")[0]
        hint = _nearest(key, list(known_keys())) or f"; [{table}] has " + ", ".join(
            known.partition(".")[2] for known in known_keys() if known.startswith(table + ".")
        )
        if table == "signer":
            hint = "; the key itself never stands in the configuration: use key_env, key_file or keystore_file"
        gathered.refuse(key, None, "no such key" + hint, source)
        return
    accepted = _accepted(key, value)
    if accepted is None:
        gathered.refuse(key, shown(value), "must be " + _described_range(key), source)
        return
    gathered.values[key] = accepted
    gathered.sources[key] = source


def _accepted(key: str, value: object) -> object | None:
    """The value in the key's exact type, or None when type, range or choice is wrong."""
    limits, kind = known_keys()[key].limits, known_keys()[key].kind
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if kind in {int, float}:
        if not isinstance(value, (int, float) if kind is float else int):
            return None
        # `nan` compares false with everything, so the test must be "is inside", not "is not outside".
        return kind(value) if limits["minimum"] <= value <= limits["maximum"] else None
    if kind is str:
        wrong = not isinstance(value, str) or (limits["choices"] and value not in limits["choices"])
        return None if wrong else value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None
