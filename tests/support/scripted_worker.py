"""A worker process whose requests say what it does: the process side of ``service.workers`` without the EVM."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from flasharb.service.frames import Exhausted, Failed, Ready, read_frame, unpack, write_frame


def obey(request: tuple[str, Any]) -> object:
    match request:
        case ("echo", value):
            return value
        case ("pid", _):
            return os.getpid()
        case ("sleep", seconds):
            time.sleep(seconds)
            return "slept"
        case ("spin", _):
            while True:
                pass
        case ("die", status):
            os._exit(status)
        case ("exhaust", what):
            return Exhausted(what)
        case ("fail", text):
            return Failed(text)
        case _:
            raise AssertionError(request)


def main() -> None:
    if "broken" in sys.argv:
        sys.exit(4)
    write_frame(sys.stdout.buffer, Ready())
    while (body := read_frame(sys.stdin.buffer)) is not None:
        write_frame(sys.stdout.buffer, obey(unpack(body)))


if __name__ == "__main__":
    main()
