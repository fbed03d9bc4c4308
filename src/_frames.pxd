"""Python's side of JSON text, for both compiled modules: a frame's bytes, the keys of a table.

These functions are compiled into whatever cimports them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from libc.string cimport memcpy, memset

from _headers cimport *

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL


cdef inline object hold(Source* s, object frame):
    """Points a Source at a frame of any type; what it returns keeps the bytes where they are."""
    cdef Py_ssize_t n
    cdef object held = frame
    if isinstance(frame, bytes):
        s.start = <Bytes>PyBytes_AS_STRING(frame)
        n = PyBytes_GET_SIZE(frame)
    elif isinstance(frame, str):
        try:
            s.start = <Bytes>PyUnicode_AsUTF8AndSize(frame, &n)
        except UnicodeEncodeError:  # a lone surrogate, which will be refused where it stands
            held = str.encode(frame, errors="surrogatepass")
            s.start = <Bytes>PyBytes_AS_STRING(held)
            n = PyBytes_GET_SIZE(held)
    elif isinstance(frame, (bytearray, memoryview)):
        try:
            held = memoryview(frame).cast("B")
        except TypeError:
            raise TypeError("a frame must be contiguous") from None
        n = PyMemoryView_GET_BUFFER(held).len
        s.start = <Bytes>PyMemoryView_GET_BUFFER(held).buf
    else:
        raise TypeError(
            f"a frame is bytes, bytearray, memoryview or str, not {type(frame).__name__}")
    s.end = s.start + n
    s.at = s.start
    s.reason = b"nothing is wrong"
    return held


cdef inline bytes unescaped(Text* text):
    """The UTF-8 of a string that holds escapes; None for half a surrogate pair, which has none."""
    cdef Bytes p = text.p
    cdef bytearray utf8 = bytearray()
    cdef unsigned char part[4]
    cdef int n
    while p < text.p + text.n:
        n = unescape(&p, part)
        if n == 0:
            return None
        utf8 += part[:n]
    return bytes(utf8)


cdef inline bint is_plain(str text):
    """Whether it stands between quotes as it is."""
    return min(text, default=" ") >= " " and not {'"', "\\"} & {*text}


cdef inline bint set_token(Token* token, str text):
    """Whether that could be done; what is too long for it is read the careful way."""
    cdef bytes raw = text.encode()
    if len(raw) > TOKEN:
        return False
    memset(token, 0, sizeof(Token))
    memcpy(token.text, PyBytes_AS_STRING(raw), len(raw))
    memset(token.mask, 0xFF, len(raw))
    token.n = len(raw)
    return True


cdef inline bint set_key(Key* key, str text, int role):
    """Whether it is short enough for a key."""
    cdef bytes raw = text.encode()
    if not 0 < len(raw) <= KEY_BYTES:
        return False
    memcpy(key.text, PyBytes_AS_STRING(raw), len(raw))
    key.n = len(raw)
    key.role = role
    if not is_plain(text) or not set_token(&key.token, f'"{text}":'):
        key.token.text[0] = 1  # where its mask is 0: no bytes are like it
    return True


cdef inline bint add_key(Keys* keys, str text, int role):
    """Whether there was room for one more."""
    if keys.n == MAX_KEYS or not set_key(&keys.key[keys.n], text, role):
        return False
    keys.n += 1
    keys.follows[keys.n - 1] = keys.n  # until frames tell
    keys.key[keys.n].token.text[0] = 1  # where its mask is 0: it stands nowhere
    keys.roles |= <uint64_t>1 << role
    return True
