"""Writes the first inputs of the fuzz target: `python seeds.py books|messages FOLDER`.

The frames that the venues' documents print, and frames that are as deep as a book and deeper; for
messages REST answers too, as each class that there is. What comes between, mutate.c and
mutate_rows.c make up. What an input is, target.pyx says.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

BYBIT, STORE, VIEW, MESSAGES = 1, 2, 4, 16
END = b"\xff"
CONFORMANCE = Path(__file__).parent.parent / "conformance"
CLEAR, LOAD, UPDATE = b"\xfec000", b"\xfel0\x05\x04", b"\xfeu\x04\x01\x05"
COINCALL_FRAME = '{"dt":5,"c":20,"d":{"s":"BTCUSD","asks":[%s],"bids":[%s],"ts":%d}}'
BYBIT_FRAME = (
    '{"id":"1","topic":"delta.orderbook100.BTC","creationTime":%d,'
    '"data":{"version":"%d","dataType":"%s","%s":[%s]}}'
)
SPELLINGS = '{"pr":"%s","sz":"%s"}', '{"pr":"%s","sz":"%s "}', '{"pr":"%s","v":%s}'


def input_of(steps: Iterable[bytes], options: int = 0) -> bytes:
    return bytes([ord("@") + options]) + END.join(steps)


def rows(name: str) -> list[dict[str, str]]:
    return [*map(json.loads, (CONFORMANCE / name).read_text(encoding="utf-8").splitlines())]


def documented() -> Iterator[bytes]:
    for row in rows("frames.jsonl"):
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


def messages() -> Iterator[bytes]:
    frames = [row["frame"].encode() for row in rows("frames.jsonl") if row["venue"] == "coincall"]
    chains = [frame for frame in frames if b'"dt":4,' in frame]
    for frame in frames:
        for options in (MESSAGES, MESSAGES | VIEW):
            yield input_of([frame], options)
            yield input_of([*chains, frame, chains[0]], options)
        yield input_of([frame[:-1] + b',"ts":1685091838557}'], MESSAGES)
        for dt in (19, 24, 27, 43, 46, 15, 38):
            yield input_of([re.sub(rb'"dt":\d+', b'"dt":%d' % dt, frame)], MESSAGES)
    for chain in chains:
        yield input_of([chain, chain.replace(b"0", b"1"), chain[:-1], chain], MESSAGES)
    for row in rows("rest.jsonl"):
        for which in range(8):
            yield input_of([b"\xfer%d" % which + row["body"].encode()], MESSAGES)


def main(kind: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for data in messages() if kind == "messages" else (*documented(), *deep()):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
