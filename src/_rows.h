/* A row: an object whose fields are numbers, codes and texts, whatever their keys and order.
 *
 * Each field that somebody wants goes into a cell: its value, and where it stands, so that the
 * digits of the venue are never lost. Positions and refusals are as in _json.h. All of it wants the
 * interpreter's lock, for the few numbers that the C library of Python must read.
 */
#ifndef COINCALL_FAST_ROWS_H
#define COINCALL_FAST_ROWS_H

#include <math.h>

#include <Python.h>

#include "_fields.h"

enum {
    CELLS = 27,       /* of a row: as many as fit what Python's allocator serves quickly */
    DIGITS = 640,     /* of the longest integer: Python converts so many whatever its settings */
    WORDS = 16,       /* for the codes of one kind */
};
#define UNREAD INT64_MIN /* stands for an integer that int64 does not hold */

/* What a value is; the first three are numbers. */
typedef enum {
    NUMBER,
    VOLATILITY, /* from 1e300 on it means that there is none: protocol page, section 5, row 7 */
    QUOTE,      /* a price whose 0 means that there is none, in what is made to compute with */
    INTEGER,
    CODE,       /* an integer, or a word that stands for one */
    FLAG,
    TEXT,
    ANYTHING,
    WORD,    /* a word that stands for a code, or any other text */
    LABEL,   /* a text, or an integer that is taken as one */
    SECONDS, /* a time, as milliseconds */
} Kind;

/* A value, and its text in the frame, without quotes and the blanks around it; n = 0: there is no
 * value, which null, "" and " " say too. A number is in units of 1e-8 if in_e8 is set; what is no
 * number is then not what its text says, but was made of it. */
typedef struct {
    union {
        double number;
        int64_t integer;
    };
    uint32_t at;
    uint32_t n : 31, in_e8 : 1;
} Cell;

/* Words that stand for codes. */
typedef struct {
    Key word[WORDS];
    int64_t code[WORDS];
    int n;
} Words;

/* What is under one key. */
typedef struct {
    unsigned char kind, cell;
    unsigned char alone; /* whether no other key is for the same cell */
    unsigned char none;  /* whether the text None says that there is no value */
    uint64_t better;     /* keys whose values go before its own, for the same cell */
    const Words *words;
} Column;

/* The keys of one kind of row; the role of each is its own index and one. */
typedef struct {
    Keys keys;
    Column of[MAX_KEYS];
} Columns;

/* ------------------------------------------------------------------------------------- values */

/* w / 10**d, where d is 0 to 27, to the nearest float; or -1, where this machine cannot tell. */
static double quotient(uint64_t w, int d) {
    static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    /* Both are floats without rounding, so one rounding is made. */
    if (w <= 1ull << 53 && d <= 22) return (double)w / POWERS[d];
#ifdef __SIZEOF_INT128__
    {
        /* As integers, by 5**d and then by 2**d: 64 bits of the quotient, and whether that is all.
         * 53 of them stay, rounded to the nearest, halves to even. */
        static const uint64_t FIVES[] = {
            1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625,
            1220703125, 6103515625, 30517578125, 152587890625, 762939453125, 3814697265625,
            19073486328125, 95367431640625, 476837158203125, 2384185791015625, 11920928955078125,
            59604644775390625, 298023223876953125, 1490116119384765625, 7450580596923828125};
        const int up = __builtin_clzll(w), up5 = __builtin_clzll(FIVES[d]);
        const uint64_t five = FIVES[d] << up5;
        const int shift = 64 - (w << up >= five);
        const unsigned __int128 high = (unsigned __int128)(w << up) << shift;
        const uint64_t q = (uint64_t)(high / five), kept = q >> 11;
        const uint64_t left = (q & 2047) | (high != (unsigned __int128)q * five);
        const uint64_t rounded = kept + (left > 1024 || (left == 1024 && kept & 1));
        return ldexp((double)rounded, 11 - shift - up + up5 - d);
    }
#else
    return -1;
#endif
}

/* A number of up to 19 digits and maybe a small exponent, without a sign: what follows it, or NULL.
 */
static OWN_FRAME const unsigned char *short_number(
    const unsigned char *p, const unsigned char *end, double *number
) {
    const unsigned char *const first = p, *point = 0, *last;
    uint64_t w = 0;
    int d = 0, e = 0, down;
    for (; p < end; p++) {
        if (is_digit(*p)) w = w * 10 + (*p - (uint64_t)'0');
        else if (*p == '.' && !point) point = p;
        else break;
    }
    last = p;
    if (point) d = (int)(last - point) - 1;
    if (last - first - !!point > 19 || last == first || point == first || (point && d == 0) ||
        (*first == '0' && last > first + 1 && point != first + 1)) return 0;
    if (p < end && (*p | 0x20) == 'e') {
        down = ++p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        for (last = p; p < end && p < last + 3 && is_digit(*p); p++) e = e * 10 + (*p - '0');
        if (p == last || (p < end && is_digit(*p))) return 0;
        d += down ? e : -e;
    }
    if (w && (d < 0 || d > 27)) return 0;
    *number = w ? quotient(w, d) : 0;
    return *number < 0 ? 0 : p;
}

/* The float that is nearest to a legal number of n bytes; nan where memory does not suffice. */
static double nearest_float(const unsigned char *p, int64_t n) {
    char some[64], *text = some;
    const int minus = *p == '-';
    double number;
    if (short_number(p + minus, p + n, &number) == p + n) return minus ? -number : number;
    if (n >= (int64_t)sizeof some) text = PyMem_Malloc((size_t)n + 1);
    if (!text) return Py_NAN;
    memcpy(text, p, (size_t)n);
    text[n] = 0;
    number = PyOS_string_to_double(text, NULL, NULL);
    if (text != some) PyMem_Free(text);
    if (number != -1 || !PyErr_Occurred()) return number;
    PyErr_Clear();
    return Py_NAN;
}

/* The number in a cell; nan where it means that there is none. */
static inline double number_in(const Cell *cell, int kind) {
    if (cell->n == 0) return Py_NAN;
    if (cell->in_e8) {
        return kind == QUOTE && cell->integer == 0 ? Py_NAN : (double)cell->integer / 1e8;
    }
    if ((kind == QUOTE && cell->number == 0) || (kind == VOLATILITY && cell->number >= 1e300)) {
        return Py_NAN;
    }
    return cell->number;
}

/* Whether the n bytes are an integer. */
static int set_integer(Cell *cell, const unsigned char *p, int64_t n) {
    const unsigned char *const end = p + n, *const first = p + (n && *p == '-');
    uint64_t value = 0;
    if (first == end || end - first > DIGITS || (*first == '0' && end - first > 1)) return 0;
    for (p = first; p < end && is_digit(*p); p++) {
        if (p - first < 19) value = value * 10 + (*p - (uint64_t)'0');
    }
    if (end - first > 19 || value > (uint64_t)INT64_MAX) {
        cell->integer = UNREAD;
    } else {
        cell->integer = end - n == first ? (int64_t)value : -(int64_t)value;
    }
    return p == end;
}

static int set_flag(Cell *cell, const unsigned char *p, int64_t n) {
    cell->integer = (n == 1 && *p == '1') || (n == 4 && !memcmp(p, "true", 4));
    return cell->integer || (n == 1 && *p == '0') || (n == 5 && !memcmp(p, "false", 5));
}

static int set_word(Cell *cell, const Words *words, const unsigned char *p, int64_t n) {
    const Text text = {p, n, 0};
    int i;
    for (i = 0; i < words->n && !is_text(&text, &words->word[i]);) i++;
    if (i < words->n) cell->integer = words->code[i];
    return i < words->n;
}

/* Seconds, with decimals or without: milliseconds, rounded down. */
static int set_seconds(Cell *cell, const unsigned char *p, int64_t n) {
    const unsigned char *const end = p + n, *const first = p;
    int64_t ms = 0;
    int decimals = 0;
    for (; p < end && is_digit(*p) && p < first + 15; p++) ms = ms * 10 + (*p - '0');
    if (p == first || (*first == '0' && p > first + 1)) return 0;
    if (p + 1 < end && *p == '.') {
        for (p++; p < end && is_digit(*p); p++) {
            if (decimals < 3) ms = ms * 10 + (*p - '0'), decimals++;
        }
    }
    for (; decimals < 3; decimals++) ms *= 10;
    cell->integer = ms;
    cell->in_e8 = 1;
    return p == end;
}

/* The value of a cell from its text, and whether it has one of that kind. */
static int set_cell(
    Cell *cell, const Column *column, const unsigned char *p, int64_t n, int quoted
) {
    const unsigned char *point, *last, *after;
    int64_t exponent;
    switch (column->kind) {
    case TEXT: return quoted;
    case INTEGER: return set_integer(cell, p, n);
    case FLAG: return set_flag(cell, p, n);
    case CODE: return set_integer(cell, p, n) || (quoted && set_word(cell, column->words, p, n));
    case LABEL: return quoted || set_integer(cell, p, n);
    case SECONDS: return set_seconds(cell, p, n);
    case WORD:
        if (set_word(cell, column->words, p, n)) return 1; /* true and false are words too */
        cell->integer = UNREAD;
        return quoted;
    default:
        if (number_parts(p, p + n, &point, &last, &exponent, &after) != p + n) return 0;
        cell->number = nearest_float(p, n);
        return !isnan(cell->number);
    }
}

static const char *expected(int kind) {
    return kind == INTEGER ? "not an integer"
           : kind == CODE  ? "not a code"
           : kind == FLAG  ? "neither 0 nor 1"
           : kind == TEXT || kind == WORD ? "not a text"
           : kind == LABEL ? "neither a text nor an integer"
           : kind == SECONDS ? "not a time in seconds"
                           : "not a number";
}

/* The value of a string that holds escapes. */
static int set_escaped(Cell *cell, const Column *column, const Text *text) {
    const unsigned char *p = text->p;
    unsigned char *const plain = PyMem_Malloc((size_t)text->n + 4); /* an escape only shrinks */
    int64_t n = 0, first = 0;
    int part = 1, legal;
    while (plain && part && p < text->p + text->n) {
        part = unescape(&p, plain + n);
        n += part;
    }
    legal = plain && part;
    if (legal) {
        while (n > first && plain[n - 1] == ' ') n--;
        while (n > first && plain[first] == ' ') first++;
        if (n == first) cell->n = 0;
        else legal = set_cell(cell, column, plain + first, n - first, 1);
    }
    PyMem_Free(plain);
    return legal;
}

/* Where the text of a value stands, that is no number in units of 1e-8. */
static inline void set_text(Cell *cell, const Source *s, const unsigned char *p, int64_t n) {
    cell->at = (uint32_t)(p - s->start);
    cell->n = (uint32_t)n;
    cell->in_e8 = 0;
}

/* Any value, in whatever legal spelling. */
static const unsigned char *scan_any_cell(
    Source *s, const unsigned char *p, const Column *column, Cell *cell
) {
    const unsigned char c = peek(s, p), *const first = p;
    const int kind = column->kind;
    Text text = {p, 0, 0};
    if ((c | 1) == '1' && kind >= INTEGER && kind <= FLAG && s->end - p > 1 &&
        (p[1] == ',' || p[1] == '}')) {
        cell->integer = c & 1;
        set_text(cell, s, p, 1);
        return p + 1;
    }
    if (is_digit(c) && c != '0' && (kind == INTEGER || kind == CODE) && p - s->start >= BEFORE) {
        /* Near the end of a frame, mostly its time. */
        const unsigned char *const stop = s->end - p < 16 ? s->end : p + 16;
        while (p < stop && is_digit(*p)) p++;
        if (peek(s, p) == ',' || peek(s, p) == '}') {
            cell->integer = digits_before(p, (uint64_t)(p - first));
            set_text(cell, s, first, p - first);
            return p;
        }
        p = first;
    }
    if (c == '"' && kind != ANYTHING) {
        p = scan_string(s, p, &text);
        if (!p) return 0;
        while (text.n && text.p[text.n - 1] == ' ') text.n--;
        while (text.n && *text.p == ' ') text.p++, text.n--;
        if (column->none && text.n == 4 && !memcmp(text.p, "None", 4)) text.n = 0;
        if (text.n && (kind == TEXT || kind == LABEL || (kind == WORD && !column->words->n))) {
            /* as it was sent */
            text.p = first + 1;
            text.n = p - 1 - text.p;
        }
    } else {
        p = skip_value(s, p, 0);
        if (!p) return 0;
        if (c != 'n' && !(c == '"' && p == first + 2)) text.n = p - first;
    }
    set_text(cell, s, text.p, text.n);
    if (text.n == 0 || kind == ANYTHING) return p;
    if (text.escaped ? set_escaped(cell, column, &text)
                     : set_cell(cell, column, text.p, text.n, c == '"')) return p;
    return refuse(s, first, expected(kind));
}

/* A value that is spelled as venues mostly do, from its first byte behind a quote; what follows it,
 * or NULL. There must be BEFORE bytes before it, and BEHIND from it on. */
static NO_FRAME const unsigned char *plain_cell(
    const Source *s, const unsigned char *p, int kind, Cell *cell
) {
    const unsigned char *after = 0;
    if (kind <= QUOTE) {
        after = plain_decimal(p, s->end, &cell->integer);
        cell->in_e8 = 1;
    } else if (kind <= CODE) {
        after = plain_integer(p, s->end, &cell->integer);
        cell->in_e8 = 0;
    } else if (kind == FLAG && (*p | 1) == '1' && (p[1] == ',' || p[1] == '"')) {
        after = p + 1;
        cell->integer = *p & 1;
    } else if (kind == TEXT && *p != ' ') {
        uint64_t n = plain_bytes(p);
        if (n == 16 && s->end - p > 32) n += plain_bytes(p + 16);
        after = n ? p + n : 0;
    }
    cell->at = (uint32_t)(p - s->start);
    cell->n = (uint32_t)(after - p);
    return after;
}

/* The same, from its first byte on. Where it ends may not wait for whether it has quotes, and so
 * this is a branch. */
static NO_FRAME const unsigned char *plain_value(
    const Source *s, const unsigned char *p, int kind, Cell *cell
) {
    const unsigned char *after;
    if (*p == '"') {
        after = plain_cell(s, p + 1, kind, cell);
        return after && *after == '"' ? after + 1 : 0;
    }
    after = kind == TEXT ? 0 : plain_cell(s, p, kind, cell);
    return after && (*after | 0x20) != 'e' ? after : 0;
}

/* A value, from its first byte. */
static const unsigned char *scan_cell(
    Source *s, const unsigned char *p, const Column *column, Cell *cell
) {
    const unsigned char *after = 0;
    if (s->end - p > BEHIND && p - s->start >= BEFORE) {
        after = plain_value(s, p, column->kind, cell);
    }
    return after ? after : scan_any_cell(s, p, column, cell);
}

/* A time, from its first byte. */
static const unsigned char *scan_time(Source *s, const unsigned char *p, Cell *cell) {
    static const Column INTEGERS = {INTEGER, 0, 0, 0, 0, 0};
    return scan_cell(s, p, &INTEGERS, cell);
}

/* A value that plain_value() does not read, mostly a number of more digits. */
static OWN_FRAME const unsigned char *long_value(
    Source *s, const unsigned char *p, const Column *column, Cell *cell
) {
    const int quoted = *p == '"', minus = p[quoted] == '-';
    const unsigned char *const first = p + quoted, *after = 0;
    double number;
    if (column->kind <= QUOTE) after = short_number(first + minus, s->end, &number);
    if (!after || (quoted ? peek(s, after) != '"' : (peek(s, after) | 0x20) == 'e')) {
        return scan_any_cell(s, blanks(s, p), column, cell);
    }
    cell->number = minus ? -number : number;
    set_text(cell, s, first, after - first);
    return after + quoted;
}

/* The same, in seconds. */
static const unsigned char *scan_seconds(Source *s, const unsigned char *p, Cell *cell) {
    static const Column TIMES = {SECONDS, 0, 0, 0, 0, 0};
    return scan_cell(s, p, &TIMES, cell);
}

/* A row into cells, whose n must be 0. If it is refused for a value, `*wrong` is the index of its
 * key, else it is -1. */
static const unsigned char *scan_row(
    Source *s, const unsigned char *p, Columns *columns, Cell *cells, int *wrong
) {
    enum { ROOM = TOKEN + BEHIND + 2 };
    const unsigned char *const roomy =
        p - s->start >= BEFORE && s->end - p > ROOM ? s->end - ROOM : p;
    Keys *const keys = &columns->keys;
    uint64_t filled = 0;
    Walk walk;
    Cell cell;
    begin_walk(&walk);
    *wrong = -1;
    for (;;) {
        int key = keys->follows[walk.last];
        const Token *const token = &keys->key[key].token;
        const unsigned char *after = 0;
        Cell *to;
        if (p < roomy && *p == walk.before && stands(p + 1, token) &&
            !(walk.seen >> key & 2)) { /* as next_field() does, in fewer steps */
            walk.seen |= 2ull << key;
            walk.before = ',';
            walk.last = key;
            p += 1 + token->n;
            to = columns->of[key].alone ? &cells[columns->of[key].cell] : &cell;
            after = plain_value(s, p, columns->of[key].kind, to);
            if (!after) after = long_value(s, p, &columns->of[key], to);
        } else {
            p = next_field(s, p, keys, &walk);
            if (!p || walk.role < 0) return p;
            key = walk.role - 1;
            to = columns->of[key].alone ? &cells[columns->of[key].cell] : &cell;
            after = scan_cell(s, p, &columns->of[key], to);
        }
        if (!after) {
            *wrong = key;
            return 0;
        }
        p = after;
        if (to == &cell && cell.n && !(filled & columns->of[key].better)) {
            filled |= 1ull << key;
            cells[columns->of[key].cell] = cell;
        }
    }
}

#endif
