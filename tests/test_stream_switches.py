"""The client works whatever the venue turns out to do: the main job under every switch.

`COINCALL_FAST_EXCHANGE='{"acks": false}' pytest tests/test_stream.py` runs all tests of streams
under one of them, and .ci/run does so until each alternative has had its turn.
"""

import json
from typing import Any

import pytest

from coincall_fast import Channel
from coincall_fast.sim import Exchange
from streams import listen, stream_to, until, valid

SWITCHES: list[dict[str, Any]] = [
    {"failures": "rc"},
    {"failures": "c", "refuse": "frame"},
    {"acks": False},
    {"acks": False, "failures": "rc"},
    {"acks": False, "failures": "c"},
    {"edition": "2023-05"},
    {"edition": "2023-09"},
    {"repeats_unchanged": False},
    {"lower_case_unsubscribe": True},
    {"prehash": "apiKey"},
    {"prehash": "uuid", "refuse": "frame"},
    {"ticker_texts": True, "pushes_first": True, "reads_lag_ms": 50},
    {"sorted_levels": False, "repeats_unchanged": False},
    {"post_only": "refuse", "options_fok": False, "ids_return": True, "flood": "text"},
    {"clock_offset_ms": -700},
    {"speed": 20},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=json.dumps)
def test_the_main_job(switches: dict[str, Any]) -> None:
    known = ["BTCUSD", "ETHUSD"]
    with Exchange(seed=11, **switches) as exchange, stream_to(exchange, "futures") as stream:
        errors, gaps = listen(stream, "error"), listen(stream, "gap")
        stream.subscribe(Channel.BOOK, ["BTCUSD", "NOPEUSD", "ETHUSD"])
        until(lambda: valid(stream, known), "the known ones")
        until(lambda: "NOPEUSD" in str(errors[-1][1]) if errors else False, "the one refused")
        until(lambda: not any(name in str(errors[-1][1]) for name in known), "it alone")
        exchange.drop_connections()
        until(lambda: gaps, "the gap")
        until(lambda: valid(stream, known), "their return")
        stream.unsubscribe(Channel.BOOK, ["BTCUSD", "NOPEUSD"])
        until(lambda: not stream.store["BTCUSD"].is_valid, "the end of one")
        count = stream.store["ETHUSD"].update_count
        until(lambda: stream.store["ETHUSD"].update_count > count + 1, "the other")
