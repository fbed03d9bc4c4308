"""Writes the first inputs of the fuzz target into a folder: `python seeds.py FOLDER`.

The frames that the venues' documents print, and frames that are as deep as a book and deeper; what
comes between, mutate.c makes up. What an input is, target.pyx says.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

BYBIT, STORE, VIEW = 1, 2, 4
END = b"\xff"
CLEAR, LOAD, UPDATE = b"\xfec000", b"\xfel0\x05\x04", b"\xfeu\x04\x01\x05"
COINCALL_FRAME = '{"dt":5,"c":20,"d":{"s":"BTCUSD","asks":[%s],"bids":[%s],"ts":%d}}'
BYBIT_FRAME = (
    '{"id":"1","topic":"delta.orderbook100.BTC","creationTime":%d,'
    '"data":{"version":"%d","dataType":"%s","%s":[%s]}}'
)
SPELLINGS = '{"pr":"%s","sz":"%s"}', '{"pr":"%s","sz":"%s "}', '{"pr":"%s","v":%s}'


def input_of(steps: Iterable[bytes], options: int = 0) -> bytes:
    return bytes([ord("@") + options]) + END.join(steps)


def documented() -> Iterator[bytes]:
    path = Path(__file__).parent.parent / "conformance" / "frames.jsonl"
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        frame = row["frame"].encode()
        venue = BYBIT if row["venue"] == "bybit" else 0
        for options in (0, STORE | VIEW):
            yield input_of([frame, CLEAR, frame, frame, UPDATE, frame], venue | options)


def deep() -> Iterator[bytes]:
    for count in (0, 1, 20, 60, 100, 101):
        for spelling in SPELLINGS:
            side = [spelling % (n, 1 + n % 7) for n in range(1, count + 1)]
            other = [*side[1:], spelling % (count + 1, "2.25")]
            first, second = (
                (COINCALL_FRAME % (",".join(levels), "", 5)).encode() for levels in (side, other)
            )
            yield input_of([first, second])
            yield input_of([first, UPDATE, first])
            yield input_of([first, LOAD, first, CLEAR])
        rows = [f'{{"price":"{n}","size":"1","side":"Sell"}}' for n in range(1, count + 1)]
        whole = BYBIT_FRAME % (5, 1, "NEW", "orderBook", ",".join(rows))
        for what in ("delete", "update", "insert"):
            change = BYBIT_FRAME % (5, 2, "CHANGE", what, ",".join(rows[1::2]))
            yield input_of([whole.encode(), change.encode()], BYBIT)
    tie = [SPELLINGS[2] % (n, 1) for n in (*range(1, 101), 200, 200)]  # where none is kept
    yield input_of([(COINCALL_FRAME % (",".join(tie), "", 1)).encode()])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*documented(), *deep()):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
