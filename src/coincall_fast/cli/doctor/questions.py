"""The open questions about the venue that reading can answer, and those that it cannot.

A table: which row of docs/unverified.md it is (`about` quotes it), what is asked, which probe asks,
and what each answer means for this client. A new question is one row here and one function.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from . import rest_probes as rest
from . import socket_probes as socket
from .sounding import Found, Sounding

__all__ = ["QUESTIONS", "UNASKED", "Question", "Unasked"]


class Question(NamedTuple):
    """One question. An answer that is not among `answers` is news."""

    name: str
    about: str
    probe: Callable[[Sounding], Found]
    answers: Mapping[str, str]


class Unasked(NamedTuple):
    """What reading does not tell, and why."""

    about: str
    why: str


NOTHING: Final = "nothing: as assumed"
EITHER: Final = "nothing: the client takes either"
NOT_SEEN: Final = "ask again when there is one to be seen"
NEXT_TIME: Final = {"not seen": NOT_SEEN}

# fmt: off
QUESTIONS: Final = (
    # The signed address of a stream
    Question("address.spelling", "`?apiKey=` and `?uuid=` both open a socket", socket.spelling, {
        "both": NOTHING,
        "apiKey": "nothing: it is tried first; `uuid=` may go from `coincall.Dialect.spellings`",
        "uuid": "put it first in `coincall.Dialect.spellings`: each dial costs a refusal now",
        "neither": "no stream works: the signed text has changed",
    }),
    Question("address.refusal", "a wrong signature gets HTTP 403 and an envelope with 10562", socket.refusal, {
        "http": NOTHING,
        "frame": EITHER,
        "closed": "`streams.dial._refusal` takes it for a network error, and dials for ever",
        "silence": "a wrong key looks like a dead link",
        "in": "the venue checks no signatures of streams",
    }),
    Question("address.lower-hex", "a signature in lower-case hex is refused", socket.lower_hex, {
        "refused": NOTHING, "taken": NOTHING,
    }),
    Question("address.code", "an address without `code=10` is refused, with 10590", socket.without_code, {
        "refused": NOTHING, "taken": NOTHING,
    }),
    Question("address.encoded-key", "a percent-encoded key gets HTTP 403", socket.encoded_key, {
        "refused": NOTHING,
        "taken": "nothing: the key is sent as it is",
        "no such key": "ask again with a key that has one of `+/=` in it",
    }),
    Question("address.age", "at most 5 s old, less than 1 s ahead", socket.address_age, {
        "5 s": NOTHING,
        "more": "nothing: a clock may be later than `doctor` says",
        "less": "`doctor` must fail earlier where a clock is behind",
    }),
    Question("address.ahead", "at most 5 s old, less than 1 s ahead", socket.address_ahead, {
        "1 s": NOTHING,
        "more": "nothing: a clock may be further ahead than `doctor` says",
        "less": "`doctor` must fail earlier where a clock is ahead",
    }),
    # The session
    Question("session.acks", "the ack comes before the first book", socket.acks, {
        "first": NOTHING,
        "later": EITHER,
        "none": "nothing: what comes proves a subscription",
        "silence": "neither an ack nor a book came: is the market open?",
    }),
    Question("session.failure", "a refused request gets `{\"action\":…,\"result\":\"failed\"", socket.failure, {
        "result": NOTHING, "rc": EITHER, "c": EITHER,
        "silence": "a wrong symbol is told by nobody: only \"stale\" tells",
        "other": "`coincall.Dialect` does not know this shape",
    }),
    Question("session.lists", "lists of symbols where today's docs have them", socket.lists, {
        "taken": NOTHING,
        "refused": "each symbol is asked for again by itself: make `wire` rows say that there are no lists",
        "in part": "a symbol of a list is missing: each should be asked for by itself",
    }),
    Question("session.wrong-in-a-list", "one wrong symbol fails the whole list", socket.wrong_in_a_list, {
        "as a whole": NOTHING, "in part": EITHER,
    }),
    Question("session.lower-unsubscribe", "lower-case `unsubscribe` fails with 10593", socket.lower_unsubscribe, {
        "ignored": "nothing: the client sends `unSubscribe`", "honoured": EITHER, **NEXT_TIME,
    }),
    Question("session.no-request", "a message that is no request gets `{\"c\":10589", socket.no_request, {
        "c": NOTHING, "other": NOTHING, "silence": NOTHING,
    }),
    Question("session.native", "the native dialect", socket.native, {"taken": NOTHING, "refused": NOTHING}),
    Question("session.backlog", "a new listener of `lastTrade` gets up to 20 old trades", socket.backlog, {
        "old trades": "whoever counts trades must drop those of before", "none": NOTHING,
    }),
    Question("session.silence", "the 30 s of silence end with anything sent or received", socket.silence, {
        "30 s": NOTHING,
        "10 to 25 s": "nothing: a heartbeat is sent after 5 s",
        "shorter": "`streams.session.Session(quiet_ns=…)` must be less than half of it",
        "longer": NOTHING,
    }),
    Question("session.pings", "heartbeats included, WebSocket pings not", socket.pings, {
        "do not": NOTHING, "keep it": EITHER, **NEXT_TIME,
    }),
    Question("session.end", "a silent connection is closed with code 1001, not cut", socket.silent_end, {
        "1001": NOTHING, "another code": EITHER, "cut": EITHER, **NEXT_TIME,
    }),
    # Books
    Question("book.order", "levels are sorted, best first", socket.order_of_levels, {
        "best first": NOTHING, "not sorted": "right, but `apply` is slower: `stats.unsorted` counts them", **NEXT_TIME,
    }),
    Question("book.sizes", "levels sorted, compact JSON, key order, `sz` or `v`", socket.spelling_of_sizes, {
        "sz text": NOTHING,
        "v number": "right, but slower: make it the usual spelling of `wire.COINCALL`",
        "v text": "right, but slower: make it the usual spelling of `wire.COINCALL`",
        "mixed": "right, but those that are not the usual ones are read slower", **NEXT_TIME,
    }),
    Question("book.numbers", "one size in eight is zero-padded", socket.number_formats, {
        "padded": NOTHING, "plain": NOTHING,
    }),
    Question("book.layout", "levels sorted, compact JSON, key order", socket.layout, {
        "usual": NOTHING, "another": "right, but `apply` is slower", **NEXT_TIME,
    }),
    Question("book.depth", "the futures book has 100 levels (2023 docs)", socket.depth, {
        "100": NOTHING,
        "more": "the best 100 are kept; `stats.truncated` counts",
        "fewer": NOTHING,
    }),
    Question("book.repeats", "an unchanged book is pushed again every period", socket.repeats, {
        "repeated": NOTHING,
        "on change": "a quiet book is \"stale\", though it is right: raise `stale_after_ms`", **NEXT_TIME,
    }),
    Question("book.age", "`ts` is the time of the model's step, not of sending", socket.age_of_books, {
        "under 500 ms": NOTHING,
        "older": "ages by `ts_ms` tell less than one would like",
        "ahead": "is this clock right? A `ts` a minute ahead clears the book",
        **NEXT_TIME,
    }),
    # Other pushes
    Question("push.ticker", "`bsInfo` has numbers (as printed)", socket.ticker_numbers, {
        "numbers": EITHER, "texts": EITHER, **NEXT_TIME,
    }),
    Question("push.chain", "`v` and `tv`, `bs` and `bv`", socket.chain_sizes, {
        "bs": EITHER, "bv": EITHER, "neither": "a chain has no sizes: the key has changed", **NEXT_TIME,
    }),
    Question("push.owner", "`uid` and `u` are one thing in two editions", socket.account_owner, {
        "uid": EITHER, "u": EITHER, "neither": "`Account.user_id` is None", **NEXT_TIME,
    }),
    Question("push.position", "an option's position is pushed as 12 or", socket.position_dt, {
        "12": NOTHING, "19": EITHER, **NEXT_TIME,
    }),
    Question("push.futures-position", "a perpetual's as 36", socket.futures_position_dt, {
        "36": NOTHING, **NEXT_TIME,
    }),
    # REST
    Question("rest.unsigned", "market data needs no signature", rest.unsigned_market, {
        "taken": NOTHING, "refused": "`rest.endpoints._public` must sign",
    }),
    Question("rest.lower-hex", "REST refuses with the same codes", rest.lower_hex, {
        "refused": NOTHING, "taken": NOTHING,
    }),
    Question("rest.no-window", "without `X-REQ-TS-DIFF` the window is 5000", rest.no_window, {
        "taken": NOTHING, "refused": "nothing: it is always sent",
    }),
    Question("rest.age", "`serverTime` is read between sending and answering", rest.age, {
        "as asked": NOTHING,
        "more": "a late order may be taken after its window: `order_window_ms` does not protect",
        "less": "reads over slow links fail: a window of 5000 is cut short",
    }),
    Question("rest.ahead", "timestamps stay 500 ms behind what would be refused", rest.ahead, {
        "1 s": NOTHING, "more": NOTHING, "less": "`rest.clock.AHEAD_MS` must be less",
    }),
    Question("rest.query", "the query is signed raw and sent escaped", rest.query, {
        "raw": NOTHING,
        "escaped": "`rest.request.build` must sign what it sends",
        "neither": "no value with blanks or letters beyond ASCII can be sent",
    }),
    Question("rest.rate-headers", "429 and 10605 end with the window, unless `Retry-After` says more", rest.rate_headers, {
        "none": NOTHING, "some": "`rest.rates.Windows` could go by them",
    }),
    Question("rest.depth", "the futures book has 100 levels (2023 docs), not 150 (today's)", rest.futures_depth, {
        "100": NOTHING, "150": "nothing: the best 100 are kept", "another": "nothing: the best 100 are kept",
    }),
    Question("rest.sizes", "REST sizes carry neither padding nor blanks", rest.texts_of_numbers, {
        "plain": NOTHING, "padded": EITHER, "numbers": EITHER,
    }),
    Question("rest.countdown", "one that is no market maker's HTTP 404", rest.countdown, {
        "permitted": "this key may have a dead-man's switch",
        "404": "this key may not have a dead-man's switch: beat a watchdog of your own",
        "code": "this key may not have a dead-man's switch: beat a watchdog of your own",
    }),
    Question("rest.protection", "an MMP configuration that was never made is `null`", rest.protection, {
        "null": NOTHING, "an object": "nothing, if one was made", "refused": "this key may not have market maker protection",
    }),
    Question("rest.key", "a key that may not trade gets 10554", rest.key, {
        "reads only": "what is left is not to be asked with this key",
        "trades": NOTHING,
        "not told": "whether a key may trade, only an order tells",
    }),
)

ORDERS: Final = "takes orders"
UNASKED: Final = (
    Unasked("booleans of a body are signed in lower case", "only orders have booleans"),
    Unasked("`fillSignal`'s `et` is 2 for every trade", "a channel of 2023, which nobody needs"),
    Unasked("no limit on subscriptions or connections", "looking for it may cost the address"),
    Unasked("\"too many request\" is", "looking for it may cost the address"),
    Unasked("rate classes as listed", "looking for their ends may cost the key"),
    Unasked("30 orders in 2 s, not the 60 a second", ORDERS),
    Unasked("placing and cancelling have windows of their own", ORDERS),
    Unasked("what REST tells of orders is never behind what was done", ORDERS),
    Unasked("pushes come after the answer to the request that they come of", ORDERS),
    Unasked("a post-only order that would trade", ORDERS),
    Unasked("what is left of IOC, FOK and market orders is CANCELED", ORDERS),
    Unasked("`stp` 1 cancels the maker", "takes orders on both sides"),
    Unasked("a client order id is used once by each user and product", ORDERS),
    Unasked("a client order id and order ids are sent as integers", ORDERS),
    Unasked("a batch of new orders is answered in the order of the request", ORDERS),
    Unasked("10584, 11101, 11102 after a cancellation", ORDERS),
    Unasked("a heartbeat answers with the symbols that still count down", "takes a countdown"),
    Unasked("may leave a write done", "takes orders, and a venue in trouble"),
    Unasked("`cancelOpenOrders` of options goes by index", ORDERS),
    Unasked("a code that is not in the table", "is told by UnknownMessage and plain ints when it comes"),
)
# fmt: on
