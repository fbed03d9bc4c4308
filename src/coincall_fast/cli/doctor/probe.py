"""`doctor --probe`: asks the venue what its documents leave open, and prints a report of it.

Read-only. The report is made to be pasted into an issue: no secret, no balance, no position.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ... import __version__
from ...errors import AuthError, CoincallFastError
from .access import Access
from .questions import QUESTIONS, UNASKED, Question
from .sounding import Found, Sounding

__all__ = ["Answer", "answers", "report"]

DONE, FAILED = range(2)
NEWS = "news: please tell, with this report"


class Answer(NamedTuple):
    """What one question came to."""

    question: Question
    found: Found
    meaning: str


def report(access: Access, *, as_json: bool) -> int:
    """Asks everything, in turn; takes a minute or two. Raises AuthError without a good key."""
    if access.client is None or access.credentials is None:
        raise AuthError(
            f"the venue is asked with a key, which may be one that reads only: {access.trouble}"
        )
    access.client.account.user()  # or there is nothing to be asked
    venue = Sounding(access, access.client, access.credentials)
    code = DONE
    if not as_json:
        hosts = " and ".join(str(urlsplit(url).netloc) for url in (access.ws_url, access.rest_url))
        print(f"What coincall-fast {__version__} saw at {hosts}:\n")
        print(
            "| question | answer | what was seen | what it means |\n|---|---|---|---|", flush=True
        )
    for answer in answers(venue):
        if answer.found.answer == "failed":
            code = FAILED
        print(_document(answer) if as_json else _row(answer), flush=True)
    if not as_json:
        print("\nNot asked, since reading does not tell:\n")
    for about, why in UNASKED:
        document = {"type": "unasked", "about": about, "why": why}
        print(json.dumps(document) if as_json else f"- {about}: {why}")
    return code


def answers(venue: Sounding) -> Iterator[Answer]:
    for question in QUESTIONS:
        try:
            found = question.probe(venue)
        except (CoincallFastError, OSError, LookupError, TypeError, ValueError) as error:
            # A venue that answers in another shape than any that we know is an answer, too.
            found = Found("failed", venue.safe(f"{type(error).__name__}: {error}"))
        yield Answer(question, found, question.answers.get(found.answer, NEWS))


def _document(answer: Answer) -> str:
    document: dict[str, Any] = {
        "type": "answer",
        "question": answer.question.name,
        "about": answer.question.about,
        **answer.found._asdict(),
        "meaning": answer.meaning,
    }
    return json.dumps(document)


def _row(answer: Answer) -> str:
    cells = (answer.question.name, answer.found.answer, answer.found.seen, answer.meaning)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
