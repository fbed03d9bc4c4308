"""What a socket can be asked that only reads: one function a question, each ends in a `Found`."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from ...signing import Credentials
from . import sounding
from .sounding import PERPETUAL, Found, Sounding, is_book, is_yes, parsed

NO_SYMBOL = "NOSUCHUSD"
QUIET = 0.7  # of the frames of the liveliest book: one that has fewer is left out at times

# ---------------------------------------------------------------- the signed address


def spelling(venue: Sounding) -> Found:
    how = {by: venue.lets_in(venue.signed(by=by)).answer == "in" for by in ("apiKey", "uuid")}
    working = [by for by, is_in in how.items() if is_in]
    return Found("both" if len(working) == 2 else (working or ["neither"])[0])


def refusal(venue: Sounding) -> Found:
    stranger = Credentials(venue.signer.key, "0" * 64)
    return venue.lets_in(lambda url: stranger.ws_url(url, venue.now_ms(), venue.spellings[0]))


def _taken(found: Found) -> Found:
    return Found("taken" if found.answer == "in" else "refused", found.seen)


def lower_hex(venue: Sounding) -> Found:
    sign = venue.signed()
    return _taken(
        venue.lets_in(
            lambda url: re.sub("(?<=sign=)[0-9A-F]{64}", lambda hit: hit[0].lower(), sign(url))
        )
    )


def without_code(venue: Sounding) -> Found:
    sign = venue.signed()
    return _taken(venue.lets_in(lambda url: sign(url).replace("code=10&", "")))


def encoded_key(venue: Sounding) -> Found:
    key, sign = venue.signer.key, venue.signed()
    if quote(key, safe="") == key:
        return Found("no such key", "this one has nothing to encode")
    return _taken(venue.lets_in(lambda url: sign(url).replace(key, quote(key, safe=""))))


def address_age(venue: Sounding) -> Found:
    young = venue.lets_in(venue.signed(late_ms=3_000)).answer == "in"
    old = venue.lets_in(venue.signed(late_ms=7_000)).answer == "in"
    answer = {(True, False): "5 s", (True, True): "more", (False, False): "less"}
    return Found(answer.get((young, old), "strange"), f"3 s old: {young}, 7 s old: {old}")


def address_ahead(venue: Sounding) -> Found:
    little = venue.lets_in(venue.signed(late_ms=-700)).answer == "in"
    much = venue.lets_in(venue.signed(late_ms=-2_000)).answer == "in"
    answer = {(True, False): "1 s", (True, True): "more", (False, False): "less"}
    return Found(answer.get((little, much), "strange"), f"0.7 s: {little}, 2 s: {much}")


# ---------------------------------------------------------------- requests and answers


def acks(venue: Sounding) -> Found:
    frames = venue.opening
    rows = [parsed(came.frame) for came in frames]
    answers = [i for i, row in enumerate(rows) if is_yes(row)]
    books = [i for i, row in enumerate(rows) if is_book(row)]
    if not answers:
        return Found("none" if books else "silence")
    order = "first" if not books or answers[0] < books[0] else "later"
    return Found(order, venue.safe(frames[answers[0]].frame))


def failure(venue: Sounding) -> Found:
    for came in venue.told("futures", "subscribe", "orderBook", (NO_SYMBOL,)):
        row = parsed(came.frame)
        shape = next((name for name in ("result", "rc", "c") if name in row), "other")
        return Found(shape, venue.safe(came.frame))
    return Found("silence")


def lists(venue: Sounding) -> Found:
    wanted = tuple(venue.options[:2])

    def symbols(rows: list[dict[str, Any]]) -> set[str]:
        return {row["d"]["s"] for row in rows if is_book(row)}

    frames = venue.told(
        "options",
        *("subscribe", "orderBook", wanted),
        enough=lambda rows: len(symbols(rows)) == len(wanted),
    )
    came = symbols([parsed(one.frame) for one in frames])
    answer = "taken" if came == {*wanted} else "refused" if not came else "in part"
    return Found(answer, f"{len(came)} of 2 books")


def wrong_in_a_list(venue: Sounding) -> Found:
    wanted = (PERPETUAL, NO_SYMBOL)
    came = venue.told("futures", "subscribe", "orderBook", wanted, then_s=sounding.MOMENT_S)
    rows = [parsed(one.frame) for one in came]
    is_there, was_taken = any(map(is_book, rows)), any(map(is_yes, rows))
    return Found("in part" if is_there else "as a whole", f"acknowledged: {was_taken}")


def lower_unsubscribe(venue: Sounding) -> Found:
    usual = venue.asking("unsubscribe", "orderBook", (PERPETUAL,))
    lower = usual.replace("unSubscribe", "unsubscribe")
    with venue.open("futures") as line:
        line.send(venue.asking("subscribe", "orderBook", (PERPETUAL,)))
        if not any(is_book(parsed(came.frame)) for came in line.all(sounding.ANSWER_S)):
            return Found("not seen", "no book came at all")
        line.send(lower)
        line.send(venue.dialect.heartbeat(0))  # which is answered after it
        answer = None
        for came in line.all(sounding.ANSWER_S):
            row = parsed(came.frame)
            if row.get("c") == 11:
                break
            answer = answer if "d" in row else came
        rest = list(line.all(sounding.MOMENT_S))
    goes_on = any(is_book(parsed(came.frame)) for came in rest)
    seen = "" if answer is None else venue.safe(answer.frame)
    return Found("ignored" if goes_on else "honoured", seen)


def no_request(venue: Sounding) -> Found:
    for came in venue.said("futures", "hello"):
        return Found("c" if "c" in parsed(came.frame) else "other", venue.safe(came.frame))
    return Found("silence")


def native(venue: Sounding) -> Found:
    for came in venue.said("futures", '{"c":11}'):
        row = parsed(came.frame)
        is_beat = row.get("c") == 11 and row.get("rc") == 1
        return Found("taken" if is_beat else "refused", venue.safe(came.frame))
    return Found("refused", "no answer")


def backlog(venue: Sounding) -> Found:
    first = venue.messages["futures lastTrade"]
    if first is None:
        return Found("none", "nothing came at once")
    rows = first["d"] if isinstance(first["d"], list) else [first["d"]]
    return Found("old trades", f"{len(rows)} in the first frame")


# ---------------------------------------------------------------- silence


def silence(venue: Sounding) -> Found:
    idle_s = venue.silence.idle_s
    if idle_s is None:
        return Found("longer", f"still open after {sounding.PATIENCE_S:g} s")
    answer = "shorter" if idle_s < 10 else "10 to 25 s" if idle_s < 25 else "30 s"
    return Found(answer, f"{idle_s:.1f} s")


def pings(venue: Sounding) -> Found:
    if venue.silence.idle_s is None:
        return Found("not seen", "silence did not end the connection")
    ended_s = venue.silence.pinged_s
    return Found("keep it") if ended_s is None else Found("do not", f"ended after {ended_s:.1f} s")


def silent_end(venue: Sounding) -> Found:
    if venue.silence.idle_s is None:
        return Found("not seen", "silence did not end the connection")
    code = re.search(r"with (\d{4}) ", venue.silence.told)
    if code is None:
        return Found("cut", venue.silence.told)
    return Found("1001" if code[1] == "1001" else "another code", venue.silence.told)


# ---------------------------------------------------------------- books


def _levels(row: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    yield "asks", row["d"]["asks"]
    yield "bids", row["d"]["bids"]


def _rows(venue: Sounding) -> list[dict[str, Any]]:
    return [parsed(came.frame) for frames in venue.books.values() for came in frames]


def order_of_levels(venue: Sounding) -> Found:
    rows = _rows(venue)
    wrong = 0
    for row in rows:
        for side, levels in _levels(row):
            prices = [float(level["pr"]) for level in levels]
            wrong += prices != sorted(prices, reverse=side == "bids")
    if not rows:
        return Found("not seen", "no book came")
    return Found("best first" if not wrong else "not sorted", f"{wrong} of {2 * len(rows)} sides")


def spelling_of_sizes(venue: Sounding) -> Found:
    kinds = {
        f"{name} {'text' if isinstance(level[name], str) else 'number'}"
        for row in _rows(venue)
        for _, levels in _levels(row)
        for level in levels
        for name in level.keys() & {"sz", "v"}
    }
    return Found(kinds.pop() if len(kinds) == 1 else "not seen" if not kinds else "mixed")


def number_formats(venue: Sounding) -> Found:
    found = (
        level.get("sz") for row in _rows(venue) for _, levels in _levels(row) for level in levels
    )
    texts = [text for text in found if isinstance(text, str)]
    padded = sum(text.endswith(" ") for text in texts)
    zeros = sum("." in text and text.strip().endswith("0") for text in texts)
    powers = sum("e" in text.lower() for text in texts)
    seen = f"{padded} ending in blanks, {zeros} in zeros, {powers} with exponents of {len(texts)}"
    return Found("padded" if padded or zeros else "plain", seen)


def layout(venue: Sounding) -> Found:
    usual = re.compile(rb'\{"dt":\d+,"c":20,"d":\{"s":"[^"]+","asks":\[')
    frames = [came.frame for some in venue.books.values() for came in some]
    if not frames:
        return Found("not seen", "no book came")
    odd = next((frame for frame in frames if not usual.match(frame)), None)
    return Found("usual") if odd is None else Found("another", venue.safe(odd[:60]))


def depth(venue: Sounding) -> Found:
    most = max((len(side) for row in _rows(venue) for _, side in _levels(row)), default=0)
    return Found("100" if most == 100 else "more" if most > 100 else "fewer", f"at most {most}")


def repeats(venue: Sounding) -> Found:
    """Whether any two frames in a row have the same levels; or, of books that are pushed in the
    same rounds, some are left out."""
    pairs = repeated = 0
    for frames in venue.books.values():
        for one, other in pairwise(parsed(came.frame)["d"] for came in frames):
            pairs += 1
            repeated += (one["asks"], one["bids"]) == (other["asks"], other["bids"])
    counts = sorted(len(venue.books.get(symbol, ())) for symbol in venue.options)
    counts = [count for count in counts if count]
    seen = f"{repeated} of {pairs} frames like the one before"
    if repeated or not counts:
        return Found("repeated" if repeated else "not seen", seen)
    seen += f"; books came {counts[0]} to {counts[-1]} times"
    return Found("on change" if counts[0] < QUIET * counts[-1] else "not seen", seen)


def age_of_books(venue: Sounding) -> Found:
    ages = sorted(
        came.wall_ms - venue.ahead_ms - parsed(came.frame)["d"]["ts"]
        for frames in venue.books.values()
        for came in frames
    )
    if not ages:
        return Found("not seen", "no book came")
    typical = ages[len(ages) // 2]
    answer = "ahead" if typical < -50 else "under 500 ms" if typical < 500 else "older"
    return Found(answer, f"{typical:.0f} ms, from {ages[0]:.0f} to {ages[-1]:.0f}")


# ---------------------------------------------------------------- other pushes


def _data(venue: Sounding, name: str) -> dict[str, Any] | None:
    """The first row of the first frame."""
    first = venue.messages[name]
    data = None if first is None else first["d"]
    return (data or [None])[0] if isinstance(data, list) else data


def ticker_numbers(venue: Sounding) -> Found:
    row = _data(venue, "options bsInfo")
    if row is None:
        return Found("not seen", "no ticker came")
    return Found("texts" if isinstance(row.get("mp"), str) else "numbers")


def chain_sizes(venue: Sounding) -> Found:
    row = _data(venue, "options tOption")
    if row is None:
        return Found("not seen", "no chain came")
    return Found("bs" if "bs" in row else "bv" if "bv" in row else "neither")


def account_owner(venue: Sounding) -> Found:
    row = _data(venue, "options accountBalance")
    if row is None:
        return Found("not seen", "no balance came")
    return Found("uid" if "uid" in row else "u" if "u" in row else "neither")


def position_dt(venue: Sounding) -> Found:
    first = venue.messages.get("options position")
    if first is None:
        return Found("not seen", "this account has no option")
    return Found(str(first.get("dt")), f"keys: {' '.join(sorted(first['d']))}")


def futures_position_dt(venue: Sounding) -> Found:
    first = venue.messages.get("futures position")
    if first is None:
        return Found("not seen", "this account has no perpetual")
    return Found(str(first.get("dt")), f"keys: {' '.join(sorted(first['d']))}")
