"""`doctor`, of one host: its name, TCP, TLS and certificate, one step after the other."""

import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from .checks import Check, failed, ok, skipped, warned

__all__ = ["look"]

PATIENCE_S = 5.0
SECURE = {"https": 443, "wss": 443}
PLAIN = {"http": 80, "ws": 80}
DAY_S = 86_400.0
EXPIRES_SOON_DAYS = 7.0

NAME = "is the address right, and does this machine have a name server and a network?"
TCP = "a firewall, a proxy that is not told of, or the venue is down: try another network"
TLS = "somebody stands between you and the venue, this clock is far off, or certificates are old"
LOCAL = {"localhost", "127.0.0.1", "::1"}


def look(what: str, url: str) -> Iterator[Check]:
    """What it takes to reach the host of this address. Says nothing to it yet."""
    parts = urlsplit(url)
    host, is_secure = parts.hostname or "", parts.scheme in SECURE
    port = parts.port or {**SECURE, **PLAIN}[parts.scheme]
    steps = [f"{what} {step}" for step in ("name", "tcp", "tls")]
    begin_s = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        yield failed(steps[0], f"{host}: {error}", NAME)
        yield from (skipped(step, "no address") for step in steps[1:])
        return
    addresses = list(dict.fromkeys(place[0] for *_, place in found))
    yield ok(steps[0], f"{host}: {', '.join(map(str, addresses[:3]))}, {_ms(begin_s)}")
    begin_s = time.monotonic()
    try:
        opened = socket.create_connection((host, port), PATIENCE_S)
    except OSError as error:
        yield failed(steps[1], f"port {port}: {error}", TCP)
        yield skipped(steps[2], "no connection")
        return
    with opened:
        yield ok(steps[1], f"port {port}, {_ms(begin_s)}")
        if is_secure:
            yield _tls(steps[2], opened, host)
        elif host in LOCAL:
            yield ok(steps[2], "none, on this machine")
        else:
            yield warned(steps[2], "none", "whoever is on the way reads your key: use https, wss")


def _tls(name: str, opened: socket.socket, host: str) -> Check:
    # Not create_default_context: it writes keys to a file where the environment says so.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    begin_s = time.monotonic()
    try:
        with context.wrap_socket(opened, server_hostname=host) as secure:
            took = _ms(begin_s)
            version, expires = secure.version(), (secure.getpeercert() or {}).get("notAfter")
    except ssl.SSLCertVerificationError as error:
        return failed(name, f"its certificate is not to be trusted: {error.verify_message}", TLS)
    except OSError as error:
        return failed(name, error, TLS)
    days = (ssl.cert_time_to_seconds(str(expires)) - time.time()) / DAY_S
    seen = f"{version}, {took}, its certificate is good for {days:.0f} days"
    if days < EXPIRES_SOON_DAYS:
        return warned(name, seen, "the venue has to renew it: until then, look here each day")
    return ok(name, seen)


def _ms(begin_s: float) -> str:
    return f"{(time.monotonic() - begin_s) * 1e3:.0f} ms"
