"""The command line as a user meets it: real processes, their output and their exit codes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest
import requests

from coincall_fast import Channel, Stream
from coincall_fast.cli import live, main
from coincall_fast.sim import Exchange
from commands import COMMAND, PATIENCE_S, environment, keys_of, run, start

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no terminals or signals to send")
IMPATIENT = "from coincall_fast.cli import live, main; live.OPEN_S = 0.5; raise SystemExit(main())"


@pytest.fixture
def here(capsys, monkeypatch):
    """A command run in this process, which keeps its signals: code, output and complaints."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run_here(*arguments):
        try:
            code: object = main(arguments)
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run_here


def assert_books(lines):
    """Each line is one moment of one book, and says so consistently."""
    for line in lines:
        assert line["type"] == "book"
        bid, ask = line["best_bid"], line["best_ask"]
        if bid is not None and ask is not None:
            assert bid < line["microprice"] < ask
            assert bid < line["mid"] < ask
            assert line["mid"] == pytest.approx((bid + ask) / 2, rel=1e-12)
            b, a = line["best_bid_size"], line["best_ask_size"]
            assert line["microprice"] == pytest.approx((bid * a + ask * b) / (b + a), rel=1e-12)
            assert line["spread_bps"] == pytest.approx((ask - bid) / line["mid"] * 1e4)
        else:
            assert line["mid"] is line["microprice"] is line["spread"] is None


class TestDemo:
    def test_json_lines(self):
        done = run("demo", "--seconds", "3", "--json")
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        symbols = {line["symbol"] for line in lines}
        assert {"BTCUSD", "ETHUSD"} < symbols
        assert len(symbols) >= 10
        assert_books(lines)
        for symbol in symbols:
            times = [line["ts_ms"] for line in lines if line["symbol"] == symbol]
            assert times == sorted(times)
            assert len(times) >= 8  # 3 s at 5 or 10 Hz
        assert re.search(
            r"\d+ updates of \d+ books in [\d.]+ s, frame to book p50 \d+", done.stderr
        )

    def test_chosen_symbols_apart_or_by_commas(self):
        done = run("demo", "--seconds", "1", "--json", "--symbols", "BTCUSD,ETHUSD", "BTCUSD")
        assert done.returncode == 0, done.stderr
        assert {json.loads(line)["symbol"] for line in done.stdout.splitlines()} == {
            "BTCUSD",
            "ETHUSD",
        }

    def test_plain_lines_where_there_is_no_terminal(self):
        done = run("demo", "--seconds", "2")
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert re.search(r"^BTCUSD bid [\d.]+ x [\d.]+ ask [\d.]+ x", done.stdout, re.M)
        assert re.search(r"^\d+ updates of \d+ books", done.stdout, re.M)
        assert done.stderr == ""

    @POSIX
    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            ([], ["symbol", "microprice", "BTCUSD", "p99 ns", "imbal."]),
            (["--levels", "5", "--symbols", "ETHUSD"], ["ETHUSD", "bid size", "total"]),
        ],
        ids=["table", "ladder"],
    )
    def test_a_terminal_gets_a_picture(self, arguments, wanted):
        primary, secondary = os.openpty()
        started = subprocess.Popen(
            [*COMMAND, "demo", "--seconds", "2", *arguments],
            stdout=secondary,
            stderr=subprocess.PIPE,
            env=environment(TERM="xterm-256color", COLUMNS="140", LINES="40"),
        )
        os.close(secondary)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while piece := os.read(primary, 65536):
                shown += piece
        os.close(primary)
        _, complaints = started.communicate(timeout=PATIENCE_S)
        assert started.returncode == 0, complaints
        text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()
        for word in wanted:
            assert word in text
        assert "updates of" in text
        assert complaints == b""

    @POSIX
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
    def test_it_ends_with_a_summary_when_asked(self, how):
        with start("demo", "--json") as started:
            assert started.stdout.readline()
            started.send_signal(how)
            begin_s = time.monotonic()
            _, told = started.communicate(timeout=PATIENCE_S)
        assert started.returncode == 0
        assert time.monotonic() - begin_s < 5.0
        assert "updates of" in told
        assert "Traceback" not in told

    def test_a_reader_that_has_seen_enough(self):
        with start("demo", "--json", "--seconds", "20") as started:
            started.stdout.readline()
            started.stdout.close()
            told = started.stderr.read()
            assert started.wait(timeout=PATIENCE_S) == 0
        assert "Traceback" not in told

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--symbols", "DOGEUSD"],
            ["--levels", "3", "--symbols", "BTCUSD,ETHUSD"],
            ["--levels", "0"],
            ["--levels", "101"],
            ["--seconds", "-1"],
            ["--seconds", "soon"],
            ["--bogus"],
        ],
        ids=" ".join,
    )
    def test_wrong_usage_is_2(self, here, arguments):
        code, shown, complaints = here("demo", *arguments)
        assert code == 2
        assert shown == ""
        assert complaints

    @pytest.mark.parametrize("arguments", [["--symbols", "DOGEUSD"], ["--bogus"]], ids=" ".join)
    def test_wrong_usage_of_a_process_is_2(self, arguments):
        done = run("demo", *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


class TestWatch:
    def test_against_the_simulated_exchange(self, exchange):
        done = run(
            "watch", "--json", "--seconds", "2", "--ws-url", exchange.ws_url, **keys_of(exchange)
        )
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert {line["symbol"] for line in lines} == {"BTCUSD", "ETHUSD"}
        assert_books(lines)

    @pytest.mark.parametrize(
        "variables", [{}, {"COINCALL_API_KEY": "only-this"}], ids=["none", "half"]
    )
    def test_without_keys_it_is_3_and_one_line(self, variables):
        done = run("watch", **variables)
        assert done.returncode == 3
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert "COINCALL_API_KEY" in done.stderr

    def test_refused_it_is_3_and_one_line(self):
        with Exchange() as exchange:
            done = run(
                "watch",
                "--ws-url",
                exchange.ws_url,
                COINCALL_API_KEY=exchange.api_key,
                COINCALL_API_SECRET="wrong",
            )
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1
        assert "signature" in done.stderr.lower()
        assert exchange.api_key not in done.stderr

    def test_a_ladder_has_the_printed_levels(self):
        """The market starts from the frame of seed 001, line 530, and this one does not move."""
        with Exchange(speed=1e-6) as exchange:
            arguments = ("--json", "--symbols", "BTCUSD", "--levels", "20", "--seconds", "1")
            done = run("watch", "--ws-url", exchange.ws_url, *arguments, **keys_of(exchange))
        assert done.returncode == 0, done.stderr
        [line] = done.stdout.splitlines()
        book = json.loads(line)
        assert book["bids"][:2] == [[26428.3, 0.208], [26427.9, 0.348]]
        assert book["asks"][:2] == [[26444.4, 0.686], [26444.9, 0.686]]
        assert len(book["bids"]) == len(book["asks"]) == 20

    def test_a_symbol_that_the_venue_does_not_know_is_1(self, exchange):
        done = run(
            *("watch", "--json", "--seconds", "1", "--symbols", "NOPEUSD"),
            *("--ws-url", exchange.ws_url),
            **keys_of(exchange),
        )
        assert done.returncode == 1
        assert done.stdout == ""
        assert "NOPEUSD" in done.stderr
        assert "Traceback" not in done.stderr

    def test_an_address_that_is_none_is_2(self, exchange):
        done = run("watch", "--ws-url", "garbage", **keys_of(exchange))
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1

    def test_nobody_there_is_3(self):
        assert live.OPEN_S == 15.0
        done = run(
            *("watch", "--seconds", "1", "--ws-url", "ws://127.0.0.1:1"),
            command=("-c", IMPATIENT),
            COINCALL_API_KEY="k",
            COINCALL_API_SECRET="s",
        )
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1

    def test_a_lost_connection_shows_as_null_and_heals(self, exchange):
        arguments = ("watch", "--json", "--ws-url", exchange.ws_url, "--seconds", "20")
        with start(*arguments, **keys_of(exchange)) as started:
            lines = (json.loads(line) for line in started.stdout)
            assert next(lines)["best_bid"] is not None
            exchange.stall()  # or it may heal before anything is shown
            exchange.drop_connections()
            lost = next(line for line in lines if line["best_bid"] is None)
            assert lost["best_ask"] is lost["microprice"] is None
            exchange.stall(False)
            assert next(line for line in lines if line["best_bid"] is not None)
            started.kill()


def test_sim_prints_where_it_is_and_a_key_that_works():
    with start("sim", "--seconds", "30", "--seed", "5") as started:
        told = [started.stdout.readline().split() for _ in range(4)]
        _, *urls = told[1]
        done = run(
            *("watch", "--json", "--seconds", "1", "--symbols", "BTCUSD"),
            *("--ws-url", urls[0].removesuffix("/options")),
            COINCALL_API_KEY=told[2][-1],
            COINCALL_API_SECRET=told[3][-1],
        )
        started.kill()
    assert done.returncode == 0, done.stderr
    assert_books([json.loads(line) for line in done.stdout.splitlines()])


def test_bench_tells_how_fast_it_is_here():
    done = run("bench", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["core_us"]) == 2
    assert all(us > 0 for us in told["core_us"].values())
    book, callbacks, age = told["stream_ns"].values()
    assert book["frames"] == callbacks["frames"] == age["frames"] > 100
    for quantiles in (book, callbacks, age):
        assert 0 < quantiles["p50"] <= quantiles["p99"] <= quantiles["p999"] <= quantiles["max"]
    assert book["p50"] <= callbacks["p50"] <= age["p50"]
    assert len(run("bench", "--seconds", "0.2").stdout.splitlines()) == 9


def test_sim_has_every_switch():
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    settings = [
        *("edition=2023-05", "acks=false", f"start_ms={start_ms}"),
        'faults=[{"kind": "code", "amount": 10605}]',
    ]
    arguments = [part for text in settings for part in ("--set", text)]
    with start("sim", "--json", "--seconds", "30", "--speed", "60", *arguments) as started:
        where = json.loads(started.stdout.readline())
        time_url = where["rest_url"] + "/time"
        assert requests.get(time_url, timeout=9).json()["code"] == 10605
        assert requests.delete(where["rest_url"] + "/sim/faults", timeout=9).ok
        assert requests.get(time_url, timeout=9).json()["code"] == 0
        keys = {name: where[name] for name in ("api_key", "api_secret", "ws_url")}
        with Stream("futures", **keys) as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            items = iter(stream)
            seen = [next(items).ts_ms for _ in range(10)]  # no ack, which has no such thing
        assert seen[-1] - seen[0] > 3_000  # of the market's time, in at most two seconds
        assert start_ms <= seen[0] < start_ms + 3_600_000
        started.kill()


@pytest.mark.parametrize(
    "setting",
    [
        "editio=today",
        "edition=2022",
        "edition",
        "cash=much",
        "flow=[]",
        "faults=[1]",
        "seed=3",
        "start_ms=then",
    ],
)
def test_a_setting_that_is_none_is_2(here, setting):
    code, _, complaints = here("sim", "--seconds", "1", "--set", setting)
    assert code == 2
    assert len(complaints.splitlines()) == 1


def test_a_setting_that_is_none_ends_a_process_with_2():
    done = run("sim", "--seconds", "1", "--set", "edition=2022")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_without_the_extra_it_is_one_line(tmp_path):
    (tmp_path / "aiohttp.py").write_text("raise ImportError('no aiohttp')")
    done = run("demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "coincall-fast[sim]" in done.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_2(here, port):
    assert here("sim", "--port", port)[0] == 2


def test_a_port_that_is_taken_is_1(exchange):
    done = run("sim", "--port", exchange.ws_url.rpartition(":")[2])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_version_and_help():
    assert run("--version").stdout.strip() == "0.1.0"
    assert "demo" in run("--help").stdout
    assert run().returncode == 2
