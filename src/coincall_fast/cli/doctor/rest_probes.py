"""What REST can be asked that only reads: one function a question, each ends in a `Found`."""

from urllib.parse import quote

from ...errors import VenueError
from .sounding import PERPETUAL, Found, Sounding

MARKET = f"/open/option/getInstruments/{PERPETUAL.removesuffix('USD')}"
FUTURES_BOOK = f"/open/futures/order/orderbook/v1/{PERPETUAL}"


def unsigned_market(venue: Sounding) -> Found:
    return venue.taken(MARKET, is_signed=False)


def lower_hex(venue: Sounding) -> Found:
    return venue.taken(change=lambda headers: headers | {"sign": headers["sign"].lower()})


def no_window(venue: Sounding) -> Found:
    """Signed as 5000 and not sent."""
    return venue.taken(
        change=lambda headers: {k: v for k, v in headers.items() if k != "X-REQ-TS-DIFF"}
    )


def age(venue: Sounding) -> Found:
    young, old = venue.taken(late_ms=3_000), venue.taken(late_ms=7_000)
    answer = {("taken", "refused"): "as asked", ("taken", "taken"): "more"}
    return Found(answer.get((young.answer, old.answer), "less"), old.seen)


def ahead(venue: Sounding) -> Found:
    little, much = venue.taken(late_ms=-700), venue.taken(late_ms=-2_000)
    answer = {("taken", "refused"): "1 s", ("taken", "taken"): "more"}
    return Found(answer.get((little.answer, much.answer), "less"), much.seen)


def query(venue: Sounding) -> Found:
    """A parameter that no endpoint has, with a blank, a comma and a letter beyond ASCII."""
    raw = "note=é a,b"
    escaped = f"note={quote('é a,b')}"
    if venue.taken(shown=raw, query=escaped).answer == "taken":
        return Found("raw")
    found = venue.taken(shown=escaped, query=escaped)
    return Found("escaped" if found.answer == "taken" else "neither", found.seen)


def rate_headers(venue: Sounding) -> Found:
    answers = venue.get("/time", is_signed=False), venue.get("/open/auth/user/query-api")
    words = ("limit", "remaining", "retry")
    names = sorted(
        {name for one in answers for name in one.headers if any(w in name.lower() for w in words)}
    )
    return Found("some" if names else "none", ", ".join(names))


def futures_depth(venue: Sounding) -> Found:
    data = venue.get(FUTURES_BOOK, is_signed=False).json()["data"]
    most = max(len(data["bids"]), len(data["asks"]))
    return Found(str(most) if most in (100, 150) else "another", f"{most} levels")


def countdown(venue: Sounding) -> Found:
    try:
        standing = venue.client.countdowns()
    except VenueError as error:
        answer = "404" if "HTTP 404" in str(error) else "code"
        return Found(answer, venue.safe(error))
    return Found("permitted", f"{len(standing)} stand")


def protection(venue: Sounding) -> Found:
    try:
        found = venue.client.options.mmp.get(PERPETUAL)
    except VenueError as error:
        return Found("refused", venue.safe(error))
    return Found("null" if found is None else "an object")


def key(venue: Sounding) -> Found:
    told = venue.client.account.key()
    what = {None: "not told", True: "reads only", False: "trades"}
    return Found(what[told.is_read_only])


def texts_of_numbers(venue: Sounding) -> Found:
    """How the levels of a REST book write their sizes."""
    data = venue.get(FUTURES_BOOK, is_signed=False).json()["data"]
    sizes = [level["size"] for side in ("bids", "asks") for level in data[side]]
    if not all(isinstance(size, str) for size in sizes):
        return Found("numbers")
    odd = next((size for size in sizes if size != size.strip() or "e" in size.lower()), None)
    return Found("plain" if odd is None else "padded", "" if odd is None else repr(odd))
