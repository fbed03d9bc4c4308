"""`cancel-all`: the end of all orders of both products, and what was open before."""

import argparse
import os
import sys
import time
from typing import Any

import orjson

from ..coincall import Client
from ..errors import (
    AuthError,
    CoincallFastError,
    DecodeError,
    OrdersRemain,
    TransportError,
    VenueError,
)
from ..message import Order
from .money import trading_client

__all__ = ["cancel_all"]


def cancel_all(asked: argparse.Namespace) -> None:
    """Returns once nothing is open; else raises what is left, or why nobody knows."""
    with trading_client(asked) as client:
        try:
            _cancel(client, asked)
        except KeyboardInterrupt:  # of other commands, as good an end as any
            raise CoincallFastError("stopped: orders may still be open") from None


def _cancel(client: Client, asked: argparse.Namespace) -> None:
    began_s = time.monotonic()
    before, failure = _open_orders(client, began_s + asked.timeout / 2)
    for product, order in before:
        _tell(asked, "open", product, order)
    try:
        client.cancel_everything(max(0.1, began_s + asked.timeout - time.monotonic()))
    except OrdersRemain as error:
        for left in error.orders:
            assert isinstance(left, Order)
            _tell(asked, "left", None, left)
        _sum_up(asked, len(before), len(error.orders) or None)
        if isinstance(failure, TransportError) and not error.orders:
            raise failure from None
        raise
    _sum_up(asked, len(before), 0)


def _open_orders(
    client: Client, end_s: float
) -> tuple[list[tuple[str, Order]], CoincallFastError | None]:
    """What is open, and why that may not be all. It keeps nobody from cancelling, unless the key is
    refused."""
    found: list[tuple[str, Order]] = []
    failure: CoincallFastError | None = None
    for market in (client.options, client.futures):
        try:
            found += [(market.product, order) for order in market.open_orders(end_s=end_s)]
        except AuthError:
            raise
        except (VenueError, TransportError, DecodeError) as error:
            failure = error
    return found, failure


def _tell(asked: argparse.Namespace, what: str, product: str | None, order: Order) -> None:
    if asked.json:
        _print_json(
            {
                "type": what,
                "product": product,
                "symbol": order.symbol,
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "side": _name(order.side),
                "qty": order.qty,
                "remaining_qty": order.remaining_qty,
                "price": order.price,
            }
        )
    else:
        price = "" if order.price is None else f" at {order.exact('price'):f}"
        qty = "" if order.qty is None else f" {order.exact('qty'):f}"
        _print(f"{what} {order.symbol} {_name(order.side)}{qty}{price} (order {order.order_id})")


def _name(side: Any) -> str | None:
    return getattr(side, "name", "").lower() or None


def _sum_up(asked: argparse.Namespace, opened: int, left: int | None) -> None:
    """``left`` is None where nobody knows."""
    if asked.json:
        _print_json({"type": "result", "open": opened, "left": left})
    else:
        rest = {0: "none is left", None: "nobody knows how many are left"}
        _print(f"{opened} orders were open, {rest.get(left, f'{left} are left')}")


def _print_json(document: dict[str, Any]) -> None:
    _print(orjson.dumps(document).decode())


def _print(line: str) -> None:
    """A reader who has gone keeps no order open, and no text of the venue's steers a terminal."""
    try:
        print("".join(c if c.isprintable() else " " for c in line), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
