# Frames that name their channel in a text, whatever stands around their rows; part of _message.

Part = IntEnum("Part", {
    "IGNORED": IGNORED, "CHANNEL": CHANNEL, "DATA": DATA, "TIME": TIME, "SECONDS": TIME_S,
    "ROWS": ROWS, "VERSION": VERSION, "BASE_LINE": BASE_LINE, "KIND": KIND, "EVENT": EVENT,
    "ERROR": ERROR,
})


class Batch(list):
    """The messages of one frame, as a list, with what the frame says of them all.

    An empty one is no nothing: as a snapshot it says that there is nothing any more.
    """

    __slots__ = ("base_line", "channel", "is_snapshot", "ts_ms", "version")

    def __init__(self, messages, channel, ts_ms, said):
        super().__init__(messages)
        self.channel, self.ts_ms = channel, ts_ms
        self.version, self.base_line, self.is_snapshot = said or (None, None, None)

    def __reduce__(self):
        return Batch, (list(self), self.channel, self.ts_ms,
                       (self.version, self.base_line, self.is_snapshot))


@cython.final
@cython.internal
cdef class Topic:
    """One channel that a text names: what its rows are, in a list and alone."""
    cdef str name
    cdef Channel many
    cdef Channel one
    cdef bint nested  # whether its rows stand in the data under a key of their own

    def __cinit__(self, row):
        self.name = row.name.rstrip(".")
        self.many = Channel(row.message, row.column, None, self.name)
        self.one = Channel(row.message, row.alone or row.column, None, self.name)
        self.nested = row.nested
        if self.many.holder == TABLE:
            raise UsageError(f"a {row.message.__name__} is no message of a topic")


# Where the value of each part of an envelope begins.
ctypedef Py_ssize_t Parts[PARTS]


cdef Bytes walk_parts(Source* s, Bytes p, Keys* keys, Py_ssize_t* parts) noexcept:
    """An object, past its end. NULL where it is refused; what was found until then is there."""
    cdef Walk walk
    begin_walk(&walk)
    while True:
        p = next_field(s, p, keys, &walk)
        if p == NULL or walk.role < 0:
            return p
        parts[walk.role] = p - s.start
        p = skip_value(s, p, 0)
        if p == NULL:
            return NULL


@cython.final
cdef class TopicDecoder(Decoder):
    """TopicDecoder(envelope)

    A `Decoder` of a venue that names its channels in texts; `envelope` is an `Envelope`.
    """
    cdef Keys frame, data
    cdef dict topics
    cdef dict kinds      # of a text, whether it says a snapshot
    cdef tuple events    # of which a frame with rows has one; none where it has none

    def __cinit__(self, envelope):
        for name, part in envelope.frame.items():
            add_key(&self.frame, name, part)
        for name, part in envelope.data.items():
            add_key(&self.data, name, part)
        self.topics = {row.name: Topic(row) for row in envelope.topics}
        self.kinds = {**dict.fromkeys(envelope.whole, True), **dict.fromkeys(envelope.parts, False)}
        self.events = tuple(envelope.events)

    cdef str text_at(self, Source* s, Py_ssize_t at):
        """The text there; None where there is none."""
        cdef Text text
        cdef Bytes p = s.start + at
        if at < 0 or peek(s, p) != c'"' or scan_string(s, p, &text) == NULL:
            return None
        return decoded(text.p, text.n)

    cdef Topic topic_at(self, Source* s, Py_ssize_t* parts):
        """What the frame is; None where its rows are nobody's, or it has none."""
        cdef str name = self.text_at(s, parts[CHANNEL])
        if name is None or (parts[ERROR] >= 0 and peek(s, s.start + parts[ERROR]) != c"n") or (
            self.events and self.text_at(s, parts[EVENT]) not in self.events
        ):
            return None
        topic = self.topics.get(name)
        if topic is None and "." in name:  # the rest is a symbol, which may hold dots
            topic = self.topics.get(name[:name.index(".") + 1])
        return topic

    cdef object integer_at(self, Source* s, Py_ssize_t at):
        """The integer there; None where there is none."""
        cdef Cell cell
        cell.n = 0
        if at < 0:
            return None
        if scan_time(s, s.start + at, &cell) == NULL:
            raise raised(s)
        if cell.n == 0:
            return None
        return cell.integer if cell.integer != UNREAD else int(decoded(s.start + cell.at, cell.n))

    cdef object take(self, Source* s, object frame, object into):
        cdef Parts parts, inner
        cdef Cell time
        cdef Channel channel
        cdef Topic topic
        cdef Bytes p = blanks(s, s.start), end
        cdef Source again
        cdef bytes own
        if peek(s, p) != c"{":
            return None
        memset(parts, -1, sizeof(parts))
        memset(inner, -1, sizeof(inner))
        end = walk_parts(s, p, &self.frame, parts)
        again = s[0]
        topic = self.topic_at(&again, parts)
        if topic is None:
            return None
        if end != NULL:
            end = blanks(s, end)
            if end != s.end:
                end = refuse(s, end, b"something follows the frame")
            elif parts[DATA] < 0:
                end = refuse(s, end, b"no data")
        if end == NULL:
            raise raised(s)
        if into is not None:
            raise UsageError(f"a {topic.many.made.__name__} is no {type(into).__name__}")
        p = s.start + parts[DATA]
        if topic.nested:
            if walk_parts(s, p, &self.data, inner) == NULL:
                raise raised(s)
            if inner[ROWS] < 0:
                refuse(s, p, b"no rows")
                raise raised(s)
            p = s.start + inner[ROWS]
        own = kept(s, frame, &p)
        said = self.said(s, parts, inner)
        time.n = 0
        if parts[TIME] >= 0 and scan_time(s, s.start + parts[TIME], &time) == NULL:
            raise raised(s)
        if time.n == 0 and parts[TIME_S] >= 0 and (
            scan_seconds(s, s.start + parts[TIME_S], &time) == NULL
        ):
            raise raised(s)
        channel = topic.many if peek(s, p) == c"[" else topic.one
        found = held(scan_rows(s, &p, channel, own), channel, own, &time, None)
        if type(found) is not list:
            if said is None:
                return found
            if isinstance(found, Rows):
                (<Rows>found).said = said
                for record in (<Rows>found).records:
                    tell(<Cells>record, said)
            else:
                tell(<Cells>found, said)
            return found
        if said is not None:
            for record in found:
                tell(<Cells>record, said)
        stamp = int(time_text(own, &time)) if time.n else None
        return Batch(found, topic.name, stamp, said)

    cdef tuple said(self, Source* s, Py_ssize_t* parts, Py_ssize_t* inner):
        """Version, base line, and whether a snapshot; None where the frame says none of them."""
        kind = self.text_at(s, inner[KIND] if inner[KIND] >= 0 else parts[KIND])
        version = self.integer_at(s, inner[VERSION])
        base_line = self.integer_at(s, inner[BASE_LINE])
        if kind is version is base_line is None:
            return None
        return version, base_line, self.kinds.get(kind)
