"""The commands against other venues than Coincall, as a user runs them."""

import json
import time

import pytest

from bybit_frames import DELTA, OPTION, new
from bybit_server import BybitServer
from commands import run
from gate_server import GateServer
from venue_market import CONTRACT


def venue(name):
    """A running server, and how it is watched."""
    if name == "bybit":
        server = BybitServer("v1", DELTA)
        now_ms = time.time_ns() // 1_000_000
        server.books[DELTA] = new(55, ("Buy", "10", "1.67"), ts=now_ms).decode()
        return server, OPTION, "", ["--edition", "v1"]
    return GateServer(), CONTRACT, "/v4/ws", []


@pytest.mark.parametrize("name", ["bybit", "gate"])
def test_watch_record_and_replay(name, tmp_path):
    server, symbol, path, options = venue(name)
    with server:
        options += ["--venue", name, "--ws-url", server.url + path, "--seconds", "1"]
        if name == "gate":
            options += ["--rest-url", f"http://127.0.0.1:{server.port}/api/v4"]
        watched = run("watch", *options, "--json", "--symbols", symbol)
        assert watched.returncode == 0, watched.stderr
        [line] = [json.loads(line) for line in watched.stdout.splitlines()]
        assert (line["symbol"], line["best_bid"]) == (symbol, 10.0)
        tape = str(tmp_path / "a.rec")
        recorded = run("record", tape, symbol, "--channels", "book", *options)
        assert recorded.returncode == 0, recorded.stderr
    replayed = run("replay", tape)
    assert replayed.returncode == 0, replayed.stderr
    assert f"{symbol} bid 10 x" in replayed.stdout or f"{symbol} invalid" in replayed.stdout
    assert "1 books" in replayed.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--venue", "bybit"],
        ["--venue", "gate", "--levels", "5"],
        ["--venue", "bybit", "--symbols", "A", "--rest-url", "http://x"],
        ["--venue", "bybit", "--symbols", "A", "--edition", "v4"],
        ["--venue", "gate", "--symbols", "A", "--env", "beta"],
        ["--venue", "coincall", "--edition", "v5"],
        ["--venue", "nowhere"],
    ],
)
def test_wrong_usage_is_2(arguments):
    keys = {"COINCALL_API_KEY": "a", "COINCALL_API_SECRET": "b"}
    done = run("watch", *arguments, **keys)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
