"""No configuration file and no environment makes the loader fail in another way than its own, or print a key."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from flasharb.cli.loading import environment_name, examine, known_keys
from flasharb.cli.redact import shown, shown_text
from flasharb.errors import UsageError
from flasharb.settings import Settings

CANARY = "c0ffee" * 10 + "abcd"

keys = st.sampled_from(list(known_keys()))
toml_values = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from(
        ['"x"', "true", "[]", '["a", 1]', "{}", "{a = 1}", "1979-05-27", "[[1]]", f'"0x{CANARY}"', "1e400"]
    ),
)
settings_lines = st.lists(st.tuples(keys, toml_values), max_size=6, unique_by=lambda pair: pair[0])


def judge(text: str, environ: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            loaded, problems = examine(path, environ)
        except UsageError:
            return
    assert isinstance(loaded.settings, Settings)
    assert loaded.sources.keys() == known_keys().keys()
    assert CANARY not in "".join(map(str, problems))


@given(st.text(max_size=200))
@example("a = " + "1" * 5000)
@example("a = " + "[" * 5000)
@example("[[strategy]]\n")
@example('["strategy.max_hops"]\n')
@example('[strategy]\n"max_hops.x" = 1\n')
@example("strategy = 3\n")
@example("strategy.max_hops = 2\nstrategy.max_hops.x = 2\n")
@example("[strategy]\nmax_hops = " + "9" * 400 + "\n")
def test_any_text(text: str) -> None:
    """Whatever the file holds."""
    judge(text, {})


@given(settings_lines)
def test_any_value_of_any_key(lines: list[tuple[str, str]]) -> None:
    """Known keys with values of every type."""
    judge("\n".join(f"{key} = {value}" for key, value in lines), {})


@given(st.dictionaries(keys.map(environment_name) | st.text(max_size=20), st.text(max_size=40), max_size=5))
@example({"FLASHARB_STRATEGY_MAX_HOPS": "1" * 5000})
@example({"FLASHARB_SIGNER_KEY_FILES": CANARY})
@example({"FLASHARB_NODE_URL": "http://[::1"})
@example({"FLASHARB_NODE_URL": "http://h:99999999999"})
@example({"FLASHARB_RELAYS_URLS": "http://h:0x10"})
def test_any_environment(environ: dict[str, str]) -> None:
    """Known variables with any text, and any other variables."""
    judge("", environ)


@given(st.text(max_size=40), st.text(max_size=40), st.booleans())
def test_keys_are_hidden_wherever_they_stand(before: str, after: str, prefixed: bool) -> None:
    """Between any other characters but hex digits."""
    text = f"{before} {'0x' if prefixed else ''}{CANARY} {after}"

    assert CANARY not in shown_text(text)
    assert CANARY not in shown((text, [text]))
    assert shown_text(text).isprintable()


def test_null_device_is_an_empty_configuration() -> None:
    """A way to say "no file" although the working directory has one."""
    assert examine(Path(os.devnull), {})[0].settings == Settings()
