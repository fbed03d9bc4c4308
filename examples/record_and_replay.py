"""Recording a stream and playing it again: `python examples/record_and_replay.py`

What a strategy saw can be seen again as often as one likes, through the same code, at full speed,
frame by frame, with every moment at which a book was not valid. Here the connection is cut while it
is recorded.
"""

import argparse
import tempfile
from pathlib import Path

from coincall_fast import Channel, OrderBook, Stream, replay
from coincall_fast.sim import Exchange


class Spread:
    """Anything that wants books: it does not know whether they are live."""

    def __init__(self) -> None:
        self.books = 0
        self.narrowest = float("inf")

    def see(self, book: OrderBook) -> None:
        self.books += 1
        if book.is_valid:  # else every price is nan: a lost connection empties its books
            self.narrowest = min(self.narrowest, book.spread)


def record(path: Path, frames: int) -> Spread:
    live = Spread()
    with Exchange() as venue:
        key, secret = venue.api_key, venue.api_secret
        with Stream("futures", ws_url=venue.ws_url, api_key=key, api_secret=secret) as stream:
            stream.record(path)
            stream.on("gap", lambda start, end: print(f"a gap of {(end - start) / 1e6:.0f} ms"))
            stream.subscribe(Channel.BOOK, "BTCUSD")
            for book in (item for item in stream if isinstance(item, OrderBook)):
                live.see(book)
                if book.update_count == frames // 2 and book.is_valid:
                    venue.drop_connections()
                if book.update_count >= frames:
                    break
    return live


def main() -> None:
    asked = argparse.ArgumentParser(description="Records a stream, and plays it again, twice.")
    asked.add_argument("--frames", type=int, default=20)
    frames = asked.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "btc.rec"
        live = record(path, frames)
        print(f"live: {live.books} books, {path.stat().st_size} bytes on disk")
        for _ in range(2):
            again = Spread()
            player = replay(path)  # speed=1 would take the time that it took
            for item in player:
                if isinstance(item, OrderBook):
                    again.see(item)
            # The fingerprint is one hash of every state of every book.
            print(f"again: {again.books} books, fingerprint {player.fingerprint.hexdigest()[:16]}")
        print(f"narrowest spread, live and again: {live.narrowest:.1f} {again.narrowest:.1f}")


if __name__ == "__main__":
    main()
