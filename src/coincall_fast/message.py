"""What a frame is that is no order book."""

import json

from .errors import DecodeError
from .model import Ack, Heartbeat, Message, UnknownMessage

__all__ = ["message_of"]


def message_of(frame: bytes | bytearray | memoryview | str) -> Message:
    """A frame that is no order book; that it is JSON has been checked (contract, section 3)."""
    try:
        body = json.loads(bytes(frame) if isinstance(frame, memoryview) else frame)
    except ValueError as error:  # an integer of more digits than CPython converts
        raise DecodeError(f"a message that Python cannot hold: {error}") from None
    if not isinstance(body, dict):
        return UnknownMessage(None, body)
    dt = body.get("dt")
    if dt is not None:
        return UnknownMessage(dt if type(dt) is int else None, body)
    c, rc = (
        int(code) if isinstance(code, str) and code.strip().isdecimal() else code
        for code in (body.get("c"), body.get("rc"))
    )
    if c == 11:
        return Heartbeat(rc)
    if "result" in body or "msg" in body or rc not in (None, 1):
        action = body.get("action")
        return Ack(
            action.lower() if isinstance(action, str) else None,
            str(body.get("result")).lower() in ("success", "true") and rc in (None, 1),
            body,
        )
    return UnknownMessage(None, body)
