"""What the venue says no with: codes and texts of its error table (seed 003, Error Codes)."""

from typing import NamedTuple

__all__ = ["Refusal", "RefusedError"]


class Refusal(NamedTuple):
    """One row of the error table."""

    code: int
    msg: str


class RefusedError(Exception):
    """A request that is answered with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.msg)
        self.refusal = refusal


TIMESTAMP_EXPIRED = Refusal(10557, "Timestamp request expired.")
INVALID_KEY = Refusal(10560, "Invalid CC-ACCESS-KEY.")
INVALID_TIMESTAMP = Refusal(10561, "Invalid CC-ACCESS-TIMESTAMP.")
INVALID_SIGNATURE = Refusal(10562, "Invalid signature.")
NO_SYMBOL = Refusal(10570, "Parameter symbol cannot be empty.")
TOO_MANY_SYMBOLS = Refusal(10572, "Parameter symbol count exceeds the limit")
INVALID_DEPTH = Refusal(10573, "Parameter depth error.")
UNKNOWN_INSTRUMENT = Refusal(10574, "Instrument ID does not exist.")
CHANNEL_FAILED = Refusal(10586, "Channel subscription failed.")
INVALID_REQUEST = Refusal(10589, "Invalid request.")
INVALID_ARGS = Refusal(10590, "Invalid args.")
UNKNOWN_OPTION = Refusal(40034, "Option not exist")

# The text is named without a code (protocol page, section 2.9); 10605 is the one of REST.
TOO_MANY_REQUESTS = Refusal(10605, "too many request")


def invalid_op(action: str) -> Refusal:
    return Refusal(10593, f"Invalid op {action}")
