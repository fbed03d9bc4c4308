"""`doctor --probe`: each alternative of the simulated exchange is told right, and nothing else is.

The exchange plays the venue that does otherwise; the probe must not know which switch is set.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coincall_fast import Client
from coincall_fast.cli.doctor import probe, questions, sounding
from coincall_fast.cli.doctor.access import Access
from coincall_fast.sim import Exchange
from commands import keys_of, run

DOC = (Path(__file__).parent.parent / "docs" / "unverified.md").read_text(encoding="utf-8")
# What the client assumes, further down, repeats these.
EXCHANGE = DOC.partition("# What the client assumes")[0]
OPEN = [row for row in EXCHANGE.splitlines() if re.match(r"\| [^|]* \| [^|]*\bopen\b", row)]

# What the venue's documents of today say, where they say it.
USUAL = {
    "address.spelling": "both",
    "address.refusal": "http",
    "address.lower-hex": "refused",
    "address.code": "refused",
    "address.encoded-key": "refused",
    "address.age": "5 s",
    "address.ahead": "1 s",
    "session.acks": "first",
    "session.failure": "result",
    "session.lists": "taken",
    "session.wrong-in-a-list": "as a whole",
    "session.lower-unsubscribe": "ignored",
    "session.no-request": "c",
    "session.native": "refused",
    "session.backlog": "old trades",
    "session.silence": "shorter",  # the tests do not have 30 s
    "session.pings": "do not",
    "session.end": "1001",
    "book.order": "best first",
    "book.sizes": "sz text",
    "book.numbers": "padded",
    "book.layout": "usual",
    "book.depth": "100",
    "book.repeats": "repeated",
    "book.age": "under 500 ms",
    "push.ticker": "numbers",
    "push.chain": "bs",
    "push.owner": "uid",
    "push.position": "12",
    "push.futures-position": "36",
    "rest.unsigned": "taken",
    "rest.lower-hex": "refused",
    "rest.no-window": "taken",
    "rest.age": "as asked",
    "rest.ahead": "1 s",
    "rest.query": "raw",
    "rest.rate-headers": "none",
    "rest.depth": "100",
    "rest.sizes": "plain",
    "rest.countdown": "permitted",
    "rest.protection": "null",
    "rest.key": "trades",
}

# The switches, and what is another answer because of them.
ELSEWHERE = [
    ({}, {}),
    (
        {"prehash": "uuid", "refuse": "frame", "failures": "rc", "sorted_levels": False}
        | {"ticker_texts": True, "lower_case_unsubscribe": True},
        {"address.spelling": "uuid", "address.refusal": "frame", "session.failure": "rc"}
        | {"book.order": "not sorted", "push.ticker": "texts"}
        | {"session.lower-unsubscribe": "honoured"},
    ),
    (
        {"prehash": "apiKey", "failures": "c", "acks": False, "repeats_unchanged": False}
        | {"permissions": ["read"], "makers_only": "code", "clock_offset_ms": -400},
        {"address.spelling": "apiKey", "session.failure": "c", "session.acks": "none"}
        | {"book.repeats": "on change", "push.position": "not seen"}
        | {"push.futures-position": "not seen", "rest.key": "reads only"}
        | {"rest.countdown": "code", "rest.protection": "refused"},
    ),
    (
        {"edition": "2023-05", "permissions": ["trade"], "clock_offset_ms": 2_500},
        {"book.sizes": "v number", "book.numbers": "plain", "book.repeats": "on change"}
        | {"push.chain": "bv", "push.owner": "u", "rest.countdown": "404"}
        | {"rest.protection": "refused"},
    ),
]


def buy(exchange):
    """A position on both products, so that there is something to be pushed."""
    keys = exchange.api_key, exchange.api_secret
    with Client(*keys, rest_url=exchange.rest_url) as client:
        client.futures.place_order(symbol="BTCUSD", side="buy", qty="0.01", order_type="market")
        symbol = exchange.symbols("options")[0]
        ask = client.options.order_book(symbol).best_ask
        client.options.place_order(
            symbol=symbol, side="buy", qty="0.1", order_type="limit", price=ask
        )


@pytest.fixture
def short(monkeypatch):
    """Moments that are long enough for a venue that is near; what comes is waited for as ever."""
    monkeypatch.setattr(sounding, "MOMENT_S", 0.5)
    monkeypatch.setattr(sounding, "BOOKS_S", 0.6)
    monkeypatch.setattr(sounding, "PATIENCE_S", 5.0)
    monkeypatch.setattr(sounding, "PING_S", 0.1)


def ask(switches):
    """All answers of an exchange with these switches."""
    may_trade = "trade" in switches.get("permissions", ["trade"])
    # The takers of a lively market have printed trades before anybody asks.
    with Exchange(seed=3, flow=5.0, silence_s=0.5, **switches) as exchange:
        if may_trade:
            buy(exchange)
        keys = exchange.api_key, exchange.api_secret
        with Access(exchange.rest_url, exchange.ws_url, *keys) as access:
            client = access.client
            assert client is not None
            assert access.credentials is not None
            venue = sounding.Sounding(access, client, access.credentials)
            told = list(probe.answers(venue))
            # A venue may repeat what it was sent, as this one does not.
            assert venue.safe(f"key={keys[0]} secret={keys[1]} sign={'aB3' * 21}c") == (
                "key=… secret=… sign=…"
            )
            orders = [*client.futures.order_history(), *client.options.order_history()]
            assert len(orders) == 2 * may_trade  # ours: it has read only
            assert not client.futures.open_orders()
            assert not client.options.open_orders()
    shown = str([answer.found for answer in told])
    assert not re.search(f"{re.escape(keys[0])}|{keys[1]}|[0-9A-Fa-f]{{64}}", shown)
    return told


def test_each_alternative_is_told(short):
    """All exchanges at once, since most of it is waiting."""
    with ThreadPoolExecutor(len(ELSEWHERE)) as pool:
        asked = [(pool.submit(ask, switches), otherwise) for switches, otherwise in ELSEWHERE]
    for told, otherwise in asked:
        found = {answer.question.name: answer.found.answer for answer in told.result()}
        assert found == USUAL | otherwise, [answer.found for answer in told.result()]
        for answer in told.result():  # nothing is news
            assert answer.meaning == answer.question.answers[answer.found.answer]


def test_what_a_venue_says_that_nobody_knows_is_news(short):
    question = questions.Question("q", "", lambda venue: sounding.Found("blue"), {"red": ""})
    answer = probe.Answer(question, sounding.Found("blue", "b|w"), probe.NEWS)
    assert probe._row(answer) == f"| q | blue | b/w | {probe.NEWS} |"


class TestTable:
    def test_each_row_is_of_the_list(self):
        for row in (*questions.QUESTIONS, *questions.UNASKED):
            assert row.about in DOC, row.about

    def test_names_are_names(self):
        names = [question.name for question in questions.QUESTIONS]
        assert len(set(names)) == len(names)
        assert set(names) == set(USUAL)

    @pytest.mark.parametrize("row", OPEN)
    def test_each_open_row_is_asked_or_named(self, row):
        everything = (*questions.QUESTIONS, *questions.UNASKED)
        assert [one.about for one in everything if one.about in row]

    def test_there_are_open_rows(self):
        assert len(OPEN) > 10


class TestCommand:
    def test_without_keys_it_is_3_and_one_line(self, exchange):
        where = ("--rest-url", exchange.rest_url, "--ws-url", exchange.ws_url)
        done = run("doctor", "--probe", *where)
        assert (done.returncode, done.stdout) == (3, "")
        assert "COINCALL_API_KEY" in done.stderr or "a key" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_refused_it_is_3(self, exchange):
        where = ("--rest-url", exchange.rest_url, "--ws-url", exchange.ws_url)
        keys = {**keys_of(exchange), "COINCALL_API_SECRET": "wrong"}
        done = run("doctor", "--probe", "--json", *where, **keys)
        assert (done.returncode, done.stdout) == (3, "")

    def test_json_and_text(self, short, exchange, capsys):
        """In this process, which has less patience."""
        found = {}
        for as_json in (True, False):
            keys = exchange.api_key, exchange.api_secret
            only = questions.QUESTIONS[:2]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(probe, "QUESTIONS", only)
                with Access(exchange.rest_url, exchange.ws_url, *keys) as access:
                    assert probe.report(access, as_json=as_json) == 0
            found[as_json] = capsys.readouterr().out.splitlines()
        documents = [json.loads(line) for line in found[True]]
        answers = [one for one in documents if one["type"] == "answer"]
        assert [one["answer"] for one in answers] == ["both", "http"]
        assert len(documents) - len(answers) == len(questions.UNASKED)
        assert [line for line in found[False] if line.startswith("| address.spelling | both |")]
