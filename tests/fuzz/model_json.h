/* JSON the obvious way. First a whole text is checked to be JSON (value()); then all else may take
 * that for granted, and walks it as often as it likes. Shares nothing with the core.
 */
#ifndef COINCALL_FAST_FUZZ_MODEL_JSON_H
#define COINCALL_FAST_FUZZ_MODEL_JSON_H

#include <stdint.h>
#include <string.h>

typedef const uint8_t *At;

/* ------------------------------------------------------------------------- RFC 8259, and UTF-8 */

typedef struct {
    At p, end;
    int deepest;
} Reader;

static int next_is(Reader *r, uint8_t c) {
    if (r->p == r->end || *r->p != c) return 0;
    r->p++;
    return 1;
}

static void blanks(Reader *r) {
    while (next_is(r, ' ') || next_is(r, '\n') || next_is(r, '\r') || next_is(r, '\t')) {}
}

static int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static int hex(uint8_t c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int digits(Reader *r) {
    At first = r->p;
    while (r->p < r->end && is_digit(*r->p)) r->p++;
    return r->p > first;
}

static int number(Reader *r) {
    next_is(r, '-');
    if (!next_is(r, '0') && !digits(r)) return 0;
    if (next_is(r, '.') && !digits(r)) return 0;
    if (next_is(r, 'e') || next_is(r, 'E')) {
        if (!next_is(r, '-')) next_is(r, '+');
        return digits(r);
    }
    return 1;
}

/* One character of UTF-8 that is not ASCII: table 3-7 of the Unicode standard, row by row. */
static int beyond_ascii(Reader *r) {
    static const uint8_t ROWS[][4] = { /* first byte from, to; second byte from, to */
        {0xC2, 0xDF, 0x80, 0xBF}, {0xE0, 0xE0, 0xA0, 0xBF}, {0xE1, 0xEC, 0x80, 0xBF},
        {0xED, 0xED, 0x80, 0x9F}, {0xEE, 0xEF, 0x80, 0xBF}, {0xF0, 0xF0, 0x90, 0xBF},
        {0xF1, 0xF3, 0x80, 0xBF}, {0xF4, 0xF4, 0x80, 0x8F},
    };
    uint8_t first = *r->p;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        if (first < ROWS[i][0] || first > ROWS[i][1]) continue;
        if (r->end - r->p < length || r->p[1] < ROWS[i][2] || r->p[1] > ROWS[i][3]) return 0;
        for (int k = 2; k < length; k++)
            if (r->p[k] < 0x80 || r->p[k] > 0xBF) return 0;
        r->p += length;
        return 1;
    }
    return 0;
}

static int string(Reader *r) {
    if (!next_is(r, '"')) return 0;
    while (r->p < r->end) {
        uint8_t c = *r->p;
        if (next_is(r, '"')) return 1;
        if (c < 0x20) return 0;
        if (c >= 0x80) {
            if (!beyond_ascii(r)) return 0;
        } else if (next_is(r, '\\')) {
            if (r->p == r->end) return 0;
            c = *r->p++;
            if (c == 'u') {
                for (int i = 0; i < 4; i++, r->p++)
                    if (r->p == r->end || hex(*r->p) < 0) return 0;
            } else if (!c || !strchr("\"\\/bfnrt", c)) {
                return 0;
            }
        } else {
            r->p++;
        }
    }
    return 0;
}

static int word(Reader *r, const char *text) {
    while (*text)
        if (!next_is(r, (uint8_t)*text++)) return 0;
    return 1;
}

static int value(Reader *r, int depth);

static int members(Reader *r, int depth, uint8_t closing) {
    if (depth > r->deepest) r->deepest = depth;
    r->p++;
    blanks(r);
    if (next_is(r, closing)) return 1;
    do {
        blanks(r);
        if (closing == '}') {
            if (!string(r)) return 0;
            blanks(r);
            if (!next_is(r, ':')) return 0;
        }
        if (!value(r, depth)) return 0;
    } while (next_is(r, ','));
    return next_is(r, closing);
}

/* A value and the blanks around it. */
static int value(Reader *r, int depth) {
    int legal;
    blanks(r);
    if (r->p == r->end) return 0;
    switch (*r->p) {
    case '{': legal = members(r, depth + 1, '}'); break;
    case '[': legal = members(r, depth + 1, ']'); break;
    case '"': legal = string(r); break;
    case 't': legal = word(r, "true"); break;
    case 'f': legal = word(r, "false"); break;
    case 'n': legal = word(r, "null"); break;
    default: legal = number(r);
    }
    blanks(r);
    return legal;
}

/* ---------------------------------------------------------------------- walks over legal JSON */

static At after_blanks(At p, At end) {
    while (p < end && strchr(" \n\r\t", *p)) p++;
    return p;
}

static At after_string(At p) {
    for (p++; *p != '"'; p++)
        if (*p == '\\') p++;
    return p + 1;
}

static At after_value(At p, At end) {
    int open = 0;
    while (p < end) {
        if (*p == '"') {
            p = after_string(p);
            if (!open) return p;
            continue;
        }
        if (!open && strchr(",]} \n\r\t", *p)) return p;
        if (*p == '{' || *p == '[') open++;
        if ((*p == '}' || *p == ']') && --open == 0) return p + 1;
        p++;
    }
    return p;
}

typedef struct { At from, to; } Piece;

/* Steps through the members of an object or list; `key` is left alone in a list. */
static int next_member(At *p, At end, Piece *key, Piece *item) {
    *p = after_blanks(*p, end);
    if (**p == ',' || **p == '{' || **p == '[') *p = after_blanks(*p + 1, end);
    if (**p == '}' || **p == ']') return 0;
    if (key) {
        key->from = *p;
        key->to = *p = after_string(*p);
        *p = after_blanks(after_blanks(*p, end) + 1, end);
    }
    item->from = *p;
    item->to = *p = after_value(*p, end);
    return 1;
}

static uint8_t unescaped[1 << 16];

/* What a string says, as UTF-8; `speakable` is 0 where half a surrogate pair stands in it. */
static int text_of(Piece string, int *speakable) {
    uint8_t *out = unescaped;
    *speakable = 1;
    for (At p = string.from + 1; p < string.to - 1;) {
        static const char NAMES[] = "bfnrt", MEANT[] = "\b\f\n\r\t";
        const char *name;
        unsigned c = *p++, low = 0;
        if (c != '\\') {
            *out++ = (uint8_t)c;
            continue;
        }
        c = *p++;
        name = strchr(NAMES, (int)c);
        if (name) c = (unsigned char)MEANT[name - NAMES];
        if (!name && c == 'u') {
            c = 0;
            for (int i = 0; i < 4; i++) c = c * 16 + (unsigned)hex(*p++);
            if (c >= 0xD800 && c < 0xDC00 && p[0] == '\\' && p[1] == 'u') {
                for (int i = 2; i < 6; i++) low = low * 16 + (unsigned)hex(p[i]);
                if (low >= 0xDC00 && low < 0xE000) {
                    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                    p += 6;
                }
            }
            if (c >= 0xD800 && c < 0xE000) *speakable = 0;
        }
        if (c >= 0x10000) {
            *out++ = (uint8_t)(0xF0 | c >> 18);
            *out++ = (uint8_t)(0x80 | (c >> 12 & 63));
        } else if (c >= 0x800) {
            *out++ = (uint8_t)(0xE0 | c >> 12);
        } else if (c >= 0x80) {
            *out++ = (uint8_t)(0xC0 | c >> 6);
        }
        if (c >= 0x800) *out++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *out++ = (uint8_t)(c < 0x80 ? c : 0x80 | (c & 63));
    }
    return (int)(out - unescaped);
}

static int says(Piece string, const char *text) {
    int speakable;
    return *string.from == '"' && text_of(string, &speakable) == (int)strlen(text) && speakable &&
           memcmp(unescaped, text, strlen(text)) == 0;
}

/* How many members of an object have one of two keys; `out` gets the value of the last. */
static int members_called(Piece object, const char *name, const char *other, Piece *out) {
    Piece key, item;
    At p = object.from;
    int found = 0;
    if (*object.from != '{') return 0;
    while (next_member(&p, object.to, &key, &item)) {
        if (!says(key, name) && !(other && says(key, other))) continue;
        *out = item;
        found++;
    }
    return found;
}

static int the_one(Piece object, const char *name, Piece *out) {
    return members_called(object, name, 0, out) == 1;
}

/* ------------------------------------------------------------------------------------ numbers */

/* A number in units of 1e-8, rounded down; 0 where it is none, negative or too large. */
static int units(Piece token, int64_t *e8, int *inexact) {
    Reader r = {token.from, token.to, 0};
    long exponent = 8, shift = 0;
    int negative, down, speakable, n = 0, in_fraction = 0;
    unsigned __int128 whole = 0;
    static uint8_t figures[1 << 16];
    At p;
    if (*token.from == '"') {
        r.p = unescaped;
        r.end = unescaped + text_of(token, &speakable);
        if (!speakable) return 0;
        while (next_is(&r, ' ')) {}
        while (r.end > r.p && r.end[-1] == ' ') r.end--;
    }
    p = r.p;
    if (!number(&r) || r.p != r.end) return 0;
    negative = *p == '-';
    for (p += negative; p < r.end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            in_fraction = 1;
            continue;
        }
        exponent -= in_fraction;
        if (n || *p != '0') figures[n++] = (uint8_t)(*p - '0');
    }
    if (p < r.end) {
        down = *++p == '-';
        if (!is_digit(*p)) p++;
        for (; p < r.end; p++)
            if (shift < 1000000) shift = shift * 10 + (*p - '0');
        exponent += down ? -shift : shift;
    }
    while (n && !figures[n - 1]) {
        n--;
        exponent++;
    }
    *e8 = 0;
    *inexact = 0;
    if (!n) return 1;
    if (negative || n + exponent > 19) return 0;
    *inexact = exponent < 0;
    for (long i = 0; i < n + exponent; i++) whole = whole * 10 + (i < n ? figures[i] : 0);
    if (whole > INT64_MAX || (whole == INT64_MAX && *inexact)) return 0;
    *e8 = (int64_t)whole;
    return 1;
}

/* Up to 18 digits, as they stand. */
static int integer(Piece token, int64_t *value) {
    *value = 0;
    if (token.to == token.from || token.to - token.from > 18) return 0;
    if (*token.from == '0' && token.to - token.from > 1) return 0;
    for (At p = token.from; p < token.to; p++) {
        if (!is_digit(*p)) return 0;
        *value = *value * 10 + (*p - '0');
    }
    return 1;
}

#endif
