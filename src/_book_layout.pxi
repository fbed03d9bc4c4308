# What a Wire says, in the form that the bytes of a frame are compared with.

cdef enum:
    MAX_CHANNELS = 4
    MAX_SPELLINGS = 4
    MAX_CELLS = 8

cdef enum:  # the values of Role; the first is UNWANTED for _fields.h
    IGNORED
    CHANNEL
    DATA
    SYMBOL
    TIME
    VERSION
    FIRST
    KIND
    BIDS
    ASKS
    BOTH
    DELETE
    UPDATE
    INSERT
    PRICE
    SIZE
    SIDE
    ROLES

if [role.value for role in Role] != list(range(ROLES)) or Role.SIDE != SIDE:
    raise ImportError("the roles of the core and of coincall_fast.wire differ")

cdef enum:  # the kinds of a frame
    WHOLE = 0
    DELTA = 1

cdef struct Rules:
    Keys frame
    Keys data
    Keys level
    int cell[MAX_CELLS]               # the roles in a level that is a list
    int cells                         # 0 where a level is an object
    Key side[2]
    Token tail[2]                     # of a level that ends in its side
    Key kind[2]
    Key channel[MAX_CHANNELS]
    int channels
    bint text                         # a channel is one
    bint topic                        # ... and ends in the symbol
    Spelling spelling[MAX_SPELLINGS]  # of a level, or of what stands before its tail
    int spellings
    int usual                         # the one of these that stood there last


cdef int set_text(Key* key, str text) except -1:
    if not set_key(key, text, 0):
        raise UsageError(f"a text of a Wire has 1 to {KEY_BYTES} bytes: {text!r}")
    return 0


cdef int set_keys(Keys* keys, object roles, object allowed) except -1:
    if not {*roles.values()} <= {IGNORED, *allowed}:
        raise UsageError("a key of a Wire has a role that nobody looks for there")
    for name, role in roles.items():
        if not add_key(keys, name, role):
            raise UsageError(f"an object of a Wire has {MAX_KEYS} keys of 1 to {KEY_BYTES} bytes")
    return 0


@cython.internal
cdef class Layout:
    """A `Wire`, in the form that the scanner compares bytes with."""
    cdef object wire
    cdef Decoder decoder
    cdef Rules rules

    def __cinit__(self, wire):
        cdef Rules* rules = &self.rules
        self.wire = wire
        self.decoder = (
            CodeDecoder(wire.rows) if wire.envelope is None else TopicDecoder(wire.envelope))
        set_keys(&rules.frame, wire.frame, (CHANNEL, DATA, TIME, KIND))
        set_keys(&rules.data, wire.data, {*range(SYMBOL, PRICE)})
        set_level(rules, wire.level)
        sides = rules.data.roles & (1 << BIDS | 1 << ASKS)
        rows = rules.data.roles & (1 << BOTH | 1 << DELETE | 1 << UPDATE | 1 << INSERT)
        if bool(sides) == bool(rows) or (not rows and rules.data.roles & 1 << KIND):
            raise UsageError("the data of a Wire have lists of a side, or of both with their kinds")
        if bool(rules.level.roles & 1 << SIDE) != bool(rows):
            raise UsageError("a level of a Wire has a side where no list has")
        rules.channels = len(wire.channels)
        if not 0 < rules.channels <= MAX_CHANNELS:
            raise UsageError(f"a Wire has 1 to {MAX_CHANNELS} channels")
        rules.text = isinstance(wire.channels[0], str)
        rules.topic = rules.text and not rules.data.roles & 1 << SYMBOL
        for i, channel in enumerate(wire.channels):
            set_text(&rules.channel[i], str(channel))
        for i in range(2):
            if (rules.frame.roles | rules.data.roles) & 1 << KIND:
                set_text(&rules.kind[i], wire.kinds[i])
            if rows:
                set_text(&rules.side[i], wire.sides[i])
        set_spellings(rules, wire)


cdef int set_level(Rules* rules, object level) except -1:
    """A level is an object, or a list with a role for each place."""
    roles = [*level.values()] if isinstance(level, Mapping) else [*level]
    if roles.count(PRICE) != 1 or SIZE not in roles:
        raise UsageError("a level of a Wire has a price and a size")
    if isinstance(level, Mapping):
        set_keys(&rules.level, level, (PRICE, SIZE, SIDE))
        return 0
    if roles.count(SIZE) != 1 or not {*roles} <= {IGNORED, PRICE, SIZE} or len(roles) > MAX_CELLS:
        raise UsageError("a level of a Wire that is a list has one price and one size")
    rules.cells = len(roles)
    for i, role in enumerate(roles):
        rules.cell[i] = role
    return 0


cdef int set_spellings(Rules* rules, object wire) except -1:
    """How a level mostly stands: without a blank, the price first and in quotes."""
    if not isinstance(wire.level, Mapping):
        if [*wire.level] == [PRICE, SIZE]:
            add_spelling(rules, '["', '","', '"]')
        return 0
    if not is_plain("".join(wire.level)):
        return 0
    price, = (name for name, role in wire.level.items() if role == PRICE)
    opening = '{"%s":"' % price
    if not rules.level.roles & 1 << SIDE:
        for name, role in wire.level.items():
            if role == SIZE:
                add_spelling(rules, opening, f'","{name}":"', '"}')
                add_spelling(rules, opening, f'","{name}":', '}')
        return 0
    if [*wire.level.values()] == [PRICE, SIZE, SIDE] and is_plain("".join(wire.sides)):
        price, size, side = wire.level
        tails = [f'"{side}":"{text}"}}' for text in wire.sides]
        if set_token(&rules.tail[0], tails[0]) and set_token(&rules.tail[1], tails[1]):
            add_spelling(rules, opening, f'","{size}":"', '",')
    return 0


cdef int add_spelling(Rules* rules, str opening, str between, str closing) except -1:
    """One more, unless it is too long for the scanner, which then reads the careful way."""
    cdef Spelling* spelling = &rules.spelling[rules.spellings]
    if rules.spellings == MAX_SPELLINGS:
        return 0
    spelling.quoted = closing[0] == '"'
    spelling.closing = ord(closing[spelling.quoted])
    rules.spellings += set_token(&spelling.opening, opening) and set_token(
        &spelling.between, between)
    spelling.room = spelling.opening.n + max(SEARCHED, spelling.between.n + NUMBERS)
    return 0


cdef dict _layouts = {}


cdef Layout layout_of(object wire):
    layout = _layouts.get(wire)
    if layout is None:
        layout = _layouts[wire] = Layout(wire)
    return layout
