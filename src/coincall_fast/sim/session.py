"""One connection's side of the protocol: requests in, answers out. No socket, no clock.

Protocol page, section 3.1, and seed 000, its notice on keeping a connection.
"""

import json
from collections import deque
from typing import Any, Literal, NamedTuple

from . import refusals
from .refusals import RefusedError
from .topics import Catalog, Topic
from .wire import HEARTBEAT_ACK, Failures, ack, failure, refused_frame

__all__ = ["Flood", "Reply", "Rules", "Session"]

Flood = Literal["code", "text"]

_TOO_MANY = {
    "code": refused_frame(refusals.TOO_MANY_REQUESTS),
    "text": refusals.TOO_MANY_REQUESTS.msg,  # as the notice prints it
}


class Rules(NamedTuple):
    """The switches of the protocol."""

    silence_s: float = 30.0
    messages_per_s: int = 100
    lower_case_unsubscribe: bool = False  # section 7, question 12
    failures: Failures = "result"
    flood: Flood = "code"  # how more messages than that are answered
    acks: bool = True  # what was done may also be left unsaid: only its pushes tell


class Reply(NamedTuple):
    """The answer to one request, which goes out before its effects, and the effects."""

    text: str  # "" for none
    subscribe: tuple[Topic, ...] = ()
    unsubscribe: tuple[Topic, ...] = ()


class Session:
    """The state of one connection to one product. Times are seconds of any monotonic clock."""

    def __init__(self, catalog: Catalog, rules: Rules, now_s: float) -> None:
        self._catalog = catalog
        self._rules = rules
        self._heard_s = now_s
        self._arrivals: deque[float] = deque(maxlen=rules.messages_per_s)

    # "The connection will break automatically if the subscription is not established or data has
    # not been pushed for more than 30 seconds" (seed 000). Read as: 30 seconds in which nothing
    # went out (a push, an ack, a heartbeat's answer) and nothing came in (any message; WebSocket
    # pings are not messages). A heartbeat therefore keeps any connection, which is what the same
    # notice promises, and so do pushes alone.
    @property
    def closes_at_s(self) -> float:
        """When the silence will have lasted too long, if nothing more happens."""
        return self._heard_s + self._rules.silence_s

    def sent(self, now_s: float) -> None:
        """Something went out."""
        self._heard_s = now_s

    def receive(self, text: str | bytes, now_s: float) -> Reply:
        """Answers one message. Every message counts for the rate, the refused ones too."""
        self._heard_s = now_s
        arrivals, rate = self._arrivals, self._rules.messages_per_s
        is_too_fast = len(arrivals) == rate and now_s - arrivals[0] < 1.0
        arrivals.append(now_s)
        if is_too_fast:
            return Reply(_TOO_MANY[self._rules.flood])
        request = _parse(text)
        if request is None:
            return Reply(refused_frame(refusals.INVALID_REQUEST))
        action = request["action"]
        if action == "heartbeat":
            return Reply(HEARTBEAT_ACK)
        try:
            if action == "subscribe":
                return Reply(self._ack("subscribe"), subscribe=self._catalog.topics(request))
            if action == "unSubscribe" or (
                action == "unsubscribe" and self._rules.lower_case_unsubscribe
            ):
                return Reply(self._ack("unsubscribe"), unsubscribe=self._catalog.topics(request))
        except RefusedError as refused:
            return Reply(failure(action, refused.refusal, self._rules.failures))
        return Reply(failure(action, refusals.invalid_op(action), self._rules.failures))

    def _ack(self, action: str) -> str:
        return ack(action) if self._rules.acks else ""


def _parse(text: str | bytes) -> dict[str, Any] | None:
    """The object that the message is, if it names an action."""
    if isinstance(text, bytes):  # a binary message: the venue speaks text
        return None
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_request = isinstance(request, dict) and isinstance(request.get("action"), str)
    return request if is_request else None
