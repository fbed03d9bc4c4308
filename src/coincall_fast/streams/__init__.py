"""WebSocket streams: bytes of a connection in, books and messages to whoever listens.

From the top; each module knows only what is below it:

    stream player       what the user wants of its links; a recording, played to sessions instead
    link                one connection, and the thread that owns it
    listeners           who is told
    connection          a socket, and the frames on it
    session inbox       a connection as a state machine, without socket or clock; what waits for one
    recorder            the threads that own a recording's file
    dial                how a connection comes about, before one deadline
    recording           a recording as bytes
    fingerprint latency one hash of many books; where the time of frames goes
"""
