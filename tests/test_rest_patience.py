"""When requests are sent, and how often: by the venue's clock, within its rates, writes once."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from coincall_fast import (
    Client,
    ClockError,
    DecodeError,
    Rate,
    RateLimited,
    TransportError,
    Unavailable,
    UsageError,
    VenueError,
)
from rest_clients import HTML, USER, answering, cancel, connected
from stub_server import KEY, SECRET, Asked, Raw, envelope

pytestmark = pytest.mark.usefixtures("short_waits", "no_names")


def test_reads_are_repeated() -> None:
    bad = [HTML._replace(status=503), envelope(None, 10000, "Try again"), Raw(b"", close=True)]
    with connected(answering(*bad, envelope(USER))) as (stub, client):
        assert client.account.user().user_id == 5
        assert len(stub.asked) == 4
        # Each attempt was signed anew.
        assert len({asked.headers["sign"] for asked in stub.asked}) > 1


def test_reads_give_up() -> None:
    with connected(lambda asked: HTML._replace(status=503)) as (stub, client):
        with pytest.raises(Unavailable):
            client.account.user()
        assert len(stub.asked) == 4


def test_what_cannot_get_better_is_not_repeated() -> None:
    with connected(lambda asked: envelope(None, 10004, "Parameter illegal")) as (stub, client):
        with pytest.raises(VenueError):
            client.account.referrals(1)
        assert len(stub.asked) == 1


WRITES: list[Callable[[Client], Any]] = [
    lambda c: c.futures._cancel_all_once("BTCUSD", end_s=time.monotonic() + 5),
    lambda c: c.futures.set_leverage("BTCUSD", 3),
    lambda c: c.options.mmp.reset("BTCUSD"),
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "answer",
    [
        HTML._replace(status=503),
        Raw(b"", close=True, length=10),
        envelope(None, 10000, "Try again later"),
        envelope(None, 10605, "Operation is too frequent."),
        HTML._replace(status=429),
    ],
    ids=["503", "half", "10000", "10605", "429"],
)
@pytest.mark.usefixtures("way")
def test_writes_are_sent_once(write: Callable[[Client], Any], answer: Raw) -> None:
    with connected(lambda asked: answer) as (stub, client):
        with pytest.raises((VenueError, TransportError)):
            write(client)
        assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.futures.cancel_all("BTCUSD"),
        lambda c: c.options.cancel_symbol("BTCUSD-1JAN27-1-C"),
    ],
)
def test_cancellations_of_many_are_repeated(write: Callable[[Client], Any]) -> None:
    """To do it twice does no harm. What says that it was too much is no reason to do it again."""
    down, much = HTML._replace(status=503), envelope(None, 10605, "Operation is too frequent.")
    with connected(answering(down, Raw(b"", close=True, length=10), envelope())) as (stub, client):
        write(client)
        assert len(stub.asked) == 3
    for answer, kind, times in ((down, Unavailable, 4), (much, RateLimited, 1)):
        with connected(answering(answer)) as (stub, client):
            with pytest.raises(kind):
                write(client)
            assert len(stub.asked) == times


# The clock


@pytest.mark.parametrize("ahead_ms", [-3000, 3000, -120_000, 120_000])
def test_a_clock_that_is_off(ahead_ms: int) -> None:
    """The venue's time is asked before the first signature, so that not even that is refused."""
    with connected(lambda asked: envelope(USER)) as (stub, client):
        stub.ahead_ms = ahead_ms
        assert client.account.user().user_id == 5
        assert len(stub.asked) == 1
        assert max(stub.latest_ms) < 1000
        assert abs(client.sync_clock() - ahead_ms) < 2500


def test_no_thread_signs_before_the_time_is_known() -> None:
    with connected(lambda asked: envelope(USER)) as (stub, client):
        stub.ahead_ms = -60_000
        threads = [threading.Thread(target=client.account.user) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stub.asked) == 8
        assert max(stub.latest_ms) < 1000
        assert stub.times_asked == 1


@pytest.mark.parametrize("call", [lambda c: c.account.user(), cancel], ids=["read", "write"])
@pytest.mark.usefixtures("way")
def test_a_clock_that_is_set_meanwhile(call: Callable[[Client], Any]) -> None:
    """One refusal of the timestamp, the time anew, and one repetition."""
    with connected(lambda asked: envelope(USER)) as (stub, client):
        call(client)
        for ahead_ms in (-3000, 60_000):
            stub.ahead_ms += ahead_ms
            stub.asked.clear()
            before = stub.times_asked
            call(client)
            assert len(stub.asked) == 2
            assert stub.times_asked - before == 5
            assert stub.latest_ms[-1] < 1000


@pytest.mark.parametrize("code", [10557, 10561])
def test_a_timestamp_that_is_never_right(code: int) -> None:
    with connected(lambda asked: envelope(None, code, "no")) as (stub, client):
        with pytest.raises(ClockError) as caught:
            cancel(client)
        assert caught.value.code == code
        assert len(stub.asked) == 2


def test_a_venue_that_tells_no_time() -> None:
    with connected(lambda asked: envelope(USER)) as (stub, client):
        handle = stub.handle
        stub.handle = lambda asked: HTML if asked.path == "/time" else handle(asked)  # type: ignore[method-assign]
        assert client.account.user().user_id == 5  # with our own clock, which happens to be right
        stub.ahead_ms = 9000
        with pytest.raises(ClockError):
            client.account.user()
        with pytest.raises(DecodeError):
            client.sync_clock()


def test_a_time_that_is_known_is_not_asked_again() -> None:
    """One round trip says less than the several of `sync_clock`."""
    with connected(lambda asked: envelope(USER)) as (stub, client):
        client.sync_clock()
        asked = stub.times_asked
        client.account.user()
        assert stub.times_asked == asked


def test_the_time_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails is no reason to sign with our own clock for ever, nor to ask each time."""
    monkeypatch.setattr("coincall_fast.rest.calls.ASK_AGAIN_S", 60.0)
    with connected(lambda asked: envelope(USER)) as (stub, client):
        handle, times = stub.handle, 0

        def silent(asked: Asked) -> Raw:
            nonlocal times
            times += asked.path == "/time"
            return HTML if asked.path == "/time" else handle(asked)

        stub.handle = silent  # type: ignore[method-assign]
        stub.ahead_ms, stub.keeps_time = -3_600_000, False
        client.account.user()
        client.account.user()
        assert times == 1
        stub.handle = handle  # type: ignore[method-assign]
        client.account.user()
        assert stub.times_asked == 0
        assert stub.latest_ms[-1] > 3_000_000
        client._rest._ask_s = time.monotonic()  # a minute later
        client.account.user()
        client.account.user()
        assert stub.times_asked == 1
        assert stub.latest_ms[-1] < 1000


@pytest.mark.parametrize("is_first", [True, False])
def test_nobody_waits_for_anothers_clock_without_end(is_first: bool) -> None:
    """A thread whose question for the time hangs holds no other's call beyond its own end."""
    with connected(lambda asked: envelope()) as (stub, client):
        if not is_first:
            client.sync_clock()
            stub.ahead_ms = 60_000  # the timestamp is refused, and the time to be asked anew
        with client._rest._syncing:
            begin_s = time.monotonic()
            if is_first:
                client.futures.cancel_all("BTCUSD", end_s=begin_s + 4.0)
            else:
                with pytest.raises(ClockError):
                    client.futures.cancel_all("BTCUSD", end_s=begin_s + 0.5)
        assert len(stub.asked) == 1


def test_the_first_question_leaves_time_for_the_call() -> None:
    ending = threading.Event()
    with connected(lambda asked: envelope(), timeout=4.0) as (stub, client):
        handle = stub.handle

        def hanging(asked: Asked) -> Raw:
            if asked.path == "/time":
                ending.wait(60)
            return handle(asked)

        stub.handle = hanging  # type: ignore[method-assign]
        cancel(client)
        ending.set()
        assert len(stub.asked) == 1


def test_the_clock_is_kept() -> None:
    with connected(lambda asked: envelope(USER)) as (stub, client):
        client.sync_clock(every_s=0.02)
        stub.ahead_ms = -30_000
        deadline_s = time.monotonic() + 10
        while stub.times_asked < 30 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        stub.asked.clear()
        client.account.user()
        assert len(stub.asked) == 1
        assert max(stub.latest_ms) < 1000


def test_a_clock_that_is_not_heard_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with connected(lambda asked: envelope(USER)) as (stub, client):
        client.sync_clock(every_s=0.02)
        stub.handle = lambda asked: HTML  # type: ignore[method-assign]
        deadline_s = time.monotonic() + 30
        while "clock was not heard" not in caplog.text and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert "clock was not heard: coincall GET /time: a page of HTML" in caplog.text


# Rates


def test_the_client_holds_itself_back() -> None:
    with connected(lambda asked: envelope(USER), rates={}, rate_wait_s=0.0) as (stub, client):
        client.account.user()
        client.account.user()
        with pytest.raises(RateLimited, match="held back: account") as caught:
            client.account.user()
        assert not caught.value.is_sent
        assert caught.value.code is None
        assert caught.value.wait_s is not None
        assert len(stub.asked) == 2


def test_threads_wait_for_their_turn() -> None:
    """Eight threads in a window of three: nothing is lost, and no window overrun at the venue."""
    arrived: list[float] = []

    def answer(asked: Asked) -> Raw:
        arrived.append(time.monotonic())
        return envelope(USER)

    rates = {"account": Rate(3, 0.1, "account")}
    with connected(answer, rates=rates, rate_wait_s=30.0, timeout=30.0) as (_, client):
        client.account.user()
        arrived.clear()
        threads = [
            threading.Thread(target=lambda: [client.account.user() for _ in range(3)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    arrived.sort()
    assert len(arrived) == 24
    assert all(later - earlier >= 0.1 for earlier, later in zip(arrived, arrived[3:], strict=False))


def test_closing_ends_waits() -> None:
    """Whoever waits for a place is let go."""
    ended: list[Exception] = []

    def call(client: Client) -> None:
        try:
            client.account.user()
        except (UsageError, Unavailable) as error:
            ended.append(error)

    rates = {"account": Rate(1, 1000.0, "account")}
    with connected(lambda asked: HTML._replace(status=503), rates=rates, timeout=1000.0) as (
        _,
        one,
    ):
        call(one)
        one._rest._rate_wait_s = 1000.0
        waits, wait = threading.Event(), one._rest._closing.wait

        def told(seconds: float) -> bool:
            waits.set()
            return wait(seconds)

        one._rest._closing.wait = told  # type: ignore[method-assign, assignment]
        thread = threading.Thread(target=call, args=(one,))
        thread.start()
        waits.wait(30)
        one.close()
        thread.join()
    assert [type(error) for error in ended] == [Unavailable, UsageError]


@pytest.mark.usefixtures("way")
def test_a_storm_of_429() -> None:
    """Each closes the window for as long as it says; the read gets through, the rest waits."""
    storm = HTML._replace(status=429, headers={"Retry-After": "1"})
    with connected(answering(storm, envelope(USER)), timeout=30.0) as (stub, client):
        begin_s = time.monotonic()
        assert client.account.user().user_id == 5
        assert time.monotonic() - begin_s >= 1.0
        assert len(stub.asked) == 2
        begin_s = time.monotonic()  # what is in no class waits as long
        stub.answer = answering(storm, envelope({"symbol": "X"}))
        assert client.options.details("X").symbol == "X"
        assert time.monotonic() - begin_s >= 1.0
    with connected(lambda asked: storm, rates={}, rate_wait_s=0.2) as (stub, client):
        with pytest.raises(RateLimited, match="HTTP 429") as caught:
            cancel(client)
        assert caught.value.wait_s == 1.0
        with pytest.raises(RateLimited, match="held back"):  # the window is shut, for others too
            client.futures.cancel_order(order_id=1)
        assert len(stub.asked) == 1


@pytest.mark.parametrize(("said_s", "most_s"), [(86_400, 10.0), (0, 2.0), (5, 5.0)])
def test_no_429_locks_cancellations_out(said_s: int, most_s: float) -> None:
    """However long it says; and a window at the least, where it says none."""
    storm = HTML._replace(status=429, headers={"Retry-After": str(said_s)})
    with connected(answering(storm, envelope()), rates={}, rate_wait_s=0.0) as (_, client):
        with pytest.raises(RateLimited, match="HTTP 429"):
            cancel(client)
        with pytest.raises(RateLimited, match="held back") as caught:
            cancel(client)
        assert caught.value.wait_s is not None
        assert 0 < caught.value.wait_s <= most_s


def test_why_there_was_another_attempt_says_more() -> None:
    """A read that is held back on its second attempt tells of its first."""
    one = {"account": Rate(1, 60.0, "account")}
    with connected(lambda asked: HTML._replace(status=503), rates=one) as (stub, client):
        with pytest.raises(Unavailable, match="HTTP 503"):
            client.account.user()
        assert len(stub.asked) == 1


@pytest.mark.usefixtures("way")
def test_what_was_not_sent_does_not_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    one = {"cancel": Rate(1, 60.0, "x"), "cancel_all": Rate(1, 60.0, "x")}
    with Client(KEY, SECRET, rest_url=url, rates=one, rate_wait_s=0.0) as client:
        for _ in range(3):
            with pytest.raises(TransportError):
                cancel(client)
