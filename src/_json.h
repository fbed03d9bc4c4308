/* JSON text (RFC 8259), careful and exact: strings, numbers, and values that nobody wants.
 *
 * Every function takes a position and returns the position behind what it has read, or NULL after
 * noting in the Source what is wrong and where. Nothing at or behind `end` is ever read: the buffer
 * of a frame need not be followed by anything.
 */
#ifndef COINCALL_FAST_JSON_H
#define COINCALL_FAST_JSON_H

#include <stdint.h>
#include <string.h>

#include "_plain.h"

enum {
    NESTING = 64, /* of values that are skipped; a deeper one is refused */
    DECIMALS = 8,
    INTEGER_DIGITS = 18,
};

typedef struct {
    const unsigned char *start, *end;
    const unsigned char *at; /* where it went wrong */
    const char *reason;
} Source;

/* What stands between the quotes of a string. */
typedef struct {
    const unsigned char *p;
    int64_t n;
    int escaped;
} Text;

typedef enum { LEGAL, NOT_A_NUMBER, NEGATIVE, TOO_PRECISE, TOO_LARGE } Fault;

typedef struct {
    int64_t e8;  /* the value, in units of 1e-8 */
    int inexact; /* digits below 1e-8 were dropped */
} Number;

static inline const unsigned char *refuse(
    Source *s, const unsigned char *at, const char *reason
) {
    s->at = at;
    s->reason = reason;
    return 0;
}

/* The byte at p, or NUL, which is legal nowhere, behind the end. */
static inline unsigned char peek(const Source *s, const unsigned char *p) {
    return p < s->end ? *p : 0;
}

static inline const unsigned char *blanks(const Source *s, const unsigned char *p) {
    while (p < s->end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

static inline int is_digit(unsigned char c) { return (unsigned char)(c - '0') < 10; }

/* ------------------------------------------------------------------------------------ strings */

static const unsigned char *scan_escape(Source *s, const unsigned char *p) {
    const unsigned char c = peek(s, p + 1);
    int i;
    if (c == 'u') {
        for (i = 2; i < 6; i++) {
            const unsigned char hex = peek(s, p + i);
            if (!is_digit(hex) && ((hex | 0x20) < 'a' || (hex | 0x20) > 'f')) break;
        }
        if (i == 6) return p + 6;
    } else if (c && strchr("\"\\/bfnrt", c)) {
        return p + 2;
    }
    return refuse(s, p, "broken escape in a string");
}

/* A character of more than one byte, in the shortest form, and no surrogate (RFC 3629). */
static const unsigned char *scan_utf8(Source *s, const unsigned char *p) {
    const unsigned char c = *p, next = peek(s, p + 1);
    const unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80; /* bounds of the second */
    const unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    const int n = c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    int i = 2;
    while (i < n && (peek(s, p + i) & 0xC0) == 0x80) i++;
    if (n == 0 || i < n || next < low || next > high) return refuse(s, p, "invalid UTF-8");
    return p + n;
}

/* A string from its opening quote. `out` is left alone by one that is refused. */
static const unsigned char *scan_string(Source *s, const unsigned char *p, Text *out) {
    const unsigned char *const first = ++p;
    int escaped = 0;
    for (;;) {
        for (uint64_t n = 16; n == 16 && s->end - p >= 16; p += n) n = plain_bytes(p);
        while (p < s->end && (*p >= ' ') & (*p < 0x80) & (*p != '"') & (*p != '\\')) p++;
        if (p >= s->end) return refuse(s, s->end, "string without an end");
        if (*p == '"') break;
        if (*p < ' ') return refuse(s, p, "control character in a string");
        escaped |= *p == '\\';
        p = *p == '\\' ? scan_escape(s, p) : scan_utf8(s, p);
        if (!p) return 0;
    }
    out->p = first;
    out->n = p - first;
    out->escaped = escaped;
    return p + 1;
}

static unsigned hex4(const unsigned char *p) {
    unsigned value = 0;
    int i;
    for (i = 0; i < 4; i++) {
        value = value << 4 | (is_digit(p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10u);
    }
    return value;
}

/* The byte, or what the escape stands for, at p in a string that has been scanned: 1 to 4 bytes of
 * UTF-8. Returns how many, 0 for half a surrogate pair, which has none; p is then behind it. */
static int unescape(const unsigned char **at, unsigned char *utf8) {
    static const char SHORT[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    const unsigned char *p = *at;
    unsigned c, low;
    utf8[0] = *p++;
    *at = p;
    if (utf8[0] != '\\') return 1;
    *at = p + 1;
    if (*p != 'u') {
        utf8[0] = (unsigned char)MEANT[strchr(SHORT, *p) - SHORT];
        return 1;
    }
    c = hex4(p + 1);
    *at = p += 5;
    if (c >= 0xD800 && c < 0xE000) {
        if (c >= 0xDC00 || p[0] != '\\' || p[1] != 'u') return 0;
        low = hex4(p + 2);
        if (low < 0xDC00 || low >= 0xE000) return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        *at = p + 6;
        utf8[0] = (unsigned char)(0xF0 | c >> 18);
        utf8[1] = (unsigned char)(0x80 | (c >> 12 & 63));
        utf8[2] = (unsigned char)(0x80 | (c >> 6 & 63));
        utf8[3] = (unsigned char)(0x80 | (c & 63));
        return 4;
    }
    if (c < 0x80) {
        utf8[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        utf8[0] = (unsigned char)(0xC0 | c >> 6);
        utf8[1] = (unsigned char)(0x80 | (c & 63));
        return 2;
    }
    utf8[0] = (unsigned char)(0xE0 | c >> 12);
    utf8[1] = (unsigned char)(0x80 | (c >> 6 & 63));
    utf8[2] = (unsigned char)(0x80 | (c & 63));
    return 3;
}

/* ------------------------------------------------------------------------------------ numbers
 *
 * A number is legal if it is a JSON number (RFC 8259, section 6). Its value times 1e8 must be an
 * integer that fits int64: a price that does not is refused, a size with more decimals is rounded
 * down and counted (contract, section 1). */

static const char *fault_text(Fault fault) {
    return fault == NEGATIVE      ? "a negative price or size"
           : fault == TOO_PRECISE ? "a price that is no multiple of 1e-8"
           : fault == TOO_LARGE   ? "a number beyond 2**63-1 units of 1e-8"
                                  : "not a number";
}

/* The grammar: digits, a point in them (else NULL) and an exponent. Returns what follows, or NULL
 * and in `after` where it goes wrong. */
static const unsigned char *number_parts(
    const unsigned char *p, const unsigned char *end, const unsigned char **point,
    const unsigned char **last, int64_t *exponent, const unsigned char **after
) {
    static const int64_t FAR = 100000000000000000; /* past the length of any frame */
    const unsigned char *first;
    int down;
    *point = 0;
    *exponent = 0;
    *after = p;
    if (p < end && *p == '-') p++;
    first = p;
    while (p < end && is_digit(*p)) p++;
    if (p == first || (*first == '0' && p - first > 1)) return 0;
    if (p < end && *p == '.') {
        *point = p++;
        while (p < end && is_digit(*p)) p++;
        if (p == *point + 1) return 0;
    }
    *last = p;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        down = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end || !is_digit(*p)) return 0;
        for (; p < end && is_digit(*p); p++) {
            if (*exponent < FAR) *exponent = *exponent * 10 + (*p - '0');
        }
        if (down) *exponent = -*exponent;
    }
    *after = p;
    return p;
}

/* Any JSON number, exactly. `after` gets what follows it, or where it goes wrong. */
static Fault any_number(
    const unsigned char *p, const unsigned char *end, int is_size, Number *out,
    const unsigned char **after
) {
    const unsigned char *point, *last;
    int64_t shift, keep;
    uint64_t value = 0;
    int negative, nonzero = 0;
    if (!number_parts(p, end, &point, &last, &shift, after)) return NOT_A_NUMBER;
    /* Its digits as an integer, times 10**shift; a negative shift leaves off the last digits. */
    negative = *p == '-';
    p += negative;
    shift += DECIMALS;
    keep = last - p;
    if (point) {
        shift -= last - point - 1;
        keep--;
    }
    if (shift < 0) keep += shift;
    out->inexact = 0;
    for (; p < last; p++) {
        const uint64_t digit = *p - (uint64_t)'0';
        if (p == point) continue;
        nonzero |= digit != 0;
        if (keep-- > 0) {
            if (value > ((uint64_t)INT64_MAX - digit) / 10) return TOO_LARGE;
            value = value * 10 + digit;
        } else {
            out->inexact |= digit != 0;
        }
    }
    if (negative && nonzero) return NEGATIVE;
    if (out->inexact && !is_size) return TOO_PRECISE;
    for (; value && shift > 0; shift--) {
        if (value > (uint64_t)INT64_MAX / 10) return TOO_LARGE;
        value *= 10;
    }
    if (out->inexact && value == (uint64_t)INT64_MAX) return TOO_LARGE; /* with what was dropped */
    out->e8 = (int64_t)value;
    return LEGAL;
}

/* A number and nothing else but blanks around it, as in a JSON string. */
static Fault padded_number(
    const unsigned char *p, const unsigned char *end, int is_size, Number *out,
    const unsigned char **after
) {
    Fault fault;
    while (p < end && *p == ' ') p++;
    fault = any_number(p, end, is_size, out, after);
    if (fault != LEGAL) return fault;
    while (*after < end && **after == ' ') ++*after;
    return *after == end ? LEGAL : NOT_A_NUMBER;
}

/* An integer of 1 to 18 digits. */
static const unsigned char *scan_integer(
    Source *s, const unsigned char *p, int64_t *value, const char *wrong
) {
    const unsigned char *const first = p;
    const unsigned char *const stop = s->end - p < INTEGER_DIGITS ? s->end : p + INTEGER_DIGITS;
    int64_t read = 0;
    unsigned char next;
    for (; p < stop && is_digit(*p); p++) read = read * 10 + (*p - '0');
    next = peek(s, p);
    if (p == first || (*first == '0' && p - first > 1) || is_digit(next) || next == '.' ||
        (next | 0x20) == 'e') return refuse(s, first, wrong);
    *value = read;
    return p;
}

/* ------------------------------------------------------------------------------------- values */

/* A key of an object and its colon, up to its value. */
static const unsigned char *scan_key(Source *s, const unsigned char *p, Text *key) {
    if (peek(s, p) != '"') return refuse(s, p, "no key where one must stand");
    p = scan_string(s, p, key);
    if (!p) return 0;
    p = blanks(s, p);
    if (peek(s, p) != ':') return refuse(s, p, "no colon behind a key");
    return blanks(s, p + 1);
}

/* What follows a member: a comma and the next one, or the end of the object or list. */
static inline const unsigned char *scan_separator(
    Source *s, const unsigned char *p, unsigned char closing, int *more
) {
    p = blanks(s, p);
    *more = peek(s, p) == ',';
    if (*more) return blanks(s, p + 1);
    if (peek(s, p) == closing) return p + 1;
    return refuse(s, p, "neither a comma nor the end of an object or list");
}

/* Any JSON value, checked and forgotten. */
static const unsigned char *skip_value(Source *s, const unsigned char *p, int depth) {
    const unsigned char c = peek(s, p);
    const unsigned char *point, *last, *after = p;
    const int64_t left = s->end - p;
    int64_t exponent;
    int more = 1;
    Text text;
    if (c == '"') return scan_string(s, p, &text);
    if (number_parts(p, s->end, &point, &last, &exponent, &after)) return after;
    if (c == '{' || c == '[') {
        const unsigned char closing = c + 2; /* ASCII has '{' '}' and '[' ']' two apart */
        if (depth == NESTING) return refuse(s, p, "nested too deep");
        p = blanks(s, p + 1);
        if (peek(s, p) == closing) return p + 1;
        while (more && p) {
            if (c == '{') p = scan_key(s, p, &text);
            if (p) p = skip_value(s, p, depth + 1);
            if (p) p = scan_separator(s, p, closing, &more);
        }
        return p;
    }
    if (left >= 4 && (!memcmp(p, "true", 4) || !memcmp(p, "null", 4))) return p + 4;
    if (left >= 5 && !memcmp(p, "false", 5)) return p + 5;
    return refuse(s, after, "not a JSON value");
}

#endif
