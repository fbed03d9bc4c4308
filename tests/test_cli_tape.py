"""`record` and `replay` as a user meets them."""

import json
import os
import re
import signal

import pytest

from coincall_fast import OrderBook, replay
from coincall_fast.streams.recording import Damage, Reader
from commands import keys_of, run, start

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no signals to send")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.rec")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A second of two futures from the simulated exchange, and what was said meanwhile."""
    path = str(tmp_path_factory.mktemp("recorded") / "a.rec")
    done = run("record", path, "BTCUSD,ETHUSD", "--sim", "--seconds", "1.2", "--json")
    assert done.returncode == 0, done.stderr
    return path, [json.loads(line) for line in done.stdout.splitlines()]


def test_progress_and_an_end(recorded):
    path, lines = recorded
    assert [line["type"] for line in lines] == ["recording"] * (len(lines) - 1) + ["end"]
    end = lines[-1]
    assert end["bytes"] == os.path.getsize(path)
    assert (end["path"], end["missing"]) == (path, 0)
    assert end["seconds"] >= 1.2
    with open(path, "rb") as file:
        assert end["records"] == len(list(Reader(file)))


def test_more_than_books_is_recorded(recorded):
    path, _ = recorded
    channels = {item.channel for item in replay(path) if not isinstance(item, OrderBook)}
    assert "spotPrice" in channels


def test_a_replay_ends_with_the_books_and_the_hash(recorded):
    path, _ = recorded
    again = replay(path).run()
    for _ in range(2):
        done = run("replay", path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"sha256 {again.fingerprint.hexdigest()}"
        bid = re.search(r"^BTCUSD bid ([\d.]+) x", done.stdout, re.M)
        assert bid is not None
        assert float(bid[1]) == again.store["BTCUSD"].best_bid
        assert f"{again.frames} frames of 2 books" in done.stdout


def test_every_state_as_json(recorded):
    path, _ = recorded
    done = run("replay", path, "--json")
    *lines, end = [json.loads(line) for line in done.stdout.splitlines()]
    states = [
        (book.symbol, book.ts_ms, book.best_bid)
        for book in replay(path)
        if isinstance(book, OrderBook)
    ]
    assert [(line["symbol"], line["ts_ms"], line["best_bid"]) for line in lines] == states
    assert end["type"] == "end"
    assert end["hash"] == replay(path).run().fingerprint.hexdigest()
    assert end["is_complete"] is True


def test_in_time_the_hash_is_the_same(recorded):
    path, _ = recorded
    done = run("replay", path, "--speed", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"sha256 {replay(path).run().fingerprint.hexdigest()}"


def test_from_an_address_with_keys(exchange, path):
    option = exchange.symbols("options")[0]
    done = run(
        *("record", path, option, "--seconds", "1", "--channels", "book,account"),
        *("--ws-url", exchange.ws_url),
        **keys_of(exchange),
    )
    assert done.returncode == 0, done.stderr
    assert "records" in done.stdout
    channels = {item.channel for item in replay(path) if not isinstance(item, OrderBook)}
    assert "accountBalance" in channels
    with open(path, "rb") as file:
        content = file.read()
    for text in (exchange.api_key, exchange.api_secret):
        assert text.encode() not in content
        assert text not in done.stdout + done.stderr


@POSIX
def test_it_ends_whole_when_asked(path):
    with start("record", path, "BTCUSD", "--sim") as started:
        assert "records" in started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        told, complaints = started.communicate()
    assert (started.returncode, complaints) == (0, "")
    assert "records" in told
    assert replay(path).run().is_complete


@POSIX
def test_killed_it_leaves_what_it_had_said(path):
    with start("record", path, "BTCUSD", "--sim", "--json") as started:
        said = json.loads(started.stdout.readline())
        started.kill()
    with open(path, "rb") as file:
        parts = list(Reader(file))
    whole = [part for part in parts if not isinstance(part, Damage)]
    assert len(whole) >= said["records"] > 0
    done = run("replay", path)
    assert done.returncode == 0
    assert "killed" in done.stdout
    assert "BTCUSD bid" in done.stdout


@POSIX
def test_a_full_disk_is_1_and_one_line(path):
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))"
    program += "; from coincall_fast.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run("record", path, "BTCUSD", "--sim", "--json", command=("-c", program))
    assert done.returncode == 1
    (complaint,) = done.stderr.splitlines()
    assert "has stopped: File too large" in complaint
    assert json.loads(done.stdout.splitlines()[-1])["type"] == "end"
    assert not replay(path).run().torn_bytes


def test_damage_is_1_unless_it_is_skipped(recorded, path):
    with open(recorded[0], "rb") as file:
        content = bytearray(file.read())
    content[content.rindex(b'"dt":32') + 20] ^= 1
    with open(path, "wb") as file:
        file.write(content)
    done = run("replay", path)
    assert done.returncode == 1
    assert re.search(r"damage at byte \d+: \d+ bytes, 1 records missing$", done.stderr.rstrip())
    assert len(done.stderr.splitlines()) == 1
    done = run("replay", path, "--skip-damage")
    assert done.returncode == 0
    assert "1 times damage" in done.stdout
    assert "damage at byte" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("record {path}", 2),
        ("record {path} BTCUSD", 3),  # no keys
        ("record {path} BTCUSD --sim --channels boks", 2),
        ("record {readme} BTCUSD --sim", 1),
        ("replay {path}", 1),
        ("replay {readme}", 1),
        ("replay {path} --speed 0", 2),
    ],
)
def test_exit_codes(tmp_path, path, arguments, code):
    readme = tmp_path / "README"
    readme.write_text("not a recording, and never to be written to\n" * 3)
    before = readme.read_bytes()
    done = run(*arguments.format(path=path, readme=readme).split())
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert readme.read_bytes() == before
