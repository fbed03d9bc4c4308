"""Signing against printed vectors, and against a signature written out here."""

import copy
import hashlib
import hmac
import json
import pickle
from decimal import Decimal
from pathlib import Path

import pytest

from coincall_fast import UsageError, signing

VECTORS = json.loads((Path(__file__).parent / "conformance" / "signing.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["rest"], ids=lambda vector: vector["id"])
def test_rest_vector(vector):
    prehash = signing.rest_prehash(
        vector["method"],
        vector["path"],
        vector["params"],
        vector["apiKey"],
        vector["ts"],
        vector["tsDiff"],
    )
    assert prehash == vector["prehash"]
    assert signing.sign(vector["secret"], prehash) == vector["sign"]


@pytest.mark.parametrize("spelling", ["apiKey", "uuid"])
@pytest.mark.parametrize("vector", VECTORS["ws"], ids=lambda vector: vector["id"])
def test_ws_vector(vector, spelling):
    base = "wss://ws.coincall.com/options"
    url = signing.ws_url(base, vector["apiKey"], vector["secret"], vector["ts"], spelling)
    assert f"&sign={vector['sign_' + spelling]}&" in url
    if f"url_{spelling}" in vector:
        assert url == vector[f"url_{spelling}"]


def test_signature_written_out():
    expected = hmac.new(b"s3cret", b"POST/x?uuid=k&ts=1&x-req-ts-diff=2", hashlib.sha256)
    prehash = signing.rest_prehash("POST", "/x", {}, "k", 1, 2)
    assert signing.sign("s3cret", prehash) == expected.hexdigest().upper()


def test_the_key_stands_raw_in_the_url():
    """An encoded key is answered with 403: protocol page, section 1.2, quirk 1."""
    url = signing.ws_url("wss://x/options", "a+b/c=", "secret", 5)
    assert url.endswith("&apiKey=a+b/c=")
    assert "?code=10&uuid=a+b/c=&ts=5&sign=" in url


def test_another_spelling_is_refused():
    with pytest.raises(UsageError, match="prehash_key"):
        signing.ws_url("wss://x", "k", "s", 1, "apikey")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.1, "0.1"),
        (100.0, "100.0"),
        (1e-05, "0.00001"),
        (1.5e22, "15000000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1.50"), "1.50"),
        ('a"é', '"a\\"é"'),
        ({"b": 1, "a": None, "c": [None, 2]}, '{"b":1,"c":[2]}'),
        ((1, "x"), '[1,"x"]'),
    ],
    ids=str,
)
def test_json_text(value, text):
    assert signing.json_text(value) == text


def test_a_string_stands_without_quotes_at_the_top_only():
    prehash = signing.rest_prehash("POST", "/x", {"price": "15", "list": ["15"]}, "k", 1, 2)
    assert prehash == 'POST/x?list=["15"]&price=15&uuid=k&ts=1&x-req-ts-diff=2'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), b"x", object()])
def test_what_has_no_json_is_refused(value):
    with pytest.raises(UsageError):
        signing.json_text(value)


def test_credentials_keep_their_secret():
    credentials = signing.Credentials("the-key", "the-secret")
    assert "the-secret" not in repr(credentials) + str(credentials)
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
    with pytest.raises(TypeError):
        copy.copy(credentials)
    assert not hasattr(credentials, "__dict__")
