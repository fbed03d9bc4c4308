/* A level in the spelling that its venue uses, as fast as the machine allows.
 *
 * A spelling is what stands around the two numbers, byte for byte; a plain number has up to 8
 * digits and then maybe a point and 1 to 8 more. Whatever else is legal, the scanner reads the
 * careful way (_book.pyx): these functions answer NULL, and mean nothing by it.
 *
 * There are two of them. plain_level() takes any spelling, digit by digit. quoted_level() takes
 * both numbers in quotes, 16 bytes at a time, and needs SSE2, which every x86-64 has. It does not
 * branch on the lengths of the numbers, which nobody can guess, and makes a frame of 100 levels of
 * any lengths a quarter faster; on small frames there is nothing between them. Both must agree
 * wherever both answer; COINCALL_FAST_PORTABLE leaves the second one out.
 */
#ifndef COINCALL_FAST_PLAIN_H
#define COINCALL_FAST_PLAIN_H

#include <stdint.h>
#include <string.h>

#if !defined(COINCALL_FAST_PORTABLE) && (defined(__SSE2__) || defined(_M_X64))
#define HAS_QUOTED_LEVEL 1
#define RARE OWN_FRAME
#include <emmintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#endif
#else
#define HAS_QUOTED_LEVEL 0
#define RARE inline
#endif

/* For loops that want all registers for themselves, and for what belongs into one. */
#if defined(_MSC_VER) && !defined(__clang__)
#define OWN_FRAME __declspec(noinline)
#define NO_FRAME __forceinline
#else
#define OWN_FRAME __attribute__((noinline))
#define NO_FRAME inline __attribute__((always_inline))
#endif

enum {
    TOKEN = 16,
    PLAIN = 18,   /* bytes that plain_number() may read */
    NUMBERS = 43, /* bytes that quoted_level() may read besides the tokens */
    SEARCHED = 50, /* ... and at least behind the opening: where it looks for quotes */
    BEFORE = 16, /* bytes that plain_decimal() and plain_integer() may read before a number */
    BEHIND = 20, /* ... and from the quote before it on */
};

/* A constant of up to 16 bytes, to be compared at once whatever its length. */
typedef struct {
    unsigned char text[TOKEN], mask[TOKEN];
    int n;
} Token;

typedef struct {
    Token opening, between;
    int quoted; /* whether the size is in quotes; the price of a plain level always is */
    int room;   /* bytes that quoted_level() may read */
    unsigned char closing; /* what follows the size, and the quote behind it if it has one */
} Spelling;

static inline uint64_t load8(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* A number that n bytes mostly have to themselves, in its high and its low bits. */
static inline uint64_t mixed(const unsigned char *p, int64_t n) {
    const unsigned char *const last = p + n - 8;
    uint64_t word = 0, all = (uint64_t)n;
    if (n < 8) {
        memcpy(&word, p, (size_t)n);
    } else {
        for (; p < last; p += 8) all = (all ^ load8(p)) * 0x9E3779B97F4A7C15u ^ all >> 32;
        word = load8(last);
    }
    all = (all ^ word) * 0x9E3779B97F4A7C15u;
    return all ^ all >> 32;
}

#if HAS_QUOTED_LEVEL
static inline uint64_t lowest_bit(uint64_t bits) {
#ifdef _MSC_VER
    unsigned long i;
    _BitScanForward64(&i, bits);
    return i;
#else
    return (unsigned)__builtin_ctzll(bits);
#endif
}

static inline __m128i bytes16(const unsigned char *p) {
    return _mm_loadu_si128((const __m128i *)p);
}

static inline __m128i unlike(const unsigned char *p, __m128i text, __m128i mask) {
    return _mm_xor_si128(_mm_and_si128(bytes16(p), mask), text);
}

static inline uint64_t where_is(__m128i bytes, __m128i byte) {
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, byte));
}

static inline int stands(const unsigned char *p, const Token *token) {
    const __m128i rest = unlike(p, bytes16(token->text), bytes16(token->mask));
    return where_is(rest, _mm_setzero_si128()) == 0xFFFF;
}
#else
static inline int stands(const unsigned char *p, const Token *token) {
    return (((load8(p) & load8(token->mask)) ^ load8(token->text)) |
            ((load8(p + 8) & load8(token->mask + 8)) ^ load8(token->text + 8))) == 0;
}
#endif

/* The first of n bytes in which a and b differ; n, or more, if none does. Of a, up to EQUAL_ROOM
 * bytes past those may be read, of b what is left. */
enum { EQUAL_ROOM = 64 };

static inline int64_t equal_bytes(
    const unsigned char *a, const unsigned char *b, int64_t n, int64_t left
) {
    int64_t i = 0;
#if HAS_QUOTED_LEVEL
    for (; i < n && left - i >= 64; i += 64) {
        const __m128i one = _mm_cmpeq_epi8(bytes16(a + i), bytes16(b + i));
        const __m128i two = _mm_cmpeq_epi8(bytes16(a + i + 16), bytes16(b + i + 16));
        const __m128i three = _mm_cmpeq_epi8(bytes16(a + i + 32), bytes16(b + i + 32));
        const __m128i four = _mm_cmpeq_epi8(bytes16(a + i + 48), bytes16(b + i + 48));
        const __m128i all = _mm_and_si128(_mm_and_si128(one, two), _mm_and_si128(three, four));
        if (_mm_movemask_epi8(all) != 0xFFFF) break;
    }
    for (; i < n && left - i >= 16; i += 16) {
        const __m128i one = _mm_cmpeq_epi8(bytes16(a + i), bytes16(b + i));
        const unsigned same = (unsigned)_mm_movemask_epi8(one);
        if (same != 0xFFFF) return i + (int64_t)lowest_bit(~same);
    }
#endif
    for (; i < n && left - i >= 8 && load8(a + i) == load8(b + i); i += 8) {}
    while (i < n && i < left && a[i] == b[i]) i++;
    return i;
}

/* Four numbers, each increased by a summand. */
static inline void add_to_four(uint16_t *to, const uint16_t *from, int summand) {
#if HAS_QUOTED_LEVEL
    _mm_storel_epi64((__m128i *)to, _mm_add_epi16(
        _mm_loadl_epi64((const __m128i *)from), _mm_set1_epi16((short)summand)));
#else
    int i;
    for (i = 0; i < 4; i++) to[i] = (uint16_t)(from[i] + summand);
#endif
}

/* Digit by digit on purpose, and each with a branch of its own: the processor guesses where the
 * number ends and goes on, where a loop gives it less to guess by (10 % slower). */
#define WHOLE_DIGIT(i)                                                                             \
    if ((digit = p[i] - 48u) > 9) { q = p + i; goto point; }                                       \
    value = value * 10 + digit;
#define DECIMAL(i, unit)                                                                           \
    if ((digit = q[i] - 48u) > 9) { *e8 = (int64_t)(value * unit); return i ? q + i : 0; }         \
    value = value * 10 + digit;

/* A plain number; what follows it, or NULL. Reads at most 18 bytes. */
static inline const unsigned char *plain_number(const unsigned char *p, int64_t *e8) {
    const unsigned char *q = p + 8;
    unsigned digit = p[0] - 48u;
    uint64_t value = digit;
    if (digit > 9) return 0;
    WHOLE_DIGIT(1) WHOLE_DIGIT(2) WHOLE_DIGIT(3) WHOLE_DIGIT(4)
    WHOLE_DIGIT(5) WHOLE_DIGIT(6) WHOLE_DIGIT(7)
    if (p[8] - 48u <= 9) return 0;
point:
    if (p[0] == '0' && q != p + 1) return 0;
    if (*q != '.') { *e8 = (int64_t)(value * 100000000u); return q; }
    q++;
    DECIMAL(0, 100000000u) DECIMAL(1, 10000000u) DECIMAL(2, 1000000u) DECIMAL(3, 100000u)
    DECIMAL(4, 10000u) DECIMAL(5, 1000u) DECIMAL(6, 100u) DECIMAL(7, 10u)
    if (q[8] - 48u <= 9) return 0;
    *e8 = (int64_t)value;
    return q + 8;
}

#undef WHOLE_DIGIT
#undef DECIMAL

/* What follows a level that begins at p, and that something follows before `end`; or NULL. */
static RARE const unsigned char *plain_level(
    const unsigned char *p, const unsigned char *end, const Spelling *spelling,
    int64_t *price, int64_t *size
) {
    if (end - p < TOKEN + PLAIN || !stands(p, &spelling->opening)) return 0;
    p = plain_number(p + spelling->opening.n, price);
    if (!p || end - p < TOKEN || end - p < spelling->between.n + PLAIN ||
        !stands(p, &spelling->between)) return 0;
    p = plain_number(p + spelling->between.n, size);
    if (!p || end - p < 4) return 0;
    if (spelling->quoted) {
        p += *p == ' '; /* sizes come padded with a blank (seed 003, line 1726) */
        if (*p++ != '"') return 0;
    }
    return *p == spelling->closing ? p + 1 : 0;
}

#if HAS_QUOTED_LEVEL

/* By the number of digits before the point, or of characters from the point on: which of the 8
 * bytes before, or behind, the point are digits. Where none is, it lets a quote through, and a
 * quote is found to be no digit. `least` is the smallest whole part of so many digits. */
#define LAST(n) (~0ull << (64 - 8 * (n)))
#define FIRST(n) (~0ull >> (64 - 8 * (n)))
static const struct {
    uint64_t whole[9], fraction[10];
    int64_t least[9];
} BY_DIGITS = {
    {LAST(1), LAST(1), LAST(2), LAST(3), LAST(4), LAST(5), LAST(6), LAST(7), LAST(8)},
    {0, FIRST(1), FIRST(1), FIRST(2), FIRST(3), FIRST(4), FIRST(5), FIRST(6), FIRST(7), FIRST(8)},
    {0, 0, 10, 100, 1000, 10000, 100000, 1000000, 10000000},
};
#undef LAST
#undef FIRST

/* Two times 8 bytes, at any places. */
static inline __m128i two_words(const void *low, const void *high) {
    return _mm_castpd_si128(_mm_loadh_pd(
        _mm_castsi128_pd(_mm_loadl_epi64((const __m128i *)low)), (const double *)high));
}

/* The digits of a number: 8 before its point, filled up with zeros, and 8 behind it. */
static inline __m128i digits_of(const unsigned char *p, uint64_t whole, uint64_t fraction) {
    return _mm_and_si128(
        _mm_sub_epi8(two_words(p + whole - 8, p + whole + 1), _mm_set1_epi8('0')),
        two_words(&BY_DIGITS.whole[whole], &BY_DIGITS.fraction[fraction]));
}

/* 16 digits to 4 numbers of 4 digits. */
static inline __m128i by_fours(__m128i digits) {
    const __m128i tens = _mm_and_si128(digits, _mm_set1_epi16(0xFF));
    const __m128i pairs = _mm_add_epi16(
        _mm_mullo_epi16(tens, _mm_set1_epi16(10)), _mm_srli_epi16(digits, 8));
    return _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 100));
}

/* How many bytes from p on are digits, signs or points: of a number without an exponent, all. Where
 * it ends is all that what follows has to wait for. 64 where that cannot be told. */
static inline uint64_t number_bytes(const unsigned char *p, const unsigned char *end) {
    const __m128i first = _mm_set1_epi8('-'), most = _mm_set1_epi8('9' - '-');
    const __m128i none = _mm_setzero_si128();
    const uint64_t n = lowest_bit(
        ~where_is(_mm_subs_epu8(_mm_sub_epi8(bytes16(p), first), most), none));
    if (n < 16) return n;
    if (end - p < 32) return 64;
    return 16 + lowest_bit(
        ~where_is(_mm_subs_epu8(_mm_sub_epi8(bytes16(p + 16), first), most), none));
}

/* A number of up to 8 digits, and maybe a point and 1 to 8 more, with or without a sign: what
 * follows it, and its value in units of 1e-8, which is a float without rounding; else NULL. */
static inline const unsigned char *plain_decimal(
    const unsigned char *p, const unsigned char *end, int64_t *e8
) {
    const uint64_t n = number_bytes(p, end), minus = *p == '-', length = n - minus;
    const unsigned char *const first = p + minus;
    const uint64_t whole =
        lowest_bit(where_is(bytes16(first), _mm_set1_epi8('.')) | 1ull << (length & 63));
    const uint64_t rest = length - whole;
    __m128i digits, value;
    uint64_t both;
    if (whole - 1 > 7 || rest > 9 || rest == 1) return 0;
    digits = digits_of(first, whole, rest);
    value = by_fours(digits);
    value = _mm_madd_epi16(_mm_packs_epi32(value, value), _mm_set1_epi32(1 << 16 | 10000));
    both = (uint64_t)_mm_cvtsi128_si64(value);
    if (where_is(_mm_subs_epu8(digits, _mm_set1_epi8(9)), _mm_setzero_si128()) != 0xFFFF ||
        (int64_t)(uint32_t)both < BY_DIGITS.least[whole]) return 0;
    both = (uint32_t)both * 100000000ull + (both >> 32);
    *e8 = (int64_t)((both ^ -minus) + minus);
    return both - minus >= 1ull << 53 ? 0 : p + n; /* nor is -0.0 an integer */
}

/* The number that up to 16 digits are, of which `all` says where they stand; -1 if some are not. */
static inline int64_t sixteen_digits(__m128i bytes, __m128i all) {
    const __m128i digits = _mm_and_si128(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), all);
    const __m128i nine = _mm_set1_epi8(9);
    __m128i eights = by_fours(digits);
    uint64_t both;
    eights = _mm_madd_epi16(_mm_packs_epi32(eights, eights), _mm_set1_epi32(1 << 16 | 10000));
    both = (uint64_t)_mm_cvtsi128_si64(eights);
    if (where_is(_mm_subs_epu8(digits, nine), _mm_setzero_si128()) != 0xFFFF) return -1;
    return (int64_t)((uint32_t)both * 100000000ull + (both >> 32));
}

/* The number that the n digits before p are, 1 to 16; 16 bytes before it are read. */
static inline int64_t digits_before(const unsigned char *p, uint64_t n) {
    static const unsigned char LAST[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    return sixteen_digits(bytes16(p - 16), bytes16(LAST + n));
}

/* An integer of up to 19 digits, with or without a sign: what follows it, or NULL. */
static inline const unsigned char *plain_integer(
    const unsigned char *p, const unsigned char *end, int64_t *value
) {
    const uint64_t n = number_bytes(p, end), minus = *p == '-', length = n - minus;
    const unsigned char *const first = p + minus;
    uint64_t read, i;
    if (length - 1 > 18 || (*first == '0' && length > 1)) return 0;
    if (length <= 16) {
        read = (uint64_t)digits_before(p + n, length);
    } else {
        read = (uint64_t)sixteen_digits(bytes16(first), _mm_set1_epi8(-1));
        if ((int64_t)read < 0) return 0;
        for (i = 16; i < length; i++) {
            if (first[i] - 48u > 9) return 0;
            read = read * 10 + (first[i] - 48u);
        }
    }
    *value = (int64_t)((read ^ -minus) + minus);
    return (int64_t)read < 0 ? 0 : p + n;
}

/* How many bytes from p on stand for themselves in a string, of the next 16; 16 where all do. */
static inline uint64_t plain_bytes(const unsigned char *p) {
    const __m128i bytes = bytes16(p);
    const __m128i special = _mm_or_si128(
        _mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')), /* those from 0x80 on are negative here */
        _mm_or_si128(
            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
    return lowest_bit((uint64_t)(unsigned)_mm_movemask_epi8(special) | 1ull << 16);
}

/* A spelling, ready to be compared. */
typedef struct {
    const Spelling *spelling;
    __m128i opening, opening_mask, between, between_mask;
    int64_t opening_n, between_n, room; /* room enough for nothing, if it is not for this */
    uint16_t closing;                   /* with the quote before it */
} Pattern;

static inline Pattern pattern_of(const Spelling *spelling) {
    const Pattern pattern = {
        spelling,
        bytes16(spelling->opening.text), bytes16(spelling->opening.mask),
        bytes16(spelling->between.text), bytes16(spelling->between.mask),
        spelling->opening.n, spelling->between.n, spelling->quoted ? spelling->room : INT64_MAX,
        (uint16_t)('"' | spelling->closing << 8)};
    return pattern;
}

/* plain_level() of a spelling with both numbers in quotes. */
static inline const unsigned char *quoted_level(
    const unsigned char *p, const Pattern *pattern, int64_t *price, int64_t *size
) {
    const __m128i quote = _mm_set1_epi8('"'), point = _mm_set1_epi8('.');
    const unsigned char *first = p + pattern->opening_n, *second;
    const __m128i head = bytes16(first);
    /* A search that finds no quote ends at the bit behind those; what stands there is looked at. */
    const uint64_t quotes = where_is(head, quote) | where_is(bytes16(first + 16), quote) << 16 |
                            where_is(bytes16(first + 32), quote) << 32 | 1ull << 48;
    const uint64_t end = lowest_bit(quotes), start = end + (uint64_t)pattern->between_n;
    const uint64_t whole = lowest_bit(where_is(head, point) | 1ull << end), rest = end - whole;
    uint64_t close, end2, whole2, rest2;
    uint16_t closing;
    __m128i digits, digits2, value, wrong;
    if (whole > 8 || rest > 9) return 0;
    close = lowest_bit(quotes >> start);
    second = first + start;
    end2 = close - ((second + close)[-1] == ' '); /* as in plain_level() */
    whole2 = lowest_bit(where_is(bytes16(second), point) | 1ull << (end2 & 63));
    rest2 = end2 - whole2;
    if (whole2 > 8 || rest2 > 9) return 0;
    digits = digits_of(first, whole, rest);
    digits2 = digits_of(second, whole2, rest2);
    value = _mm_madd_epi16( /* whole and fraction of the price, and of the size */
        _mm_packs_epi32(by_fours(digits), by_fours(digits2)), _mm_set1_epi32(1 << 16 | 10000));
    wrong = _mm_or_si128(
        _mm_or_si128(
            unlike(p, pattern->opening, pattern->opening_mask),
            unlike(first + end, pattern->between, pattern->between_mask)),
        _mm_or_si128(
            _mm_subs_epu8(_mm_max_epu8(digits, digits2), _mm_set1_epi8(9)),
            _mm_cmpgt_epi32(two_words(&BY_DIGITS.least[whole], &BY_DIGITS.least[whole2]), value)));
    memcpy(&closing, second + close, 2);
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) != 0xFFFF ||
        closing != pattern->closing) return 0;
    value = _mm_add_epi64(
        _mm_mul_epu32(value, _mm_set1_epi32(100000000)), _mm_srli_epi64(value, 32));
    _mm_storel_epi64((__m128i *)price, value);
    _mm_storeh_pd((double *)size, _mm_castsi128_pd(value));
    return second + close + 2;
}

/* One level, in the faster of the two ways that may read it. */
static inline const unsigned char *one_plain_level(
    const unsigned char *p, const unsigned char *end, const Pattern *pattern,
    int64_t *price, int64_t *size
) {
    const unsigned char *after = 0;
    if (end - p >= pattern->room) after = quoted_level(p, pattern, price, size);
    return after ? after : plain_level(p, end, pattern->spelling, price, size);
}
#else
static inline const unsigned char *plain_decimal(
    const unsigned char *p, const unsigned char *end, int64_t *e8
) {
    const int minus = *p == '-';
    (void)end;
    p = plain_number(p + minus, e8);
    if (!p || (uint64_t)*e8 - (uint64_t)minus >= 1ull << 53) return 0;
    if (minus) *e8 = -*e8;
    return p;
}

static inline int64_t digits_before(const unsigned char *p, uint64_t n) {
    int64_t value = 0;
    for (p -= n; n; n--) value = value * 10 + (*p++ - '0');
    return value;
}

static inline const unsigned char *plain_integer(
    const unsigned char *p, const unsigned char *end, int64_t *value
) {
    const unsigned char *const first = p + (*p == '-');
    int64_t read = 0;
    (void)end;
    for (p = first; *p - 48u <= 9; p++) {
        if (p == first + 18) return 0;
        read = read * 10 + (*p - '0');
    }
    if (p == first || *p == '.' || (*first == '0' && p > first + 1)) return 0;
    *value = first[-1] == '-' ? -read : read;
    return p;
}

static inline uint64_t plain_bytes(const unsigned char *p) {
    uint64_t n = 0;
    while (n < 16 && p[n] >= ' ' && p[n] < 0x80 && p[n] != '"' && p[n] != '\\') n++;
    return n;
}

typedef const Spelling *Pattern;

static inline Pattern pattern_of(const Spelling *spelling) { return spelling; }

static inline const unsigned char *one_plain_level(
    const unsigned char *p, const unsigned char *end, const Pattern *pattern,
    int64_t *price, int64_t *size
) {
    return plain_level(p, end, *pattern, price, size);
}
#endif

/* Levels that follow each other, with nothing between them but a comma, up to `most` of them. Puts
 * their prices, their sizes and where each begins, counted from `base`; returns how many there are,
 * and in `at` what follows the last. No byte is read at or behind `end`. */
static OWN_FRAME int plain_levels(
    const unsigned char **at, const unsigned char *end, const Spelling *spelling,
    const unsigned char *base, int most, int64_t *price, int64_t *size, uint16_t *where
) {
    const Pattern pattern = pattern_of(spelling);
    const unsigned char *p = *at, *behind = p;
    int n = 0;
    for (;;) {
        const unsigned char *after = one_plain_level(p, end, &pattern, &price[n], &size[n]);
        if (!after) break;
        behind = after;
        where[n++] = (uint16_t)(p - base);
        if (*after != ',' || n == most) break;
        p = after + 1;
    }
    *at = behind;
    return n;
}

/* Whether a token stands at p, and something behind it before `end`. */
static inline int stands_before(const unsigned char *p, const unsigned char *end, const Token *token) {
    if (end - p > TOKEN) return stands(p, token);
    return end - p > token->n && memcmp(p, token->text, (size_t)token->n) == 0;
}

/* What follows a row that stands as its venue writes it, or NULL. One that is deleted is not
 * `sized`: its size is 0, and its closing follows the price. */
static inline const unsigned char *one_plain_row(
    const unsigned char *p, const unsigned char *end, const Pattern *pattern,
    const Spelling *spelling, int sized, int64_t *price, int64_t *size
) {
    if (sized) return one_plain_level(p, end, pattern, price, size);
    *size = 0;
    if (end - p < TOKEN + PLAIN + 2 || !stands(p, &spelling->opening)) return 0;
    p = plain_number(p + spelling->opening.n, price);
    return p && p[0] == '"' && p[1] == spelling->closing ? p + 2 : 0;
}

/* plain_levels() of rows that end in one of two tails, which says their side; those of one side. */
static OWN_FRAME int plain_rows(
    const unsigned char **at, const unsigned char *end, const Spelling *spelling,
    const Token *tail, int most, int64_t *price, int64_t *size
) {
    const Pattern pattern = pattern_of(spelling);
    const unsigned char *p = *at, *behind = p;
    int n = 0;
    for (;;) {
        const unsigned char *after = one_plain_level(p, end, &pattern, &price[n], &size[n]);
        if (!after || !stands_before(after, end, tail)) break;
        behind = after += tail->n;
        n++;
        if (*after != ',' || n == most) break;
        p = after + 1;
    }
    *at = behind;
    return n;
}

/* Rows of a change: of the side that their tails say, or without `tails` of a given one. */
static OWN_FRAME int plain_edits(
    const unsigned char **at, const unsigned char *end, const Spelling *spelling,
    const Token *tails, int sized, int given, int most,
    int64_t *price, int64_t *size, unsigned char *side
) {
    const Pattern pattern = pattern_of(spelling);
    const unsigned char *p = *at, *behind = p;
    int n = 0;
    for (;;) {
        const unsigned char *after =
            one_plain_row(p, end, &pattern, spelling, sized, &price[n], &size[n]);
        if (!after) break;
        if (tails) {
            given ^= !stands_before(after, end, &tails[given]);
            if (!stands_before(after, end, &tails[given])) break;
            after += tails[given].n;
        }
        behind = after;
        side[n++] = (unsigned char)given;
        if (*after != ',' || n == most) break;
        p = after + 1;
    }
    *at = behind;
    return n;
}

#endif
