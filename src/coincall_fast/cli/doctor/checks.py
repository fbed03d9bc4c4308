"""What `doctor` says of one thing: how it is, what was seen, and what to do about it."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from ...errors import CoincallFastError

__all__ = ["Check", "Verdict", "failed", "ok", "skipped", "tried", "warned"]


class Verdict(StrEnum):
    """`SKIP`: it could not be looked at, since something before it failed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Check(NamedTuple):
    """One line of a report. No secret is in it."""

    name: str
    verdict: Verdict
    seen: str
    advice: str = ""  # what to do; empty where there is nothing to be done


def ok(name: str, seen: str) -> Check:
    return Check(name, Verdict.OK, seen)


def warned(name: str, seen: object, advice: str) -> Check:
    return Check(name, Verdict.WARN, str(seen), advice)


def failed(name: str, seen: object, advice: str) -> Check:
    return Check(name, Verdict.FAIL, str(seen), advice)


def skipped(name: str, why: str) -> Check:
    return Check(name, Verdict.SKIP, why)


def tried(name: str, act: Callable[[], str], advice: str) -> Check:
    """Whether something works; `act` says what was seen, or raises."""
    try:
        return ok(name, act())
    except (CoincallFastError, OSError) as error:
        return failed(name, error, advice)
