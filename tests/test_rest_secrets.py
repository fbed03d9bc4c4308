"""No key, secret or signature in any log, repr, error, traceback, chain or pickle: every error path
is driven, and everything that an error drags along is searched."""

import contextlib
import copy
import http.client
import json
import logging
import math
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from coincall_fast import (
    Client,
    CoincallFastError,
    Order,
    Outcome,
    Rate,
    Timeout,
    UsageError,
    VenueError,
)
from coincall_fast.rest.endpoints import RATES
from coincall_fast.signing import Credentials, Hidden
from stub_server import AUTHORITY, KEY, SECRET, Asked, Raw, Stub, bytes_server, envelope, serving

WIDE = {name: Rate(1000, 0.1, name) for name in RATES}
QUICK = Timeout(0.25, 0.25, 0.25)


def dragged_along(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that it came of."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
            left += [argument for argument in one.args if isinstance(argument, BaseException)]


def all_of(error: BaseException) -> str:
    """Everything that a reporter of errors could send somewhere."""
    texts = []
    for one in dragged_along(error):
        texts += [
            str(one),
            repr(one),
            repr(vars(one)),
            repr(one.args),
            *getattr(one, "__notes__", ()),
        ]
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        texts += told.format(chain=True)
        frame = one.__traceback__
        while frame is not None:
            mine = frame.tb_frame.f_code.co_filename == __file__
            for value in () if mine else frame.tb_frame.f_locals.values():
                # As far as a reporter looks into what is no plain value.
                texts += [repr(value), repr(getattr(value, "__dict__", ""))]
                texts += [str(value.args)] if isinstance(value, BaseException) else []
            frame = frame.tb_next
        with contextlib.suppress(Exception):
            texts.append(repr(pickle.dumps(one)))
            texts.append(repr(pickle.loads(pickle.dumps(one))))
    return "\n".join(texts)


class Watch:
    """Collects what is said while errors are provoked, and searches it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.signatures: set[str] = set()
        self.errors = 0

    def provoke(self, stub: Stub | None, call: Callable[[], object]) -> None:
        try:
            call()
        except (CoincallFastError, KeyboardInterrupt, ZeroDivisionError) as error:
            self.errors += 1
            self.texts.append(all_of(error))
        else:
            pytest.fail("no error")
        if stub is not None:
            self.signatures |= {a.headers["sign"] for a in stub.asked if a.is_signed}

    def search(self) -> None:
        text = "\n".join(self.texts)
        assert self.errors
        for secret in (KEY, SECRET, *self.signatures):
            assert secret not in text
            assert secret.lower() not in text


@pytest.fixture
def watch(
    short_waits: None,
    no_names: None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Watch]:
    caplog.set_level(logging.DEBUG)  # of everybody, urllib3 included
    made = Watch()
    yield made
    made.texts += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    made.texts += list(capfd.readouterr())
    made.search()


def parrot(asked: Asked) -> Raw:
    """A venue that repeats all it was told, as some do with what they would not sign."""
    told = f"{asked.headers} {asked.body!r}"
    return envelope(None, 10562, told)


HTML = Raw(b"<html>no</html>", headers={"Content-Type": "text/html"})
VENUES: dict[str, Callable[[Asked], Raw]] = {
    "parrot": parrot,
    "parrot with escapes": lambda asked: Raw(
        json.dumps({"code": 10560, "msg": KEY}).replace("/", "\\/").encode()
    ),
    "parrot in code points": lambda asked: Raw(
        b'{"code":10560,"msg":"%s"}' % "".join(f"\\u{ord(c):04X}" for c in KEY).encode()
    ),
    "parrot of the key": lambda asked: envelope(None, 10560, asked.headers["x-cc-apikey"]),
    "parrot of a signature": lambda asked: envelope(None, 99, asked.headers["sign"].lower()),
    "parrot in the data": lambda asked: envelope(asked.headers["sign"]),
    "parrot in HTML": lambda asked: HTML._replace(body=f"<html>{asked.headers}".encode()),
    "parrot in a header": lambda asked: HTML._replace(
        status=429, headers={"Retry-After": asked.headers["sign"]}
    ),
    "redirect with the key": lambda asked: Raw(
        b"", 302, {"Location": f"http://127.0.0.1:1/?key={asked.headers['x-cc-apikey']}"}
    ),
    "HTML": lambda asked: HTML,
    "nothing": lambda asked: Raw(b""),
    "half": lambda asked: Raw(b'{"code":0', length=500, close=True),
    "slow": lambda asked: envelope([])._replace(pause_s=0.2),
    "403": lambda asked: HTML._replace(status=403),
    "404": lambda asked: HTML._replace(status=404),
    "500": lambda asked: HTML._replace(status=500),
    "clock": lambda asked: envelope(None, 10557, "expired"),
    "rejected": lambda asked: envelope(None, 10529, None),
    "gone": lambda asked: envelope(None, 10584, None),
    "no status line": lambda asked: Raw(b"", 200, {"Transfer-Encoding": "chunked"}, close=True),
}


def raised(outcomes: list[Outcome]) -> None:
    """What a batch tells of an item, told as a single verb would."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


CALLS: dict[str, Callable[[Client], object]] = {
    "get": lambda c: c.account.user(),
    "get with a query": lambda c: c.options.order(order_id=5),
    "post": lambda c: c.futures.set_leverage("BTCUSD", 5),
    "cancel": lambda c: c.options.cancel_order(order_id=5),
    "batch": lambda c: raised(c.options.cancel_orders([5])),
    "all": lambda c: c.cancel_everything(0.01),
    "pages": lambda c: list(c.options.order_history()),
}


def spelt(text: str, escaped: str, *, upper: bool) -> bytes:
    """A text of JSON in which these characters are escapes."""
    code = "\\u{:04X}" if upper else "\\u{:04x}"
    return "".join(code.format(ord(c)) if c in escaped else c for c in text).encode()


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("escaped", ["=", "/+=", "0123456789", KEY + SECRET])
def test_bodies_are_searched_in_any_spelling(escaped: str, upper: bool) -> None:
    """Whatever reads the body afterwards, there is nothing to find."""
    credentials = Credentials(KEY, SECRET)
    headers = credentials.rest_headers("GET", "/", "", 1, 5000)
    for secret in (KEY, SECRET, headers["sign"], headers["sign"].lower()):
        told = spelt(secret, escaped, upper=upper)
        body = b'{"a":"' + told + b'","b":"\\"\\\\u003d\\n\\u0022\\u00e9"}'
        found = json.loads(credentials.hidden(body, headers))
        assert found == {"a": "*", "b": '"\\u003d\n"\u00e9'}
        untouched = body.replace(told, b"other")
        assert credentials.hidden(untouched, headers) is untouched
    assert (
        json.loads(credentials.hidden(b'"' + KEY.replace("/", "\\/").encode() + b'"', headers))
        == "*"
    )


def test_what_items_of_a_batch_say() -> None:
    """It is as hostile as what an envelope says, and as long."""
    said = {"scode": 1, "smsg": f"\x1b[2J{KEY}\r\n{'x' * 5000}"}
    rows = [{"ordId": 5, **said}]
    with serving(lambda asked: envelope(rows)) as stub, Client(KEY, SECRET, rest_url=stub.url) as c:
        (outcome,) = c.options.cancel_orders([5])
    assert isinstance(outcome.error, VenueError)
    message = outcome.error.message
    assert message.startswith(" [2J")
    assert KEY not in message
    assert message.isprintable()
    assert len(message) <= 300


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("venue", VENUES)
def test_errors_of_answers(watch: Watch, venue: str) -> None:
    how: dict[str, Any] = {"timeout": QUICK, "rates": WIDE}
    with serving(VENUES[venue]) as stub, Client(KEY, SECRET, rest_url=stub.url, **how) as client:
        for name, call in CALLS.items():
            if venue != "parrot in the data" or name not in (
                "post",
                "cancel",
                "batch",
            ):  # nobody reads it
                watch.provoke(stub, lambda call=call: call(client))  # type: ignore[misc]


@pytest.mark.usefixtures("way")
def test_errors_of_the_network(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(url: str) -> None:
        with Client(KEY, SECRET, rest_url=url, timeout=QUICK, rates=WIDE) as client:
            client._rest._ask_s = math.inf  # so that the first thing sent is signed
            watch.provoke(None, client.account.user)
            watch.provoke(None, lambda: client.futures.set_leverage("BTCUSD", 5))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = f"127.0.0.1:{listening.getsockname()[1]}"
    call(f"http://{nobody}")
    call(f"https://{nobody}")
    call("http://coincall.invalid")
    for said in (b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000):

        def say(opened: socket.socket, said: bytes = said) -> None:
            opened.recv(9999)
            opened.sendall(said)

        with bytes_server(say) as url:
            call(url)
    with serving(lambda asked: envelope(), tls=AUTHORITY.issue_cert("127.0.0.1")) as stub:
        call(stub.url)
    monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@{nobody}")
    call("http://coincall.invalid")


def test_errors_of_use(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent: wrong arguments, wrong clients, a guard that says no."""
    for name in ("COINCALL_API_KEY", "COINCALL_API_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def refuse(order: Order) -> NoReturn:
        raise ZeroDivisionError

    listed = {"optionConfig": {}, "futuresConfig": {"X": {"tickSize": 0.1, "qtyDecimal": 3}}}
    new: dict[str, Any] = {
        "symbol": "X",
        "side": "buy",
        "qty": 1,
        "order_type": "limit",
        "price": 1,
    }
    with serving(lambda asked: envelope(listed)) as stub:
        with Client(KEY, SECRET, rest_url=stub.url, order_guard=refuse) as client:
            for call in (
                lambda: client.futures.place_order(**new),
                lambda: client.futures.place_order(**(new | {"qty": "x"})),
                lambda: client.futures.place_order(**(new | {"price": 0.15})),
                lambda: client.futures.set_leverage("\ud800", 1),
                lambda: client.futures.set_leverage("X", 10**400),
                lambda: client.futures.cancel_all("../x"),
                lambda: client.account.referrals(1.5),  # type: ignore[arg-type]
            ):
                watch.provoke(stub, call)
        watch.provoke(stub, client.account.user)  # which is closed
    # The arguments of this frame are constants of the module, and of the client's own gone.
    for how in (
        {"env": "nope"},
        {"rest_url": "nope"},
        {"rates": {"nope": Rate(1, 1.0, "nope")}},
        {"timeout": -1.0},
        {"window_ms": "x"},
    ):
        watch.provoke(None, lambda how=how: Client(KEY, SECRET, **how))  # type: ignore[misc]
    watch.provoke(None, lambda: Client(api_key=KEY))
    watch.provoke(None, lambda: Client(api_secret=SECRET))
    watch.provoke(None, lambda: Client(KEY + "\n", SECRET))
    watch.provoke(None, lambda: Client(KEY, SECRET + "\n"))
    watch.provoke(None, lambda: Client(KEY, SECRET + "é"))


@pytest.mark.usefixtures("way")
def test_an_interrupt(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes where it wants: the frames below ours have the headers as locals."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    class Interrupting:
        match = interrupt

    with (
        serving(lambda asked: envelope()) as stub,
        Client(KEY, SECRET, rest_url=stub.url) as client,
    ):
        client.server_time()
        client._rest._ask_s = math.inf
        monkeypatch.setattr(http.client.HTTPConnection, "getresponse", interrupt)
        monkeypatch.setattr("coincall_fast.rest.connection._PLAIN", Interrupting())
        watch.provoke(stub, client.account.user)


def test_debugging_of_http_client_is_refused(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints all headers."""
    with (
        serving(lambda asked: envelope()) as stub,
        Client(KEY, SECRET, rest_url=stub.url) as client,
    ):
        monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
        watch.provoke(stub, client.account.user)
        assert stub.asked == []
        monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 0)


def test_objects_keep_their_secrets() -> None:
    info = envelope({"userId": 5, "apiKey": KEY})
    with serving(lambda asked: info) as stub, Client(KEY, SECRET, rest_url=stub.url) as client:
        key = client.account.key()
        for thing in (
            *(client, client.account, client.options, client.options.mmp, client.futures),
            *(
                client._rest,
                client._rest._ordinary,
                client._rest._urgent,
                client._rest.credentials,
                key,
                key.extra,
            ),
        ):
            text = f"{thing!r} {thing!s} {getattr(thing, '__dict__', '')}"
            assert KEY not in text
            assert SECRET not in text
        for thing in (client, client._rest.credentials, Hidden(sign="x")):
            for taken in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError):
                    taken(thing)
        with pytest.raises(TypeError):
            pickle.dumps(client.options)


def test_the_search_itself() -> None:
    """It finds what is in a local, in a chain, in an attribute and in a note."""

    def told(provoked: Callable[[], object]) -> str:
        try:
            provoked()
        except CoincallFastError as error:
            return all_of(error)
        return ""

    def local() -> NoReturn:
        held = KEY + ""
        raise UsageError(f"{len(held)}")

    def chain() -> NoReturn:
        try:
            raise ValueError(KEY)
        except ValueError:
            raise UsageError("x") from None

    def attribute() -> NoReturn:
        error = UsageError("x")
        error.request = KEY  # type: ignore[attr-defined]
        raise error

    for provoked in (local, chain, attribute):
        assert KEY in told(provoked), provoked
    assert KEY not in told(lambda: Credentials("a b", "c"))
