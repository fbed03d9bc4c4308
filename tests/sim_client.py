"""A plain REST client of the simulated exchange, typed from the protocol page and not ours."""

import hashlib
import hmac
import json
import time
from typing import Any

import requests

from coincall_fast.sim import Exchange
from coincall_fast.sim.keys import Key

WAIT_S = 10


class Plain:
    """Signs with what the page says, for parameters that are texts and plain numbers."""

    def __init__(self, exchange: Exchange, key: Key | None = None) -> None:
        self.url = exchange.rest_url
        self.api_key = key.api_key if key else exchange.api_key
        self.secret = key.api_secret if key else exchange.api_secret

    def headers(
        self,
        method: str,
        path: str,
        fields: dict[str, Any],
        ts: int | None = None,
        diff: int = 5000,
    ) -> dict[str, str]:
        ts = int(time.time() * 1000) if ts is None else ts
        # What is null is not signed, wherever it stands.
        fields = json.loads(json.dumps(fields), object_hook=without_nulls)
        texts = {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in fields.items()
        }
        text = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
        tail = f"uuid={self.api_key}&ts={ts}&x-req-ts-diff={diff}"
        prehash = f"{method}{path}?{text}{'&' if text else ''}{tail}"
        sign = hmac.new(self.secret.encode(), prehash.encode(), hashlib.sha256).hexdigest()
        return {
            "X-CC-APIKEY": self.api_key,
            "sign": sign.upper(),
            "ts": str(ts),
            "X-REQ-TS-DIFF": str(diff),
        }

    def get(self, path: str, **fields: Any) -> Any:
        return self.raw("GET", path, fields).json()

    def post(self, path: str, **fields: Any) -> Any:
        return self.raw("POST", path, fields).json()

    def raw(self, method: str, path: str, fields: dict[str, Any]) -> requests.Response:
        headers = self.headers(method, path, fields)
        if method == "GET":
            return requests.get(self.url + path, params=fields, headers=headers, timeout=WAIT_S)
        headers["Content-Type"] = "application/json"
        body = json.dumps(fields, separators=(",", ":"))
        return requests.post(self.url + path, data=body, headers=headers, timeout=WAIT_S)

    def place(self, symbol: str, side: int, qty: str, price: str | None = None, **more: Any) -> int:
        """Places an order, which must be taken; its id."""
        product = "option" if "-" in symbol else "futures"
        fields: dict[str, Any] = {"symbol": symbol, "tradeSide": side, "qty": qty, "tradeType": 2}
        if price is not None:
            fields |= {"price": price, "tradeType": 1}
        answer = self.post(f"/open/{product}/order/create/v1", **(fields | more))
        assert answer["code"] == 0, answer
        order_id = answer["data"]
        assert isinstance(order_id, int)
        return order_id


def without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
