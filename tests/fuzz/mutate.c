/* Small edits of sequences of frames, most of which leave them legal.
 *
 * Bytes at random find a hole in the grammar; that levels are reused wrongly shows only in a frame
 * that differs a little, and legally, from the one before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edits.h"
#include "harness.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum {
    SPANS = 512, /* levels or numbers of an input that may be chosen from */
    PIECE = 1024, /* bytes of the longest level or row that is moved */
    MESSAGES = 16, /* the option of inputs that are for messages, which edits leave alone */
};

uint8_t *text;
size_t length, room;
static uint64_t state;

size_t below(size_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? (size_t)((state >> 11) % n) : 0;
}

int replace(Span span, const void *with, size_t n) {
    size_t cut = span.to - span.from;
    if (length - cut + n > room) return 0;
    memmove(text + span.from + n, text + span.to, length - span.to);
    memcpy(text + span.from, with, n);
    length = length - cut + n;
    return 1;
}

int insert(size_t at, const void *piece, size_t n) {
    Span none = {at, at};
    return replace(none, piece, n);
}

void cut(Span span) { replace(span, "", 0); }

/* ------------------------------------------------------------------------------------ spans */

/* The steps, without the byte that ends them. The first byte of an input is its options. */
static int find_steps(Span *steps) {
    int n = 0;
    size_t from = 1;
    while (from <= length && n < STEPS) {
        const uint8_t *end = memchr(text + from, END_OF_STEP, length - from);
        size_t to = end ? (size_t)(end - text) : length;
        steps[n].from = from;
        steps[n++].to = to;
        from = to + 1;
    }
    return n;
}

/* Objects that hold no other one, of which nearly all are levels. */
static int find_levels(Span within, Span *levels) {
    int n = 0;
    size_t open = 0;
    for (size_t i = within.from; i < within.to && n < SPANS; i++) {
        if (text[i] == '{') open = i + 1;
        if (text[i] == '}' && open) {
            levels[n].from = open - 1;
            levels[n++].to = i + 1;
            open = 0;
        }
    }
    return n;
}

static int in_number(uint8_t c) { return (c >= '0' && c <= '9') || c == '.'; }

static int find_numbers(Span within, Span *numbers, int most) {
    int n = 0;
    for (size_t i = within.from; i < within.to && n < most; i++) {
        if (!in_number(text[i])) continue;
        numbers[n].from = i;
        while (i < within.to && in_number(text[i])) i++;
        numbers[n++].to = i;
    }
    return n;
}

/* ------------------------------------------------------------------------------------ edits */

static const char *const NUMBERS[] = {
    "0", "1", "2", "10", "0.5", "1.5", "0.00000001", "0.000000001", "1.00", "00", "01", "1.", ".5",
    "-0", "-1", "1e1", "1E-8", "1e-9", "0e9", "1e999999999999", "12345678", "123456789",
    "99999999.99999999", "12345678.12345678", "0.12345678", "0.123456789", "10000000.0",
    "1234567890.12345678", "92233720368.54775807", "92233720368.54775808", "92233720368.547758071", "1000000000000", "18446744073709551616",
    "9223372036854775807e-8", "1 ", " 1", "1.5 ", "",
};

static const char *const PIECES[] = {
    " ", "\n", "\t", "  ", "\"", "\\", "{", "}", "[", "]", ":", ",", "null", "true", "false", "{}",
    "[]", "\\u0070", "\\u0073", "\\ud83d\\ude00", "\\ud83d", "\xc3\xa9", "\xe2\x82\xac", "\x80",
    ",\"x\":[{\"pr\":\"1\"},null]", "\"x\":1,", ",\"\":\"\\\\\\\"\"", ",\"c\":20", ",\"id\":\"a\"",
    "\"ts\":1,", "\"dt\":32,", "\"v\":1", "\"sz\":\"1\"", "\"side\":\"Sell\"", "\"side\":\"Buy\"",
    ",\"version\":\"2\"", "\"dataType\":\"NEW\"", "\"dataType\":\"CHANGE\"", "\"delete\":[],",
};

/* What may stand where nobody looks, and what may not. */
static const char *const VALUES[] = {
    "0", "-0", "1.5e-3", "-", "01", "1.", ".1", "1e", "1e+", "+1", "NaN", "0x1", "1_0", "tru", "True",
    "nulls", "\"\"", "\"a\\n\"", "\"\\\"\"", "\"\\\\\"", "\"\\u00e9\"", "\"\\uD83D\\uDE00\"",
    "\"\\uDE00\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u123\"", "\"\\u123g\"", "\"\\x\"", "\"\\\"", "\"\n\"",
    "\"\x1f\"", "\"\x7f\"", "\"\xc3\xa9\"", "\"\xe2\x82\xac\"", "\"\xf0\x9f\x93\x88\"", "\"\xc3\"",
    "\"\xc0\x80\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\x80\"", "[,]",
    "[1,]", "[1,2]", "[1 2]", "[[]]", "[1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1,\"a\":1}",
    "{1:1}", "{\"a\":1]", "{\"a\" : [ {} ] }", "{,}", "\f1", "/**/1", "'a'",
};

static void change_number(Span number) {
    char digits[40];
    size_t n = number.to - number.from;
    switch (below(4)) {
    case 0: {
        const char *other = ANY(NUMBERS);
        replace(number, other, strlen(other));
        break;
    }
    case 1: { /* another one of the same kind */
        size_t whole = 1 + below(6), rest = below(5);
        for (n = 0; n < whole; n++) digits[n] = (char)('0' + below(10));
        if (digits[0] == '0') digits[0] = '1';
        if (rest) digits[n++] = '.';
        while (rest--) digits[n++] = (char)('0' + below(10));
        replace(number, digits, n);
        break;
    }
    default: { /* one digit */
        size_t at = number.from + below(n);
        if (text[at] != '.') text[at] = (uint8_t)('0' + below(10));
    }
    }
}

/* A level with the comma that keeps the list legal without it. */
static Span with_comma(Span level) {
    if (level.to < length && text[level.to] == ',')
        level.to++;
    else if (text[level.from - 1] == ',')
        level.from--;
    return level;
}

static int copy_level(Span level, size_t to) {
    uint8_t piece[PIECE + 1];
    size_t n = level.to - level.from;
    if (n > PIECE) return 0;
    memcpy(piece, text + level.from, n);
    piece[n] = ',';
    return insert(to, piece, n + 1);
}

static void change_level(Span step) {
    static Span levels[SPANS];
    Span numbers[4];
    int n = find_levels(step, levels), i, j;
    if (!n) return;
    i = (int)below((size_t)n);
    j = below(2) ? (i + 1) % n : (int)below((size_t)n);
    switch (below(5)) {
    case 0: cut(with_comma(levels[i])); break;
    case 1: copy_level(levels[i], levels[j].from); break;
    case 2: { /* from the front to the back, as when a price is gone through */
        Span first = levels[i];
        if (!copy_level(first, levels[j].from)) return;
        if (i >= j) {
            size_t by = first.to - first.from + 1;
            first.from += by;
            first.to += by;
        }
        cut(with_comma(first));
        break;
    }
    case 3: { /* a new level beside this one */
        int m = find_numbers(levels[i], numbers, 4);
        size_t at = levels[i].from;
        if (copy_level(levels[i], at) && m) change_number(numbers[below((size_t)m)]);
        break;
    }
    case 4: { /* a number of this level becomes that of another one */
        uint8_t piece[PIECE];
        Span others[4];
        int m = find_numbers(levels[i], numbers, 4), k = find_numbers(levels[j], others, 4);
        if (!m || !k) return;
        Span from = others[below((size_t)k)], to = numbers[below((size_t)m)];
        if (from.to - from.from > PIECE) return;
        memcpy(piece, text + from.from, from.to - from.from);
        replace(to, piece, from.to - from.from);
        break;
    }
    }
}

/* The same frame once more, so that the next edit is what differs; a change of a book counts on. */
static void repeat_step(const Span *steps, int n) {
    int which = below(2) ? n - 1 : (int)below((size_t)n);
    Span step = steps[which];
    size_t size = step.to - step.from, at = n < STEPS ? length : 0;
    uint8_t *copy = malloc(size + 1);
    if (!copy) return;
    copy[0] = END_OF_STEP;
    memcpy(copy + 1, text + step.from, size);
    if (at) {
        if (insert(at, copy, size + 1) && below(4)) {
            static const char KEY[] = "\"version\":\"";
            for (size_t i = at; i + sizeof KEY < length; i++) {
                if (memcmp(text + i, KEY, sizeof KEY - 1)) continue;
                i += sizeof KEY - 1;
                while (i < length && in_number(text[i])) i++;
                if (text[i - 1] < '9') text[i - 1]++;
                break;
            }
        }
    } else {
        replace(steps[which ? which - 1 : n - 1], copy + 1, size);
    }
    free(copy);
}

static size_t put_levels(char *out, size_t n, int bybit, int side, int spelling) {
    const char *tail = below(8) ? "5" : "123456789"; /* more decimals than are kept */
    size_t used = 0;
    int step = side ? 1 : -1, cents = (int)below(3) * 25, at = 100 + step * (1 + (int)below(3));
    for (size_t i = 0; i < n; i++, at += step * (1 + (int)(below(4) == 0))) {
        const char *comma = i ? "," : "";
        int size = (int)below(4);
        used += (size_t)(
            bybit         ? sprintf(out + used, "%s{\"price\":\"%d.%02d\",\"size\":\"%d.%s\",\"side\":\"%s\"}",
                                    comma, at, cents, size, tail, side ? "Sell" : "Buy")
            : spelling < 4 ? sprintf(out + used, "%s{\"pr\":\"%d.%02d\",\"sz\":\"%d.%s%s\"}",
                                    comma, at, cents, size, tail, spelling == 3 ? " " : "")
                          : sprintf(out + used, "%s{\"pr\":\"%d.%02d\",\"v\":%d.%s}",
                                    comma, at, cents, size, tail));
    }
    out[used] = 0;
    return used;
}

/* A legal frame, in place of a step or behind the last one: other edits soon spoil them all. */
static void fresh_frame(const Span *steps, int n) {
    static char frame[8192], bids[3072], asks[3072];
    int bybit = text[0] & 1, kind = (int)below(5), spelling = (int)below(6);
    size_t depth = below(4) ? 2 + below(6) : below(24);
    unsigned time = 1000 + (unsigned)below(4), version = 1 + (unsigned)below(8);
    int used;
    put_levels(bids, depth, bybit, 0, spelling);
    put_levels(asks, depth, bybit, 1, spelling);
    if (!bybit)
        used = sprintf(
            frame, "{\"dt\":%d,\"c\":20,\"d\":{\"s\":\"BTCUSD\",\"asks\":[%s],\"bids\":[%s],\"ts\":%u}}",
            spelling & 1 ? 5 : 32, asks, bids, time);
    else
        used = sprintf(
            frame, "{\"id\":\"1\",\"topic\":\"%sorderbook100.BTC\",\"creationTime\":%u,\"data\":{",
            kind ? "delta." : "", time);
    if (bybit && kind < 2) {
        if (kind) used += sprintf(frame + used, "\"version\":\"%u\",\"dataType\":\"NEW\",", version);
        used += sprintf(
            frame + used, "\"orderBook\":[%s%s%s]}}", bids, *bids && *asks ? "," : "", asks);
    } else if (bybit) {
        const char *what[] = {"delete", "update", "insert"};
        size_t first = below(3);
        used += sprintf(
            frame + used,
            "\"version\":\"%u\",\"dataType\":\"CHANGE\",\"%s\":[%s],\"%s\":[],\"%s\":[%s]}}", version,
            what[first], bids, what[(first + 1) % 3], what[(first + 2) % 3], asks);
    }
    if (n < STEPS && below(2) && length < room) {
        uint8_t end = END_OF_STEP;
        insert(length, &end, 1);
        insert(length, frame, (size_t)used);
    } else {
        replace(steps[below((size_t)n)], frame, (size_t)used);
    }
}

static void add_call(const Span *steps, int n) {
    uint8_t call[6] = {CALL, "ucluuu"[below(6)], 0, 0, 0, END_OF_STEP};
    call[2] = (uint8_t)below(8);
    call[3] = (uint8_t)below(64);
    call[4] = (uint8_t)below(16);
    insert(steps[below((size_t)n)].from, call, sizeof call);
}

/* A member that no venue sends, first of an object. */
static void add_member(Span step) {
    char member[160];
    const char *item = ANY(VALUES);
    const uint8_t *open = memchr(text + step.from, '{', step.to - step.from), *next = open;
    size_t hops = below(6);
    int n;
    while (next && hops--) {
        open = next;
        next = memchr(open + 1, '{', (size_t)(text + step.to - (open + 1)));
    }
    if (!open) return;
    switch (below(5)) {
    case 0: n = sprintf(member, "%s:%s,", *item == '"' ? item : "\"x\"", item); break;
    case 1: n = sprintf(member, "\"x\":[%s],", item); break;
    case 2: n = sprintf(member, "\"x\":{\"y\":%s},", item); break;
    default: n = sprintf(member, "\"x\":%s,", item);
    }
    insert((size_t)(open + 1 - text), member, (size_t)n);
}

static void change_bytes(Span step) {
    Span span = {step.from + below(step.to - step.from + 1), 0};
    const char *piece = ANY(PIECES);
    span.to = span.from;
    switch (below(5)) {
    case 0: insert(span.from, piece, strlen(piece)); break;
    case 1:
        if (span.from < step.to) text[span.from] ^= (uint8_t)(1u << below(8));
        break;
    case 2:
        if (span.from < step.to) text[span.from] = (uint8_t)below(0xFE);
        break;
    case 3:
        span.to += below(step.to - span.from + 1) % (1 + below(32));
        cut(span);
        break;
    case 4: /* cut off */
        span.to = step.to;
        cut(span);
        break;
    }
}

/* A character as an escape, at times of another one; mostly near the head, where names stand. */
static void escape(Span step) {
    char text_of[8];
    size_t at = step.from, left = 50;
    while (left--) {
        at = step.from + below(step.to - step.from) % (left & 1 ? 80 : 6144);
        if (at < step.to && text[at] > ' ' && !strchr("\"\\{}[],:", text[at])) break;
    }
    if (at >= step.to) return;
    Span one = {at, at + 1};
    sprintf(text_of, below(2) ? "\\u00%02x" : "\\u00%02X",
            below(3) ? text[at] : (text[at] & 15u) | (unsigned)below(16) << 4);
    replace(one, text_of, 6);
}

static void change_once(void) {
    static Span numbers[SPANS];
    Span steps[STEPS];
    int n = find_steps(steps), m;
    Span step = steps[below(2) ? (size_t)n - 1 : below((size_t)n)];
    if (text[0] & MESSAGES && below(4)) {
        change_rows(steps, n, step);
        return;
    }
    switch (below(24)) {
    case 19: escape(step); break;
    case 20: case 21: case 22: case 23: fresh_frame(steps, n); break;
    case 0: text[0] = (uint8_t)('@' + (text[0] & MESSAGES) + below(16)); break;
    case 1: add_call(steps, n); break;
    case 2: case 3: repeat_step(steps, n); break;
    case 4: fresh_frame(steps, n); break;
    case 5:
        if (n > 1) {
            step.from--;
            cut(step);
        }
        break;
    case 6: case 7: case 8:
        m = find_numbers(step, numbers, SPANS);
        if (m) change_number(numbers[below((size_t)m)]);
        break;
    case 9: change_bytes(step); break;
    case 10: add_member(step); break;
    default: change_level(step);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    uint8_t kept;
    text = data;
    length = size;
    room = max_size;
    state = seed * 0x9E3779B97F4A7C15ull + 1;
    kept = length ? text[0] & MESSAGES : 0;
    if (length < 2 || below(16) == 0) {
        length = LLVMFuzzerMutate(data, size, max_size);
    } else {
        for (size_t edits = 1 + below(3) * below(2); edits--;) change_once();
    }
    if (length) text[0] = (uint8_t)((text[0] & ~MESSAGES) | kept);
    return length;
}
