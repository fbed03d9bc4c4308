# Lists of levels: those of both sides together, and those of a change.


cdef Bytes scan_both_sides(Scan* s, Bytes p) noexcept:
    """The list of all levels of both sides, into the draft."""
    cdef Level level
    cdef Ladder* ladder
    cdef Bytes begin = p
    cdef bint more = True
    cdef int n, side, missed = 0
    if peek(&s.source, p) != c'[':
        return refuse(&s.source, p, b"levels must be a list")
    for side in range(2):
        start_ladder(&s.draft[side])
        s.draft[side].skipped = True  # they stand among those of the other side
    side = 0
    p = blanks(&s.source, p + 1)
    if peek(&s.source, p) == c']':
        more = False
        p += 1
    while more:
        ladder = &s.draft[side]
        n = plain_rows(
            &p, s.source.end, &s.rules.spelling[0], &s.rules.tail[side], LEVELS,
            &ladder.price[ladder.n], &ladder.size[ladder.n]) if s.rules.spellings else 0
        if n:
            add_levels(ladder, side, n)
            missed = 0
        elif missed == 0 and s.rules.spellings:
            side = 1 - side
            missed = 1
            continue
        else:
            p = scan_level(s, p, True, &level)
            if p == NULL:
                return NULL
            side = level.side
            missed = 0
            add_level(&s.draft[side], side, level.price, level.size)
        p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
    for side in range(2):
        if not unambiguous(&s.draft[side]):
            return refuse(&s.source, begin, b"two levels at one price")
        s.draft[side].unsorted = False  # nobody promised an order
    return p


cdef int scan_plain_edits(Scan* s, Bytes* at, int role, int side) noexcept:
    """Rows of a change in one of the spellings that venues use; returns how many."""
    cdef Edits* edits = &s.edits
    cdef Rules* rules = s.rules
    cdef Token* tails = NULL if role <= ASKS else rules.tail
    cdef int _, n, i, first = edits.n
    for _ in range(rules.spellings):
        n = plain_edits(
            at, s.source.end, &rules.spelling[rules.usual], tails, role != DELETE, side,
            EDITS - first, &edits.price[first], &edits.size[first], &edits.side[first])
        if n:
            for i in range(first, first + n):
                edits.price[edits.n], edits.size[edits.n] = edits.price[i], edits.size[i]
                edits.side[edits.n] = edits.side[i]
                edits.n += edits.price[i] != 0
            return n
        rules.usual = (rules.usual + 1) % rules.spellings
    return 0


cdef Bytes scan_edits(Scan* s, Bytes p, int role) noexcept:
    """A list of what to change, of one side or of both."""
    cdef Edits* edits = &s.edits
    cdef Level level
    cdef bint more = True
    cdef int side = role - BIDS if role <= ASKS else 0
    if role <= ASKS and s.source.end - p > 4 and memcmp(p, b"null", 4) == 0:
        return p + 4  # of a side without a change
    if peek(&s.source, p) != c'[':
        return refuse(&s.source, p, b"levels must be a list")
    p = blanks(&s.source, p + 1)
    if peek(&s.source, p) == c']':
        return p + 1
    while more:
        if edits.n == EDITS:
            return refuse(&s.source, p, b"a change of more levels than a book has")
        if not scan_plain_edits(s, &p, role, side):
            level.side = side
            p = scan_level(s, p, role != DELETE, &level)
            if p == NULL:
                return NULL
            edits.price[edits.n], edits.size[edits.n] = level.price, level.size
            edits.side[edits.n] = level.side
            edits.n += level.price != 0
        p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
    return p


cdef Bytes scan_list(Scan* s, Bytes p, Walk* walk) noexcept:
    """A list of levels, as far as it is clear by now what they are; else it is read in the end."""
    cdef int role = walk.role
    if s.kind != DELTA and role <= ASKS:
        if s.head.n == 0:
            note_head(s, p, walk)
        return scan_side(s, p, role - BIDS)
    if s.kind != DELTA and role == BOTH:
        return scan_both_sides(s, p)
    s.change[role - BIDS] = p
    if s.kind != DELTA or role == BOTH or (role > BOTH and role < s.list):
        s.late = True
        return skip_value(&s.source, p, 0)
    s.list = role
    return scan_edits(s, p, role)
