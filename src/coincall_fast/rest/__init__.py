"""Coincall's signed REST: verbs in, requests out, answers as the classes that streams have.

From the top; each module knows only what is below it:

    client                       the nouns
    options futures account      the verbs of one noun each
    deadman                      the dead-man's switch: signs of life, from threads of its own, to
    guard_process countdown      ... a guard process on this machine, or to the venue
    trading                      the verbs that options and futures share
    watch                        orders that should not be there, if they appear
    inquiry                      writes followed, and asked about where no answer came
    outcomes sightings           what that proves, without a clock; what is seen of orders
    calls tickets pages          rate limits, clock and retries around one request and its answer;
                                 orders before and after they are sent; histories
    submitting                   the threads that make calls nobody waits for
    limits                       an order_guard that is shipped: what no order may be beyond
    endpoints                    every endpoint, a row each
    answers reports              what an answer says: a value or an error; the classes of REST alone
    http direct                  one exchange, before one deadline: by requests; by our own sockets
    connection                   one of these, and the answer on it
    exchange                     what both have: an address, limits, and words for what went wrong
    request instruments          a request as it is signed and sent; ticks and lots
    parameters                   what requests carry, a line each
    decimals rates clock codes   exact numbers, sliding windows, the clock's offset, the error codes
    ids                          client order ids
"""
