"""Fuzz the bus reader: ``python -m tests.fuzz.bus --frames 1000000`` feeds random and mutated frames.

Whatever comes, nothing may be raised, and memory must stay flat. Prints what was read and the resident memory at a
tenth of the way and at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from random import Random
from zlib import crc32

from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.reframer import Reframer
from flasharb.feed.stream import BusDecoder
from flasharb.feed.translate import Translator
from flasharb.feed.wire import HELLO_P1, HELLO_P3, MAGIC
from tests.support.bus_samples import random_frame

CORPUS = 3000


def mutated(frame: bytes, random: Random) -> bytes:  # noqa: C901  # a list of independent ways
    """A damaged, hostile or merely odd variant of a sound message."""
    data = bytearray(frame)
    match random.randrange(12):
        case 0:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        case 1:
            for _ in range(random.randrange(1, 9)):
                data[random.randrange(len(data))] = random.randrange(256)
        case 2:
            del data[random.randrange(len(data)) :]
        case 3:
            place = random.randrange(len(data))
            data[place:place] = random.randbytes(random.randrange(1, 40))
        case 4:
            data[:0] = random.randbytes(random.randrange(1, 64))
        case 5:
            # A payload that lies about itself under a CRC that is right: past the reframer, into the decoders.
            for _ in range(random.randrange(1, 6)):
                data[random.randrange(32, len(data))] = random.randrange(256)
            resign(data)
        case 6:
            data[8:12] = random.randbytes(4)
        case 7:
            data[24:28] = random.randrange(1 << 17).to_bytes(4, "little")
        case 8:
            return random.choice([HELLO_P1, HELLO_P3, HELLO_P1[: random.randrange(36)]])
        case 9:
            return MAGIC * random.randrange(1, 20)
        case 10:
            return random.randbytes(random.randrange(200))
        case _:
            data += frame[: random.randrange(len(frame))]
    return bytes(data)


def resign(data: bytearray) -> None:
    """Put the right CRC into a message."""
    data[28:32] = crc32(bytes(data[32:]), crc32(bytes(data[:28]))).to_bytes(4, "little")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def run(frames: int, seed: int, *, mutated_share: float = 0.5) -> dict[str, int | float]:
    """Feed so many frames, in reads of random size, through reader, translator and block assembler."""
    random = Random(seed)
    corpus = [random_frame(random) for _ in range(CORPUS)]
    decoder = BusDecoder(Reframer("auto"), Translator())
    assembler = BlockAssembler()
    fed = events = blocks = largest_pending = 0
    early_bytes = 0
    began = time.monotonic()
    stream = bytearray()
    while fed < frames:
        while len(stream) < 65_536:
            frame = random.choice(corpus)
            stream += mutated(frame, random) if random.random() < mutated_share else frame
            fed += 1
        while len(stream) > 8192:
            size = random.choice([1, 7, 100, 1500, 8192])
            for event in decoder.feed(bytes(stream[:size])):
                events += 1
                blocks += len(assembler.add(event))
            del stream[:size]
            largest_pending = max(largest_pending, decoder.reframer.pending_bytes)
        decoder.take_requests(20, 0)
        if random.random() < 0.05:
            decoder.reset()
            assembler.reset(None)
        if not early_bytes and fed >= frames // 10:
            early_bytes = resident_bytes()
    counters = decoder.reframer.counters
    return {
        "frames_fed": fed,
        "frames_read": counters.frames,
        "messages": decoder.translator.counters.messages,
        "malformed": decoder.translator.counters.malformed,
        "unknown": decoder.translator.counters.unknown,
        "resyncs": counters.resyncs,
        "dropped_bytes": counters.dropped_bytes,
        "hellos": counters.hellos,
        "events": events,
        "blocks": blocks,
        "largest_pending_bytes": largest_pending,
        "resident_bytes_early": early_bytes,
        "resident_bytes_end": resident_bytes(),
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.frames, arguments.seed), indent=1))


if __name__ == "__main__":
    main()
