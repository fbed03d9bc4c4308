"""The real client against the real simulated exchange, over real sockets.

What a test waits for it polls; nothing here trusts a sleep to be long enough.
"""

import logging
import math
import os
import threading
import time
import traceback

import pytest

from coincall_fast import (
    AuthError,
    Channel,
    OrderBook,
    Stream,
    UsageError,
)
from coincall_fast.coincall import Dialect
from coincall_fast.sim import Exchange
from coincall_fast.streams.dialect import SECOND_NS
from streams import (
    PATIENCE_S,
    SECRET,
    assert_equal_to_the_exchange,
    listen,
    listening,
    stream_to,
    until,
    valid,
)


class TestMainJob:
    def test_both_products_come_into_one_store(self, exchange):
        symbols = exchange.symbols("futures") + exchange.symbols("options")[:40]
        with stream_to(exchange) as stream:
            assert stream.state in ("new", "connecting", "open")
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            assert stream.state == "open"
            assert_equal_to_the_exchange(stream, exchange, symbols)
            assert exchange.subscriptions() == dict.fromkeys(symbols, 1)
        assert stream.state == "closed"

    def test_callbacks_run_on_the_reading_thread_with_the_book(self, exchange):
        seen = []
        with stream_to(exchange, "futures") as stream:
            stream.on(
                Channel.BOOK,
                lambda book: seen.append((threading.current_thread().name, book, book.last_change)),
            )
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: len(seen) >= 3, "three updates")
        name, book, change = seen[0]
        assert "futures" in name
        assert book is stream.store["BTCUSD"]
        assert change == 31
        book = stream.latency.book_ns("BTCUSD")
        assert book.frames >= 2  # the last one may still be in the callback
        assert 0 < book.p50 <= book.p99 <= book.p999 <= book.max
        assert stream.latency.callbacks_ns() >= book
        assert 0 < stream.latency.age_ns("BTCUSD").p50 < 5e9

    def test_several_sockets_share_the_symbols(self, exchange):
        symbols = exchange.symbols("futures") + exchange.symbols("options")[:30]
        with stream_to(exchange, sockets=3) as stream:
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            until(lambda: exchange.connections == 6, "the socket that has no symbol, too")
            assert exchange.subscriptions() == dict.fromkeys(symbols, 1)
            sizes = [len(link.session.books()) for link in stream._links["options"]]
            assert sizes == [10, 10, 10]
            assert_equal_to_the_exchange(stream, exchange, symbols)
            stream.subscribe(Channel.TICKER, symbols[2:5])  # by the sockets of their books
            tickers = listen(stream, Channel.TICKER)
            until(lambda: {t.symbol for _, t in tickers} == set(symbols[2:5]), "their tickers")
            for link in stream._links["options"]:
                held = {topic.data_type: set(held) for topic, held in link.session._topics}
                assert held.get("bsInfo", set()) <= held["orderBook"]
            stream._links["options"][1].stop()
            gone = {book.symbol for book in stream._links["options"][1].session.books()}
            until(lambda: not any(valid(stream, [symbol]) for symbol in gone), "the end of a third")
            assert valid(stream, [symbol for symbol in symbols if symbol not in gone])
            stream.unsubscribe(Channel.BOOK)
            until(lambda: not any(valid(stream, [symbol]) for symbol in symbols), "the end of all")

    def test_the_venues_own_channel_name_works_too(self, exchange):
        heard: list[str] = []
        with stream_to(exchange, "futures") as stream:
            stream.on("orderBook", lambda _: heard.append("its own"))
            stream.on(Channel.BOOK, lambda _: heard.append("ours"))
            stream.subscribe("orderBook", ["BTCUSD"])
            until(lambda: len(heard) >= 4, "two frames")
        assert heard[:4] == ["its own", "ours", "its own", "ours"]

    def test_iteration_gives_each_changed_book_once(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            items = iter(stream)
            next(items)
            time.sleep(0.7)  # three more frames of each meanwhile
            exchange.stall(True)
            time.sleep(0.1)
            waiting = [next(items).symbol for _ in range(2)]
            assert sorted(waiting) == ["BTCUSD", "ETHUSD"]
            threading.Timer(0.2, stream.close).start()
            assert [item.is_valid for item in items] == [False, False]  # and once more as invalid

    def test_each_iteration_gets_everything_and_leaves_nothing(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            for _ in range(2):
                first, second = iter(stream), iter(stream)
                next(first), next(second)
                assert stream._listeners.iterations == 2
                first.close()
                second.close()
                assert stream._listeners.iterations == 0

    def test_a_loss_wakes_an_iteration(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            items = iter(stream)
            while not (isinstance(book := next(items), OrderBook) and book.is_valid):
                pass
            exchange.stall(True)
            exchange.drop_connections()
            assert any(not item.is_valid for item in items if isinstance(item, OrderBook))

    def test_iteration_ends_with_the_stream(self, exchange):
        stream = stream_to(exchange, "futures").start()
        threading.Timer(0.3, stream.close).start()
        assert list(stream) == []

    def test_unsubscribing_nothing_is_nothing(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD"])
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            stream.unsubscribe(Channel.BOOK, [])
            count = stream.store["BTCUSD"].update_count
            until(lambda: stream.store["BTCUSD"].update_count > count + 1, "more of it")

    def test_one_unknown_symbol_costs_the_others_nothing(self, exchange):
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, ["BTCUSD", "NOPEUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "the known ones")
            until(lambda: len(told) >= 2, "both failures")
        assert "NOPEUSD" in str(told[-1][1])
        assert "BTCUSD" not in str(told[-1][1])

    def test_unsubscribe_ends_the_frames_and_the_book(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            stream.unsubscribe(Channel.BOOK, "BTCUSD")
            until(lambda: exchange.subscriptions() == {"ETHUSD": 1}, "the end of it")
            until(lambda: not stream.store["BTCUSD"].is_valid, "its invalidity")
            count = stream.store["ETHUSD"].update_count
            until(lambda: stream.store["ETHUSD"].update_count > count + 1, "the other")
            assert math.isnan(stream.store["BTCUSD"].best_bid)


class TestSignature:
    @pytest.mark.parametrize("spelling", ["apiKey", "uuid"])
    def test_whichever_spelling_the_venue_wants(self, spelling):
        with Exchange(prehash=spelling) as exchange, stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")

    @pytest.mark.parametrize("refuse", ["403", "frame"])
    def test_a_wrong_secret_is_final_and_told(self, refuse):
        with (
            Exchange(refuse=refuse) as exchange,
            stream_to(exchange, "futures", api_secret="wrong") as stream,
        ):
            stream.subscribe(Channel.BOOK, "BTCUSD")
            with pytest.raises(AuthError):
                until_failed(stream)
            assert stream.state == "failed"
            assert isinstance(stream.error, AuthError)
            with pytest.raises(AuthError):
                next(iter(stream))
            assert len(stream.store) == 0

    @pytest.mark.parametrize("offset_ms", [-60_000, 60_000], ids=["future", "stale"])
    def test_a_timestamp_out_of_the_window_is_refused(self, offset_ms):
        with (
            Exchange(clock_offset_ms=offset_ms) as exchange,
            stream_to(exchange, "futures") as stream,
            pytest.raises(AuthError) as caught,
        ):
            until_failed(stream)
        assert caught.value.code == 10557

    def test_no_secret_is_told_anywhere(self, caplog):
        caplog.set_level(logging.DEBUG)
        with Exchange() as exchange:
            with stream_to(exchange, api_secret=SECRET) as stream:
                told = listen(stream, "error", "state")
                with pytest.raises(AuthError) as caught:
                    until_failed(stream)
            with stream_to(exchange) as good:
                good.wait_open(PATIENCE_S)
        errors = [caught.value, *(arguments[0] for name, *arguments in told if name == "error")]
        shown = [caplog.text, repr(stream), repr(vars(stream)), repr(told)]
        for error in errors:
            shown += traceback.TracebackException.from_exception(
                error, capture_locals=True
            ).format()
            assert error.__cause__ is None
            assert error.__context__ is None
        for text in shown:
            assert SECRET not in text
            assert "sign=" not in text
            assert exchange.api_secret not in text

    @pytest.mark.parametrize(
        "options",
        [
            {"api_key": ""},
            {"ws_url": "http://x"},
            {"env": "moon", "ws_url": None},
            {"sockets": 0},
            {"proxy": f"http://me:{SECRET}@/"},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_no_secret_is_told_of_a_stream_that_is_none(self, monkeypatch, options):
        monkeypatch.delenv("COINCALL_API_KEY", raising=False)
        given = {"api_key": "k", "api_secret": SECRET, "ws_url": "ws://127.0.0.1:1", **options}
        with pytest.raises(UsageError) as caught:
            Stream("futures", **given)
        assert caught.tb.tb_next is not None
        told = traceback.TracebackException(
            caught.type, caught.value, caught.tb.tb_next, capture_locals=True
        )
        assert SECRET not in "".join(told.format())

    def test_no_keys_is_a_usage_error(self, monkeypatch):
        monkeypatch.delenv("COINCALL_API_KEY", raising=False)
        with pytest.raises(UsageError, match="COINCALL_API_KEY"):
            Stream("futures")

    def test_keys_come_from_the_environment(self, exchange, monkeypatch):
        monkeypatch.setenv("COINCALL_API_KEY", exchange.api_key)
        monkeypatch.setenv("COINCALL_API_SECRET", exchange.api_secret)
        with Stream("futures", ws_url=exchange.ws_url) as stream:
            stream.wait_open(PATIENCE_S)


def until_failed(stream):
    while True:
        stream.wait_open(PATIENCE_S)
        time.sleep(0.005)  # open for a moment where the venue refuses after the upgrade


class TestLossAndRecovery:
    def test_a_cut_invalidates_and_a_fresh_book_follows(self, exchange):
        symbols = [*exchange.symbols("futures"), *exchange.symbols("options")[:20]]
        with stream_to(exchange) as stream:
            told = listen(stream, "gap", "state")
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            invalid: list[str] = []
            stream.on(
                "state",
                lambda state: invalid.extend(
                    symbol for symbol in symbols if not stream.store[symbol].is_valid
                ),
            )
            cut_ns = time.monotonic_ns()
            exchange.drop_connections()
            until(lambda: sum(name == "gap" for name, *_ in told) == 2, "both gaps")
            until(lambda: valid(stream, symbols), "every book again")
            assert invalid
            assert_equal_to_the_exchange(stream, exchange, symbols)
            assert exchange.connections == 2
        for name, *arguments in told:
            if name == "gap":
                start_ns, end_ns = arguments
                assert start_ns < end_ns
                assert cut_ns < end_ns
        states = [arguments[0] for name, *arguments in told if name == "state"]
        assert states[-3:] == ["connecting", "open", "closed"]

    def test_cut_after_cut_no_book_is_ever_valid_and_wrong(self, exchange):
        """Whatever is readable was sent: each valid book equals a frame of the exchange."""
        threads = threading.active_count()
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            told = listen(stream, "gap")
            for count in range(5):
                until(lambda: valid(stream, ["BTCUSD"]), "the book")
                exchange.drop_connections()
                until(lambda count=count: len(told) > count, "the gap")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            assert_equal_to_the_exchange(stream, exchange, ["BTCUSD"])
            assert threading.active_count() == threads + 1
        assert threading.active_count() == threads

    def test_the_venue_goes_away_and_comes_back(self):
        with Exchange() as first:
            port = int(first.ws_url.rpartition(":")[2])
            stream = stream_to(first, "futures")
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, "BTCUSD")
            stream.start()
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
        until(lambda: not valid(stream, ["BTCUSD"]), "its invalidity")
        until(lambda: any("cannot connect" in str(error) for _, error in told), "a failed dial")
        assert stream.state == "connecting"
        with Exchange(port=port), stream:  # started already: entering it again changes nothing
            until(lambda: valid(stream, ["BTCUSD"]), "the book again")

    def test_a_silent_symbol_is_told_and_heartbeats_keep_the_line(self, monkeypatch):
        monkeypatch.setattr(Dialect, "quiet_ns", SECOND_NS // 2)
        monkeypatch.setattr(Dialect, "patience_ns", 20 * SECOND_NS)
        with (
            Exchange(silence_s=2.0) as exchange,
            stream_to(exchange, "futures", stale_after_ms=1000) as stream,
        ):
            told = listen(stream, "stale", "error", "gap")
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            exchange.silence("ETHUSD")
            until(lambda: told, "staleness")
            exchange.stall(True)
            time.sleep(2.5)  # longer than the venue bears silence: heartbeats are due at 0.5 s
            assert sorted(told) == [("stale", "BTCUSD"), ("stale", "ETHUSD")]
            assert exchange.connections == 1


class TestLife:
    def test_close_is_quick_idempotent_and_final(self, exchange):
        stream = stream_to(exchange)
        stream.subscribe(Channel.BOOK, "BTCUSD")
        stream.start()
        until(lambda: valid(stream, ["BTCUSD"]), "the book")
        told = listen(stream, Channel.BOOK, "state")
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        count = len(told)
        assert told[-1] == ("state", "closed")
        stream.close()
        until(lambda: exchange.connections == 0, "the end of the connections")
        assert len(told) == count
        assert not valid(stream, ["BTCUSD"])

    def test_close_before_start(self, exchange):
        stream = stream_to(exchange)
        stream.close()
        assert stream.state == "closed"
        with pytest.raises(UsageError, match="closed"):
            stream.start()

    def test_close_while_an_upgrade_drips(self):
        with listening() as (server, stream, _):
            stream.start()
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 101 Sw")
                begin_s = time.monotonic()
                stream.close()
                assert time.monotonic() - begin_s < 1.0
                assert stream.state == "closed"
                with pytest.raises(UsageError, match="closed"):
                    stream.subscribe(Channel.BOOK, "X")

    def test_close_while_a_callback_does_not_return(self, exchange):
        entered, leave = threading.Event(), threading.Event()
        stream = stream_to(exchange, "futures")
        late: list[OrderBook] = []

        def dawdle(_):
            entered.set()
            leave.wait(PATIENCE_S)

        stream.on(Channel.BOOK, dawdle)
        stream.on(Channel.BOOK, late.append)
        stream.subscribe(Channel.BOOK, "BTCUSD")
        with stream:
            assert entered.wait(PATIENCE_S)
            begin_s = time.monotonic()
            stream.close()
            assert time.monotonic() - begin_s < 1.0
            assert not valid(stream, ["BTCUSD"])
            leave.set()
            until(lambda: not any(link.is_alive() for link in stream._all_links), "its end")
        assert late == []

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking with threads, from 3.12
    def test_a_forked_child_has_no_stream_and_the_parent_keeps_its_own(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            told = listen(stream, "error")
            child = os.fork()
            if child == 0:
                os._exit(0 if (stream.state, valid(stream, ["BTCUSD"])) == ("closed", False) else 1)
            assert os.waitpid(child, 0)[1] == 0
            count = stream.store["BTCUSD"].update_count
            until(lambda: stream.store["BTCUSD"].update_count > count + 2, "more frames")
            assert told == []

    def test_any_number_of_subscriptions_before_it_starts(self, exchange):
        stream = stream_to(exchange, "futures")
        for _ in range(2000):
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
        with stream:
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")

    def test_any_number_of_subscriptions_in_a_callback(self, exchange):
        """The link's own thread must not wait for itself to read what it is told."""
        done = threading.Event()

        def subscribe_often(_):
            for _ in range(0 if done.is_set() else 2000):
                stream.subscribe(Channel.BOOK, "ETHUSD")
            done.set()

        with stream_to(exchange, "futures") as stream:
            stream.on(Channel.BOOK, subscribe_often)
            stream.subscribe(Channel.BOOK, "BTCUSD")
            assert done.wait(PATIENCE_S)
            until(lambda: valid(stream, ["ETHUSD"]), "the other book")

    def test_close_from_a_callback(self, exchange):
        stream = stream_to(exchange, "futures")
        stream.on(Channel.BOOK, lambda _: stream.close())
        stream.subscribe(Channel.BOOK, "BTCUSD")
        stream.start()
        until(lambda: stream.state == "closed", "the end")

    def test_close_while_waiting_to_dial_again(self):
        stream = Stream("futures", api_key="k", api_secret="s", ws_url="ws://127.0.0.1:1")
        told = listen(stream, "error")
        stream.start()
        until(lambda: len(told) >= 3, "some failed dials")
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        assert stream.state == "closed"

    @pytest.mark.parametrize("wrong", [KeyError("mine"), SystemExit(1)], ids=repr)
    def test_not_even_the_error_callback_ends_a_stream(self, exchange, caplog, wrong):
        def broken(_):
            raise wrong

        with stream_to(exchange, "futures") as stream:
            stream.on("error", broken)
            stream.on("state", broken)
            stream.on(Channel.BOOK, broken)
            told = listen(stream, "gap")
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            exchange.drop_connections()
            until(lambda: told, "the gap")
            until(lambda: valid(stream, ["BTCUSD"]), "the book again")
        assert "a callback for error raised" in caplog.text

    def test_a_callback_that_raises_is_reported_and_kept(self, exchange, caplog):
        def broken(book):
            raise KeyError("mine")

        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            told = listen(stream, "error")
            stream.on(Channel.BOOK, broken)
            until(lambda: len(told) >= 2, "two reports")
            assert stream.state == "open"
        assert all(isinstance(error, KeyError) for _, error in told)
        assert "a callback for book raised" in caplog.text

    def test_what_a_stream_does_not_have_is_a_usage_error(self, exchange):
        with pytest.raises(UsageError, match="spot"):
            stream_to(exchange, "spot")
        with pytest.raises(UsageError, match="env"):
            Stream(api_key="k", api_secret="s", env="staging")
        stream = stream_to(exchange, "futures")
        with pytest.raises(UsageError, match="options"):
            stream.subscribe(Channel.BOOK, exchange.symbols("options")[0])
        with pytest.raises(UsageError, match="options"):
            stream.subscribe(Channel.CHAIN, "BTCUSD", end=1)
        with pytest.raises(UsageError, match="payload"):
            stream.subscribe(Channel.KLINE, "BTCUSD", period=object())
        with pytest.raises(UsageError, match="second argument"):
            stream.unsubscribe(Channel.BOOK, symbol="BTCUSD")
        with pytest.raises(UsageError, match="eror"):
            stream.on("eror", print)
        for url in ("garbage", "http://x", "ws://x:port", "ws://:1"):
            with pytest.raises(UsageError, match="address"):
                stream_to(exchange, "futures", ws_url=url)
        stream.close()
