"""WebSocket streams: bytes of a connection in, books and messages to whoever listens.

From the top; each module knows only what is below it:

    stream player       what the user wants of its links; a recording, played to sessions instead
    link                one connection, and the thread that owns it
    fetcher             the thread that fetches the bases of books
    listeners           who is told
    connection          a socket, and the frames on it
    session             a connection as a state machine, without socket or clock
    books               which of its books may be believed, and what makes the others whole
    topics answers      what is to be subscribed to; which request an answer is to
    sequences repairs   numbered messages in a row; books that wait to be whole
    dialect             how a venue spells all this
    events inbox        what is told besides items; what waits for an iteration over a stream
    recorder            the threads that own a recording's file
    dial                how a connection comes about, before one deadline
    recording           a recording as bytes
    fingerprint latency one hash of many books; where the time of frames goes
"""
