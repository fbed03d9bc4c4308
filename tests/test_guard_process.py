"""The guard process: whatever becomes of the trader, of its guard or of the venue, no order stays.

Real processes on loopback; what is open is read inside the exchange, and not by any client.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from traceback import TracebackException
from typing import Any

import pytest

from coincall_fast import AuthError, Client, GuardLost, Late, OrderRejected, OrdersRemain
from coincall_fast.rest.guard_process import _Pipe, _pipes
from coincall_fast.sim import Exchange
from coincall_fast.sim.keys import Key
from commands import PYTHON, environment
from streams import until

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no such signals")
KILLS = 200 if os.environ.get("COINCALL_FAST_LONG") else 0
AT_ONCE = 4
PROMISED_S = 5.0
LATE_MS = 700
TRADER = str(Path(__file__).with_name("trader.py"))

NEW: dict[str, Any] = {"side": "buy", "qty": 1, "order_type": "limit", "price": 1}


def new_venue() -> Exchange:
    return Exchange(seed=11, flow=0, throttle="off")


@pytest.fixture
def venue() -> Iterator[Exchange]:
    with new_venue() as running:
        yield running
        all_have_ended()


def all_have_ended() -> None:
    """All guards of this process, which would look for a venue that is gone for ever."""
    until(lambda: all(pipe.has_ended for pipe in tuple(_pipes)), "the end of the guards")


def client_of(venue: Exchange, key: Key) -> Client:
    return Client(key.api_key, key.api_secret, rest_url=venue.rest_url, order_window_ms=300)


def allowed(client: Client) -> bool:
    """Whether an order is taken, rather than kept here."""
    try:
        client.futures.place_order(symbol="BTCUSD", **NEW)
    except OrderRejected as error:
        return error.code != 10619
    return True


def refused_to_start() -> float:
    raise GuardLost("there shall be none")


def opened(venue: Exchange, key: Key) -> int:
    """How many orders of a user are open in truth."""
    return venue._call(lambda server: len(server.venue.engine.open_orders(key.user_id)))


@contextlib.contextmanager
def trading(venue: Exchange, key: Key, *how: str) -> Iterator["Trader"]:
    keys = {"COINCALL_API_KEY": key.api_key, "COINCALL_API_SECRET": key.api_secret}
    started = Trader(venue.rest_url, *how, **keys)
    try:
        yield started
    finally:
        started.kill()


class Trader:
    """A trader's process. Its guard has the same stderr, which ends with the later of them."""

    def __init__(self, *arguments: str, **keys: str) -> None:
        self.process = subprocess.Popen(
            [*PYTHON, TRADER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**keys),
            start_new_session=True,
        )
        self.said: list[dict[str, Any]] = []
        self.log = ""
        self._readers = [threading.Thread(target=self._hear), threading.Thread(target=self._read)]
        for reader in self._readers:
            reader.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log = self.process.stderr.read()

    def says(self, what: str, **more: Any) -> dict[str, Any]:
        wanted = {"what": what, **more}

        def found() -> dict[str, Any] | None:
            return next((one for one in self.said if wanted.items() <= one.items()), None)

        said: dict[str, Any] = until(found, f"{wanted} of {self.said}")
        return said

    @property
    def guard_has_ended(self) -> bool:
        return not self._readers[1].is_alive()

    def kill(self) -> None:
        """And waits for its guard, which ends by itself."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(60)
            assert not reader.is_alive()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def open_until_s(venue: Exchange, key: Key, trader: Trader, since_s: float) -> float:
    """How long after `since_s` an order was open for the last time; until the guard has ended."""
    last_s = since_s
    while not trader.guard_has_ended:
        if opened(venue, key):
            last_s = time.monotonic()
        assert time.monotonic() < since_s + 60
        time.sleep(0.01)
    assert opened(venue, key) == 0
    return last_s - since_s


# ---------------------------------------------------------------- what may happen

# Each has a venue of its own. They run side by side, since most of it is waiting.


def killed(venue: Exchange) -> None:
    """All orders take effect late, so that the last one does after its trader's death."""
    kills(venue, 2)


def kills(venue: Exchange, number: int) -> list[float]:
    """How long orders were open after each of so many kills."""
    venue.fault("wait", path="order/create", when="between", amount=LATE_MS)

    def one(seed: int) -> float:
        key = venue.add_user(permissions=("trade",))
        with trading(venue, key) as trader:
            trader.says("ready")
            time.sleep(Random(seed).random())
            until(lambda: opened(venue, key), "an order")
            trader.process.kill()
            lasted_s = open_until_s(venue, key, trader, time.monotonic())
        assert "no order is open any more" in trader.log
        return lasted_s

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sorted(pool.map(one, range(number)))


def stopped(venue: Exchange) -> None:
    """Three beats are missed. When it goes on it knows, and none of its orders gets through."""
    key = venue.add_user(permissions=("trade",))
    with trading(venue, key, "process", "900") as trader:
        trader.says("ready")
        assert opened(venue, key)
        trader.process.send_signal(signal.SIGSTOP)
        since_s = time.monotonic()
        until(lambda: not opened(venue, key), "the end of all orders")
        assert time.monotonic() - since_s > 0.5  # before two beats were missed nobody can know
        trader.process.send_signal(signal.SIGCONT)
        trader.says("late", lapsed=True)
        trader.says("refused", code=10619, lapsed=True)
        until(lambda: not opened(venue, key), "the end of all orders")


def ended_by_a_terminal(venue: Exchange) -> None:
    """A terminal and a service manager send these to both."""
    key = venue.add_user(permissions=("trade",))
    with trading(venue, key) as trader:
        guard: int = trader.says("ready")["guard"]
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(guard, number)
            os.kill(guard, number)
        assert os.getsid(guard) != os.getsid(trader.process.pid)
        trader.process.kill()
        until(lambda: not opened(venue, key), "the end of all orders")
    assert "the trader has ended" in trader.log


def guard_killed(venue: Exchange) -> None:
    """It is missed and replaced, in time: no beat was missed by it."""
    key = venue.add_user(permissions=("trade",))
    told: list[Late] = []
    with client_of(venue, key) as client, client.deadman("BTCUSD", 5000, on_late=told.append) as s:
        first = s.pid
        assert first is not None
        client.futures.place_order(symbol="BTCUSD", **NEW)
        os.kill(first, signal.SIGKILL)
        late = until(lambda: told[:1], "a late beat")[0]
        assert isinstance(late.error, GuardLost)
        assert (late.of, late.has_lapsed) == ("the guard process", False)
        second = until(lambda: s.pid not in (None, first) and s.pid, "another guard")
        until(lambda: allowed(client), "an order")
        os.kill(second, 0)
        assert not s.has_lapsed
        assert opened(venue, key) == 2


def guard_stopped(venue: Exchange) -> None:
    """It is replaced too late: nobody knows what would have been, so everything goes."""
    key = venue.add_user(permissions=("trade",))
    told: list[Late] = []
    with client_of(venue, key) as client, client.deadman("BTCUSD", 900, on_late=told.append) as s:
        first = s.pid
        assert first is not None
        client.futures.place_order(symbol="BTCUSD", **NEW)
        os.kill(first, signal.SIGSTOP)
        until(lambda: s.has_lapsed, "the lapse")
        until(lambda: not opened(venue, key), "the end of all orders")
        assert s.pid != first
        assert any(late.has_lapsed for late in told)


def no_guard(venue: Exchange) -> None:
    """The guard is killed and no other can be started: no order is sent. Once there is one again,
    it cancels what nobody knows of, and only then there may be new orders."""
    key = venue.add_user(permissions=("trade",))
    with client_of(venue, key) as client, client.deadman("BTCUSD", 600) as switch:
        client.futures.place_order(symbol="BTCUSD", **NEW)
        keeper: Any = switch._keeper
        keeper._start = refused_to_start
        assert switch.pid is not None
        os.kill(switch.pid, signal.SIGKILL)
        until(lambda: not allowed(client), "a refusal")
        assert opened(venue, key) == len(client.futures.open_orders())  # what is no order is sent
        del keeper._start
        until(lambda: switch.has_lapsed, "a guard that knows")
        until(lambda: not opened(venue, key), "the end of all orders")
        switch.set()
        assert allowed(client)


def unreachable(venue: Exchange) -> None:
    """The guard goes on for as long as it takes, and cancels both products."""
    key = venue.add_user(permissions=("trade",))
    with trading(venue, key) as trader:
        trader.says("ready")
        venue.fault("hang_up", path="/order/")
        trader.process.kill()
        time.sleep(0.5)
        assert opened(venue, key) >= 2
        assert not trader.guard_has_ended
        venue.mend()
        until(lambda: not opened(venue, key), "the end of all orders")
    assert "not all is cancelled yet" in trader.log or "no order is open" in trader.log


def lists_that_lag(venue: Exchange) -> None:
    """What was placed last is in no list yet: indexes in which orders were placed are cancelled
    all the same, and lists looked at for longer."""
    venue._call(lambda server: setattr(server.venue, "reads_lag_ms", 800))
    key = venue.add_user(permissions=("trade",))
    with trading(venue, key) as trader:
        trader.says("ready")
        trader.process.kill()
        open_until_s(venue, key, trader, time.monotonic())


HAPPENINGS = [killed, stopped, ended_by_a_terminal, guard_killed, guard_stopped, no_guard]
HAPPENINGS += [unreachable, lists_that_lag]


@POSIX
@pytest.mark.timeout(240)
def test_whatever_happens_no_order_stays() -> None:
    with contextlib.ExitStack() as stack:
        venues = [stack.enter_context(new_venue()) for _ in HAPPENINGS]
        with ThreadPoolExecutor(len(HAPPENINGS)) as pool:
            both = zip(HAPPENINGS, venues, strict=True)
            running = [pool.submit(happens, venue) for happens, venue in both]
        all_have_ended()
        failures = [error for one in running if (error := one.exception()) is not None]
    if failures:
        raise BaseExceptionGroup("not as it should be", failures)


@POSIX
@pytest.mark.skipif(KILLS == 0, reason="a quarter of an hour: COINCALL_FAST_LONG=1")
@pytest.mark.timeout(3600)
def test_kill_9_many_times(venue: Exchange) -> None:
    lasted_s = kills(venue, KILLS)
    print(
        f"{KILLS} kills: orders were open for {statistics.median(lasted_s):.3f} s in the median, "
        f"{lasted_s[-1]:.3f} s at the most"
    )
    assert lasted_s[-1] < PROMISED_S


# ---------------------------------------------------------------- as it should be


@pytest.mark.parametrize("stays", [False, True])
def test_the_end_of_a_with(venue: Exchange, stays: bool) -> None:
    key = venue.add_user(permissions=("trade",))
    with client_of(venue, key) as client:
        with client.deadman(["BTCUSD"], 5000, cancel_on_exit=not stays) as switch:
            assert switch.keeper == "process"
            option = client.options.instruments("BTC")[0].symbol
            client.futures.place_order(symbol="BTCUSD", **NEW)
            client.options.place_order(symbol=option, **NEW)
            pid = switch.pid
            assert pid is not None
        assert opened(venue, key) == (2 if stays else 0)
        if os.name == "posix":  # it is gone, and no zombie of ours
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        client.futures.place_order(symbol="BTCUSD", **NEW)  # nobody is asked any more
        switch.close()  # once more is nothing
        assert opened(venue, key) == (3 if stays else 1)


def test_orders_that_cannot_be_cancelled_are_left_to_the_guard(venue: Exchange) -> None:
    key = venue.add_user(permissions=("trade",))
    with client_of(venue, key) as client:
        switch = client.deadman("BTCUSD", 5000)
        client.futures.place_order(symbol="BTCUSD", **NEW)
        venue.fault("code", amount=10000, path="/order/cancelOpenOrders")
        with pytest.raises(OrdersRemain):
            switch.close(timeout=0.5)
        venue.mend()
        until(lambda: not opened(venue, key), "the end of all orders")
        with pytest.raises(OrderRejected):
            client.futures.place_order(symbol="BTCUSD", **NEW)


def test_a_client_that_is_closed_first_is_as_good_as_dead(venue: Exchange) -> None:
    key = venue.add_user(permissions=("trade",))
    client = client_of(venue, key)
    switch = client.deadman("BTCUSD", 5000, cancel_on_exit=False)
    client.futures.place_order(symbol="BTCUSD", **NEW)
    client.close()
    until(lambda: not opened(venue, key), "the end of all orders")
    switch.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_no_say(venue: Exchange, tmp_path: Path) -> None:
    """It leaves the `with` and changes nothing; and a pipe that it still had would keep the guard
    from seeing its trader's end."""
    key = venue.add_user(permissions=("trade",))
    log = tmp_path / "guard.log"
    client = client_of(venue, key)
    switch = client.deadman("BTCUSD", 60_000, log_path=str(log))
    client.futures.place_order(symbol="BTCUSD", **NEW)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            switch.close()
            client.close()
            os.write(tell, b"closed")
            time.sleep(60)
        finally:
            os._exit(0)
    try:
        assert os.read(told, 100) == b"closed"
        assert opened(venue, key) == 1
        client.close()
        until(lambda: not opened(venue, key), "the end of all orders")
        assert "the trader has ended" in log.read_text(encoding="utf-8")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


def test_a_key_that_the_venue_does_not_know(venue: Exchange) -> None:
    """The guard says why, and the caller hears it."""
    key = venue.add_user(permissions=("trade",))
    with Client(key.api_key, "wrong" * 9, rest_url=venue.rest_url) as client:
        with pytest.raises(AuthError, match=r"guard process: .*Invalid signature"):
            client.deadman("BTCUSD", 5000, keeper="process")
        assert client._rest.conditions == []


class Broken:
    """A pipe that nobody reads any more."""

    def __init__(self, real: Any) -> None:
        self.close, self.fileno = real.close, real.fileno

    def write(self, line: bytes) -> int:
        raise BrokenPipeError


def test_a_guard_that_cannot_be_told_shows_no_key(
    venue: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Pipe, "_words", property(lambda pipe: Broken(pipe.process.stdin)))
    key = venue.add_user(permissions=("trade",))
    with client_of(venue, key) as client:
        del venue  # it has users, and their keys
        with pytest.raises(GuardLost) as caught:
            client._kept("process", ("BTCUSD",), 5000, None)
    error = TracebackException.from_exception(caught.value, capture_locals=True)
    told = "".join(error.format()).partition("_kept")[2]
    assert "_start" in told
    assert key.api_key not in told
    assert key.api_secret not in told


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="has no /proc")
def test_the_keys_stand_in_no_list_of_processes(venue: Exchange, tmp_path: Path) -> None:
    key = venue.add_user(permissions=("trade",))
    log = tmp_path / "guard.log"
    with client_of(venue, key) as client:
        with client.deadman("BTCUSD", 600, log_path=str(log)) as switch:
            shown = [
                Path(f"/proc/{switch.pid}/{name}").read_bytes() for name in ("cmdline", "environ")
            ]
            for secret in (key.api_key, key.api_secret):
                assert all(secret.encode() not in text for text in shown)
                assert secret not in repr(switch) + repr(switch._keeper)
        text = log.read_text(encoding="utf-8")
    assert "the guard process ends" in text
    assert key.api_key not in text
    assert key.api_secret not in text
