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


NOT_ALLOWED = Refusal(7001, "not.allow")
ILLEGAL = Refusal(10004, "Parameter illegal")
NO_FUNDS = Refusal(10529, "Insufficient available balance.")
NO_PRICE = Refusal(10530, "Please enter price")
NO_QUANTITY = Refusal(10533, "Please enter amount")
TOO_LARGE = Refusal(10534, "Order size exceeds the maximum limit per order.")
TOO_MANY_ORDERS = Refusal(10535, "The number of orders exceeds the maximum limit.")
NO_POSITION = Refusal(10536, "Insufficient open positions.")
EXPIRED = Refusal(10540, "Order has expired.")
TOO_MANY_STOPS = Refusal(10541, "The number of stop orders exceeds the maximum limit.")
NO_STOP_PRICE = Refusal(10542, "Please enter stop price")
NOT_AUTHORIZED = Refusal(10554, "You are not authorized to execute this request.")
TIMESTAMP_EXPIRED = Refusal(10557, "Timestamp request expired.")
INVALID_KEY = Refusal(10560, "Invalid CC-ACCESS-KEY.")
INVALID_TIMESTAMP = Refusal(10561, "Invalid CC-ACCESS-TIMESTAMP.")
INVALID_SIGNATURE = Refusal(10562, "Invalid signature.")
INVALID_CONTENT = Refusal(10567, "Invalid content_type.")
NO_SYMBOL = Refusal(10570, "Parameter symbol cannot be empty.")
TOO_MANY_SYMBOLS = Refusal(10572, "Parameter symbol count exceeds the limit")
INVALID_DEPTH = Refusal(10573, "Parameter depth error.")
UNKNOWN_INSTRUMENT = Refusal(10574, "Instrument ID does not exist.")
NO_ORDER_ID = Refusal(10575, "Either client order ID or order ID is required.")
DUPLICATE_CLIENT_ID = Refusal(10577, "Duplicated client order ID.")
UNKNOWN_INDEX = Refusal(10579, "Index does not exist.")
UNKNOWN_ORDER = Refusal(10584, "Order does not exist.")
CHANNEL_FAILED = Refusal(10586, "Channel subscription failed.")
INVALID_REQUEST = Refusal(10589, "Invalid request.")
INVALID_ARGS = Refusal(10590, "Invalid args.")
TOO_FREQUENT = Refusal(10605, "Operation is too frequent.")
RANGE_TOO_LONG = Refusal(20034, "Start time and end time range exceeds three months")
UNKNOWN_OPTION = Refusal(40034, "Option not exist")
WRONG_PRICE = Refusal(40035, "Price illegal")
WRONG_QUANTITY = Refusal(40036, "Volume illegal")
LEVERAGE_IN_USE = Refusal(
    40038,
    "You are not able to adjust leverage due to existing open positions or pending orders in the"
    " account.",
)

# Later than the 2023 table: the codes are in the protocol page, section 4; the texts are ours.
TOO_SMALL = Refusal(10558, "Order size is less than the minimum.")
COUNTDOWN_LAPSED = Refusal(10619, "Countdown cancel has lapsed.")
ALREADY_CANCELED = Refusal(11101, "Order has been canceled.")
ALREADY_FILLED = Refusal(11102, "Order has been filled.")
TIF_OF_MARKET = Refusal(12011, "A market order takes no timeInForce.")
WRONG_TIF = Refusal(12012, "timeInForce only supports GTC, IOC and FOK.")
PRICE_OF_MARKET = Refusal(12013, "A market order takes no price.")
MMP_OFF = Refusal(60008, "MMP is off.")

# The text is named without a code (protocol page, section 2.9); 10605 is the one of REST.
TOO_MANY_REQUESTS = Refusal(10605, "too many request")


def invalid_op(action: str) -> Refusal:
    return Refusal(10593, f"Invalid op {action}")


def missing(parameter: str) -> Refusal:
    return Refusal(10570, f"Parameter {parameter} cannot be empty.")


def too_many(parameter: str) -> Refusal:
    return Refusal(10572, f"Parameter {parameter} count exceeds the limit")


def wrong(parameter: str) -> Refusal:
    return Refusal(10573, f"Parameter {parameter} error.")
