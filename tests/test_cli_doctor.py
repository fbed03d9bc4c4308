"""`coincall-fast doctor` as a user meets it, and its checks where this machine is in order."""

import json
import socket
import ssl
import threading
from types import ModuleType

import pytest
import trustme

from coincall_fast import Client
from coincall_fast.cli.doctor import access, machine, reach
from coincall_fast.sim import Exchange
from commands import PATIENCE_S, keys_of, run

NAMES = [
    *("package", "core", "python", "numpy", "processor", "rest name", "rest tcp", "rest tls"),
    *("rest answer", "clock", "ws name", "ws tcp", "ws tls", "keys", "signed read"),
    *("permissions", "market maker", "options socket", "futures socket"),
]
OF_THE_MACHINE = NAMES[:5]


def checks(*arguments, **variables):
    """Its exit code, and its checks by name; each line is one document, and none has a secret."""
    done = run("doctor", "--json", *arguments, **variables)
    assert done.stderr == ""
    for secret in ("COINCALL_API_KEY", "COINCALL_API_SECRET"):
        assert variables.get(secret, "…") not in done.stdout
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [check["name"] for check in found] == NAMES
    for check in found:
        assert check["type"] == "check"
        assert check["verdict"] in ("ok", "warn", "fail", "skip")
        assert check["seen"]
        assert bool(check["advice"]) == (check["verdict"] in ("warn", "fail"))
    return done.returncode, {check["name"]: check for check in found}


def at(exchange):
    return "--rest-url", exchange.rest_url, "--ws-url", exchange.ws_url


def verdicts(found, *, but=OF_THE_MACHINE):
    return {name: check["verdict"] for name, check in found.items() if name not in but}


def test_all_is_in_order_at_a_simulated_exchange():
    code, found = checks("--sim")
    assert code == 0
    assert set(verdicts(found).values()) == {"ok"}


def test_text_names_each_check_and_what_to_do():
    done = run("doctor", "--rest-url", "http://127.0.0.1:1", "--ws-url", "ws://127.0.0.1:1")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert [line[6:22].strip() for line in lines if line[0] != " "] == NAMES
    after = lines[next(i for i, line in enumerate(lines) if line.startswith("fail  keys")) + 1]
    assert "COINCALL_API_KEY" in after


@pytest.mark.parametrize("keys", [{}, {"COINCALL_API_KEY": "half"}], ids=["none", "half"])
@pytest.mark.parametrize("address", [("--rest-url", "garbage"), ("--ws-url", "http://x")])
def test_an_address_that_is_none_is_2(address, keys):
    done = run("doctor", *address, **keys)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


class TestKeys:
    def test_none(self, exchange):
        code, found = checks(*at(exchange))
        assert code == 3
        told = verdicts(found)
        assert told.pop("keys") == "fail"
        assert {name for name, verdict in told.items() if verdict == "skip"} == set(NAMES[14:])
        assert told["clock"] == "ok"

    def test_half(self, exchange):
        code, found = checks(*at(exchange), COINCALL_API_KEY="only-this")
        assert code == 3
        assert "go together" in found["keys"]["seen"]

    def test_wrong_secret(self, exchange):
        code, found = checks(
            *at(exchange), COINCALL_API_KEY=exchange.api_key, COINCALL_API_SECRET="wrong-one"
        )
        assert code == 3
        told = verdicts(found)
        assert [told[name] for name in NAMES[13:]] == ["ok", "fail", "skip", "skip", "fail", "fail"]
        assert "10562" in found["signed read"]["seen"]

    @pytest.mark.parametrize("makers_only", ["404", "code"])
    def test_that_may_only_read(self, makers_only):
        with Exchange(permissions=["read"], makers_only=makers_only) as exchange:
            code, found = checks(*at(exchange), **keys_of(exchange))
        assert code == 0
        told = verdicts(found)
        assert (told["permissions"], told["market maker"]) == ("warn", "warn")
        assert "reads only" in found["permissions"]["seen"]

    def test_that_may_trade_but_not_as_a_market_maker(self):
        with Exchange(permissions=["trade"]) as exchange:
            _, found = checks(*at(exchange), **keys_of(exchange))
        told = verdicts(found)
        assert (told["permissions"], told["market maker"]) == ("ok", "warn")

    def test_nothing_is_traded(self, exchange):
        with Client(exchange.api_key, exchange.api_secret, rest_url=exchange.rest_url) as client:
            client.deadman("BTCUSD", 60_000)
            checks(*at(exchange), **keys_of(exchange))
            assert {row.symbol for row in client.countdowns()} == {"BTCUSD"}
            assert (
                list(client.futures.order_history()) == list(client.options.order_history()) == []
            )


class TestClock:
    @pytest.mark.parametrize(
        ("venue_ahead_ms", "code", "verdict", "side"),
        [
            (-850, 1, "fail", "ahead of"),
            (-450, 0, "warn", "ahead of"),
            (450, 0, "warn", "behind"),
            (4_500, 1, "fail", "behind"),
        ],
    )
    def test_of_this_machine(self, venue_ahead_ms, code, verdict, side):
        with Exchange(clock_offset_ms=venue_ahead_ms) as exchange:
            told, found = checks(*at(exchange), **keys_of(exchange))
        assert found["clock"]["verdict"] == verdict
        ms, _, said = found["clock"]["seen"].partition(" ms ")
        assert said.startswith(side)
        assert abs(float(ms) - abs(venue_ahead_ms)) < 150
        assert found["signed read"]["verdict"] == "ok"  # REST goes by the venue's time
        assert told == code

    @pytest.mark.parametrize(
        ("ahead_ms", "verdict"),
        [
            *((0, "ok"), (249, "ok"), (251, "warn"), (699, "warn"), (701, "fail")),
            *((-249, "ok"), (-251, "warn"), (-701, "warn"), (-3_999, "warn"), (-4_001, "fail")),
        ],
    )
    def test_limits(self, ahead_ms, verdict):
        """Ahead of the venue by a second a signature is refused; behind it, five (section 1.1)."""
        assert access.clock(ahead_ms).verdict == verdict


class TestHosts:
    def test_one_socket_hears_no_heartbeat(self, monkeypatch):
        """A venue that upgrades and then says nothing."""
        monkeypatch.setattr(access, "PATIENCE_S", 0.3)
        with Exchange(faults=[{"kind": "half_open"}]) as exchange:
            keys = exchange.api_key, exchange.api_secret
            asked = access.Access(exchange.rest_url, exchange.ws_url, *keys)
            with asked:
                found = {check.name: check for check in asked.streams()}
        assert {check.verdict for check in found.values()} == {"fail"}
        assert "heartbeat" in found["futures socket"].seen

    def test_a_name_that_is_not_known(self, no_names):
        named, *others = reach.look("rest", "https://nowhere.invalid")
        assert (named.verdict, [check.verdict for check in others]) == ("fail", ["skip", "skip"])

    def test_a_certificate_that_nobody_vouches_for(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def serve():
                theirs, _ = listening.accept()
                theirs.settimeout(PATIENCE_S)
                with theirs, pytest.raises(OSError, match=r"(?i)alert|eof|reset"):
                    context.wrap_socket(theirs, server_side=True)

            serving = threading.Thread(target=serve)
            serving.start()
            port = listening.getsockname()[1]
            *_, tls = reach.look("rest", f"https://127.0.0.1:{port}")
            serving.join()
        assert tls.verdict == "fail"
        assert "not to be trusted" in tls.seen


class TestMachine:
    def test_a_core_that_is_not_compiled(self):
        module = ModuleType("coincall_fast._book")
        module.__file__ = "/somewhere/_book.py"
        assert machine.core([module], "SSE2", "x86_64", "").verdict == "fail"

    @pytest.mark.parametrize(
        ("simd", "processor", "verdict"),
        [("SSE2", "x86_64", "ok"), (None, "x86_64", "warn"), (None, "aarch64", "ok")],
    )
    def test_simd(self, simd, processor, verdict):
        module = ModuleType("coincall_fast._book")
        module.__file__ = "/somewhere/_book.so"
        assert machine.core([module], simd, processor, "").verdict == verdict

    @pytest.mark.parametrize(
        ("how", "verdict"),
        [
            ({}, "ok"),
            ({"is_debug": True}, "warn"),
            ({"is_free_threaded": True}, "warn"),
            ({"flags": "-O2 -g -O0"}, "warn"),
            ({"flags": "-O0 -O3 -Wall"}, "ok"),
        ],
    )
    def test_python(self, how, verdict):
        told = {"is_debug": False, "flags": "", "is_free_threaded": False, **how}
        assert machine.python(**told).verdict == verdict
