"""The exceptions that leave a nursery, grouped by what the caller can do.

::

    FlasharbError
    ├── UsageError          exit 2: mend the arguments or the file that was given
    │   └── SettingsError   exit 2: every wrong key at once (built by the cli)
    └── OutsideError        exit 3: something outside failed
        ├── NodeError       the node: unreachable, not JSON, an error reply
        ├── RelayError      the bundle relay
        ├── BusError        the message bus
        ├── StateUnavailable  a simulation needs state that nobody here knows
        └── StateDisproved    the node told state that the block's state root disproves

Expected results (a rejected trade, a reverted transaction, a missed bundle) are values, not exceptions.
No message ever holds a key.
"""

from __future__ import annotations


class FlasharbError(Exception):
    """The root: has a message for people and an exit code for the shell."""

    exit_code = 1


class UsageError(FlasharbError):
    """Wrong arguments, an unreadable or corrupt file, an unknown transaction."""

    exit_code = 2


class SettingsError(UsageError):
    """One or more wrong settings; the message lists each with key, value, range and source."""


class OutsideError(FlasharbError):
    """Something outside this process failed."""

    exit_code = 3


class NodeError(OutsideError):
    """A node did not answer, or answered something that is not a JSON-RPC result."""


class RelayError(OutsideError):
    """A relay cannot be used at all (per-bundle refusals are outcomes, not errors)."""


class BusError(OutsideError):
    """The message bus cannot be reached or does not speak a configured dialect."""


class StateUnavailable(OutsideError):
    """Missing state that neither the recorded block nor the node provides; unknown is never taken as zero."""


class StateDisproved(OutsideError):
    """What the node said of an account, slot, code or header is not what the block's own hash proves."""
