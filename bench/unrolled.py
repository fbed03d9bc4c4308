"""Code to time, written out: no loop, no lookup and no call in it that its user would not make."""

from collections.abc import Callable, Iterable

TIMES = 100


def unrolled(expression: str, **names: object) -> Callable[[], None]:
    """A function that evaluates it TIMES times; the names in it are local variables."""
    parameters = ", ".join(f"{name}={name}" for name in names)
    lines = [f"def evaluate({parameters}):", *[f"    {expression}"] * TIMES]
    scope = dict(names)
    exec("\n".join(lines), scope)
    return scope["evaluate"]


def decoded_and_read(
    decode: Callable[[bytes], object], wire: list[bytes], record: str, values: Iterable[str]
) -> Callable[[], None]:
    """A function that decodes all frames and evaluates expressions of each.

    These know what was decoded as `frame`, and the `record` in it.
    """
    lines = [
        "def all_frames(decode=decode, wire=wire):",
        "    for text in wire:",
        "        frame = decode(text)",
        f"        record = {record}",
        *[f"        {value}" for value in values],
    ]
    scope = {"decode": decode, "wire": wire}
    exec("\n".join(lines), scope)
    return scope["all_frames"]
