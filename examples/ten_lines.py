"""A book in ten lines, on the simulated exchange: `python examples/ten_lines.py`

`Stream("futures")` without anything else is the real one, with COINCALL_API_KEY and
COINCALL_API_SECRET from the environment.
"""

from coincall_fast import Channel, OrderBook, Stream
from coincall_fast.sim import Exchange

with Exchange() as venue:
    key, secret = venue.api_key, venue.api_secret
    with Stream("futures", ws_url=venue.ws_url, api_key=key, api_secret=secret) as stream:
        stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
        for book in (item for item in stream if isinstance(item, OrderBook)):
            print(f"{book.symbol} {book.best_bid} {book.best_ask} {book.microprice:.4f}")
            if book.update_count == 5:
                break
