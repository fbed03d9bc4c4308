"""Change bits: what an applied frame made different in a book.

The constants are plain ints, because combining `enum` members costs more than parsing the frame;
`Change` is the same set as an `enum.IntFlag`, for printing: ``Change(book.last_change)``.
"""

from enum import Flag, IntFlag

__all__ = ["ASK", "ASK_SIZE", "BBO", "BID", "BID_SIZE", "DEPTH", "Change"]

BID = 1  # the best bid's price
ASK = 2  # the best ask's price
BID_SIZE = 4  # the best bid's size
ASK_SIZE = 8  # the best ask's size
DEPTH = 16  # the list of levels from the second on, either side
BBO = BID | ASK | BID_SIZE | ASK_SIZE


class Change(IntFlag):
    """The bits by name; ``Change(0)`` means that nothing differs."""

    __str__ = Flag.__str__  # an IntFlag prints as its number

    BID = BID
    ASK = ASK
    BID_SIZE = BID_SIZE
    ASK_SIZE = ASK_SIZE
    DEPTH = DEPTH
