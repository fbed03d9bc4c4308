"""One view of one's own orders, positions and balances, of all that anybody says of them.

From the top; each module knows only what is below it:

    reconciler     a thread that asks REST what streams cannot tell
    tracker        what comes in, what is known, and who is told what has changed
    register rules whose message it is; what steps of requests and rows of lists mean
    events net     what a strategy wants to know; a book without one's own size
    orders         what is known of one order, which only ever moves forward
    holdings       positions and balances, of which the latest counts
    exactly        sums without rounding
"""
