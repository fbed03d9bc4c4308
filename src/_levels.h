/* The levels of a book: published, drafted, remembered.
 *
 * One thread writes, with whatever lock it likes; the functions that begin with read_ may be
 * called by any number of others at the same time. Side 0 is the bids, side 1 the asks; levels go
 * from best to worst; prices and sizes are in units of 1e-8.
 */
#ifndef COINCALL_FAST_LEVELS_H
#define COINCALL_FAST_LEVELS_H

#include <stdint.h>
#include <string.h>

#include "_plain.h"
#include "_words.h"

enum {
    LEVELS = 100,       /* that are kept a side */
    ROOMY = 2 * LEVELS, /* ... and as many that are not placed yet */
    BLOCK = 4,          /* levels are copied by fours, and so past the last one */
    TEXT = 12288,       /* bytes of a frame that are remembered; a longer one is not */
};

enum { /* coincall_fast.change; an ask's bit is the bid's shifted by one, a size's by two */
    BID_CHANGED = 1,
    DEPTH_CHANGED = 16,
    ALL_CHANGED = 31,
};

/* A published book. */
typedef struct {
    int64_t update_count;
    int64_t n[2];
    int64_t rows[4][LEVELS]; /* bid price, bid size, ask price, ask size; 0 past the counts */
} Half;

/* Since when a level has had its price, and its size; 0 where nobody said. */
typedef struct {
    int64_t price_ns, size_ns;
} Age;

typedef struct {
    int64_t published; /* how often; its lowest bit says which half is live */
    Half half[2];      /* ... while the next book is written into the other */
    int first[2], behind[2]; /* levels in which the halves differ, if any do */
    int words;               /* ... or the words of their rows, up to FEW_EDITS; -1 if more do */
    uint16_t word[16];
    Age ages[2][2][LEVELS + BLOCK]; /* of the live levels, and room for the next ones */
    int aged;
    int standing[2]; /* levels that the last frame has, one by one; 0 where it does not tell */
    int alike[2];    /* whether many of these stood in the book before */
    uint16_t where[2][LEVELS + 1 + BLOCK]; /* in its text: each begins, and the last one ends */
    unsigned char text[TEXT + EQUAL_ROOM];
} Book;

/* A side of the next book, while levels are added to it. */
typedef struct {
    int n;
    int aged;     /* of these; the ages of the next book hold theirs */
    int old;      /* the first level of the book that is not better than those */
    int kept;     /* of these aged, with price and size */
    int unsorted, truncated;
    int skipped, suspect; /* some level is not there; two may be at one price */
    int64_t previous;     /* the price of the level before, kept or not; 0 before the first */
    int64_t price[ROOMY], size[ROOMY];
    uint16_t where[ROOMY + 1]; /* each begins in the frame */
} Ladder;

static inline Half *live_half(Book *book) { return &book->half[book->published & 1]; }

static inline int better(int side, int64_t one, int64_t other) {
    return side ? (uint64_t)one < (uint64_t)other : (uint64_t)other < (uint64_t)one;
}

/* ---------------------------------------------------------------------------------- drafting */

static void start_ladder(Ladder *ladder) {
    ladder->n = ladder->aged = ladder->old = ladder->kept = 0;
    ladder->unsorted = ladder->truncated = ladder->skipped = ladder->suspect = 0;
    ladder->previous = 0;
}

static void move_levels(Ladder *ladder, int from, int to, int n) {
    memmove(&ladder->price[to], &ladder->price[from], (size_t)n * sizeof(int64_t));
    memmove(&ladder->size[to], &ladder->size[from], (size_t)n * sizeof(int64_t));
}

/* A level that comes out of order: to its place, behind its equals. */
static void insert_level(Ladder *ladder, int side, int64_t price, int64_t size) {
    int i = ladder->n;
    ladder->suspect = 1;
    ladder->aged = ladder->old = ladder->kept = 0; /* they would have to move, too */
    while (i && better(side, price, ladder->price[i - 1])) i--;
    if (ladder->n == LEVELS) {
        ladder->truncated = 1;
        if (i == LEVELS) return;
        ladder->n--;
    }
    move_levels(ladder, i, i + 1, ladder->n - i);
    ladder->price[i] = price;
    ladder->size[i] = size;
    ladder->n++;
}

static void add_level(Ladder *ladder, int side, int64_t price, int64_t size) {
    if (price == 0 || size == 0) { /* no quote: protocol page, section 5, row 10 */
        ladder->skipped = 1;
        return;
    }
    ladder->unsorted |= ladder->previous && better(side, price, ladder->previous);
    ladder->previous = price;
    if (ladder->n && !better(side, ladder->price[ladder->n - 1], price)) {
        insert_level(ladder, side, price, size);
    } else if (ladder->n < LEVELS) {
        ladder->price[ladder->n] = price;
        ladder->size[ladder->n++] = size;
    } else {
        ladder->truncated = 1;
    }
}

/* Whether the n levels past the count may simply be counted. */
static inline int in_place(const Ladder *ladder, const int side, int n) {
    const int64_t *price = &ladder->price[ladder->n], *size = &ladder->size[ladder->n];
    int64_t wrong = (price[0] - 1) | (price[n - 1] - 1) | (size[0] - 1); /* < 0 where one is 0 */
    int i;
    if (ladder->n + n > LEVELS || (ladder->n && !better(side, price[-1], price[0]))) return 0;
    for (i = 1; i < n; i++) {
        wrong |= (side ? price[i] - price[i - 1] : price[i - 1] - price[i]) - 1;
        wrong |= size[i] - 1;
    }
    return wrong >= 0;
}

/* The n levels in the slots past the count: at one go, if they are where they belong. */
static void add_levels(Ladder *ladder, int side, int n) {
    int64_t price[LEVELS], size[LEVELS];
    int i;
    if (side ? in_place(ladder, 1, n) : in_place(ladder, 0, n)) {
        ladder->n += n;
        ladder->previous = ladder->price[ladder->n - 1];
        return;
    }
    memcpy(price, &ladder->price[ladder->n], (size_t)n * sizeof(int64_t));
    memcpy(size, &ladder->size[ladder->n], (size_t)n * sizeof(int64_t));
    for (i = 0; i < n; i++) add_level(ladder, side, price[i], size[i]);
}

/* Whether no two of the levels are at one price. */
static int unambiguous(const Ladder *ladder) {
    int i;
    for (i = 1; ladder->suspect && i < ladder->n; i++) {
        if (ladder->price[i] == ladder->price[i - 1]) return 0;
    }
    return 1;
}

/* How many of every `step`th of n prices are better than a price. */
static inline int count_better(
    const int64_t *prices, int n, int step, const int side, int64_t price
) {
    int i, count = 0;
    for (i = step - 1; i < n; i += step) {
        count += (int)((uint64_t)(side ? prices[i] - price : price - prices[i]) >> 63);
    }
    return count;
}

/* The index of the first level that is not better than a price. Looks at more levels than halving
 * would, but there is nothing to guess, and no step waits for the one before. */
static inline int find_level(const int64_t *prices, int n, int side, int64_t price) {
    enum { STEP = 10 };
    const int first = STEP * (side ? count_better(prices, n, STEP, 1, price)
                                   : count_better(prices, n, STEP, 0, price));
    const int some = n - first < STEP ? n - first : STEP;
    return first + (side ? count_better(prices + first, some, 1, 1, price)
                         : count_better(prices + first, some, 1, 0, price));
}

/* The level of the book that comes behind the price of the last level of a draft. */
static int level_behind(const Half *half, const Ladder *ladder, int side) {
    const int64_t *price = half->rows[2 * side], last = ladder->price[ladder->n - 1];
    const int stop = (int)half->n[side];
    const int i = ladder->old + find_level(price + ladder->old, stop - ladder->old, side, last);
    return i + (i < stop && price[i] == last);
}

/* Finds prices of a draft among those of the book by a table, since a walk along the book would
 * have to guess each step. A slot says which of the prices hashed to it came last. */
static inline void match_ages(
    Book *book, Ladder *ladder, int side, int first, int stop, int64_t recv_ns,
    unsigned char *slots, const int shift
) {
    const Half *half = live_half(book);
    const int64_t *price = half->rows[2 * side], *size = half->rows[2 * side + 1];
    const Age *from = book->ages[book->aged][side];
    Age *to = book->ages[1 - book->aged][side];
    int i;
    for (i = first; i < stop; i++) {
        slots[(uint64_t)price[i] * 0x9E3779B97F4A7C15u >> shift] = (unsigned char)(i + 1);
    }
    for (i = ladder->aged; i < ladder->n; i++) {
        const int64_t wanted = ladder->price[i];
        int old = slots[(uint64_t)wanted * 0x9E3779B97F4A7C15u >> shift] - 1;
        to[i].price_ns = to[i].size_ns = recv_ns;
        if (old < 0) continue;
        if (price[old] != wanted) {
            old = first + find_level(price + first, stop - first, side, wanted);
            if (old == stop || price[old] != wanted) continue;
        }
        to[i].price_ns = from[old].price_ns;
        if (size[old] == ladder->size[i]) {
            to[i].size_ns = from[old].size_ns;
            ladder->kept++;
        }
    }
}

/* Gives the levels of a draft that have none yet their ages: that of the level of the book at the
 * same price; without one, a level is new. */
static OWN_FRAME void pass_ages(Book *book, Ladder *ladder, int side, int64_t recv_ns) {
    enum { FEW = 16 };
    const Half *half = live_half(book);
    const int64_t *price = half->rows[2 * side];
    int first = ladder->old, stop = (int)half->n[side];
    if (ladder->aged == ladder->n) return;
    if (stop - first > FEW) {
        stop = level_behind(half, ladder, side);
        first += find_level(price + first, stop - first, side, ladder->price[ladder->aged]);
    }
    if (stop - first <= FEW) {
        unsigned char slots[128] = {0};
        match_ages(book, ladder, side, first, stop, recv_ns, slots, 64 - 7);
    } else {
        unsigned char slots[4096] = {0};
        match_ages(book, ladder, side, first, stop, recv_ns, slots, 64 - 12);
    }
    ladder->aged = ladder->n;
}

/* How many of up to `most` levels stand at p byte for byte as in a text. */
static inline int same_levels(
    const unsigned char *text, const uint16_t *where, int most,
    const unsigned char *p, const unsigned char *end
) {
    const int64_t equal = where[0] + equal_bytes(
        &text[where[0]], p, where[most] - where[0], end - p);
    int n = 0;
    while (n < most && where[n + 1] <= equal) n++;
    return n;
}

/* Where follow_levels() has stopped. */
enum { BEFORE_LEVEL, BEHIND_LEVEL };

/* Levels that are much like those of the last frame, from `at` on; each goes where it belongs, with
 * its age. What stands byte for byte as it stood is taken over unread: what is equal from where one
 * level begins to where another does has to mean the same. What does not is read, if it is plain,
 * and in order; `patience` tells how many of these in a row are worth the way back to what is
 * equal. */
static OWN_FRAME int follow_levels(
    Book *book, Ladder *ladder, const int side, const Spelling *spelling,
    const unsigned char *start, const unsigned char **at, const unsigned char *end,
    int patience, int64_t recv_ns
) {
    const Half *half = live_half(book);
    const int64_t *const old_price = half->rows[2 * side];
    const int64_t *const old_size = half->rows[2 * side + 1];
    const uint16_t *const where = book->where[side];
    const Age *const from = book->ages[book->aged][side];
    Age *const to = book->ages[1 - book->aged][side];
    const int olds = book->standing[side];
    const Pattern pattern = pattern_of(spelling);
    const unsigned char *p = *at;
    const int first = ladder->n;
    int n = first, misses = 0, stop = BEFORE_LEVEL, old, kept;
    if (ladder->aged < n) { /* read without looking: is it worth looking again? */
        old = level_behind(half, ladder, side);
        if (old >= olds || !same_levels(book->text, &where[old], 1, p, end)) return BEFORE_LEVEL;
        pass_ages(book, ladder, side, recv_ns);
        ladder->old = old;
    }
    old = ladder->old;
    kept = ladder->kept;
    while (n < LEVELS) {
        const int most = olds - old < LEVELS - n ? olds - old : LEVELS - n;
        const int same = same_levels(book->text, &where[old], most, p, end);
        if (same) {
            const int shift = (int)(p - start) - where[old];
            int i;
            for (i = 0; i < same; i += BLOCK) {
                memcpy(&ladder->price[n + i], &old_price[old + i], BLOCK * sizeof(int64_t));
                memcpy(&ladder->size[n + i], &old_size[old + i], BLOCK * sizeof(int64_t));
                memcpy(&to[n + i], &from[old + i], BLOCK * sizeof(Age));
                add_to_four(&ladder->where[n + i], &where[old + i], shift);
            }
            n += same;
            old += same;
            kept += same;
            p += where[old] - where[old - same];
            misses = 0;
            if (old < olds) continue; /* its comma was taken over, too */
            stop = BEHIND_LEVEL;
            break;
        }
        if (misses == patience) break;
        {
            int64_t price, size;
            const unsigned char *after = one_plain_level(p, end, &pattern, &price, &size);
            if (!after || !price || !size) break;
            if (n && !better(side, ladder->price[n - 1], price)) break;
            while (old < olds && better(side, old_price[old], price)) old++;
            ladder->price[n] = price;
            ladder->size[n] = size;
            ladder->where[n] = (uint16_t)(p - start);
            to[n].price_ns = to[n].size_ns = recv_ns;
            if (old < olds && old_price[old] == price) {
                to[n].price_ns = from[old].price_ns;
                if (old_size[old] == size) to[n].size_ns = from[old].size_ns;
                old++;
            }
            n++;
            misses++;
            p = after;
            if (*p != ',') {
                stop = BEHIND_LEVEL;
                break;
            }
            p++;
        }
    }
    ladder->n = ladder->aged = n;
    ladder->old = old;
    ladder->kept = kept;
    if (n > first) ladder->previous = ladder->price[n - 1];
    *at = p;
    return stop;
}

/* The levels of the book, to be changed one by one. */
static void start_from_book(Ladder *ladder, Book *book, int side) {
    const Half *half = live_half(book);
    start_ladder(ladder);
    ladder->n = (int)half->n[side];
    memcpy(ladder->price, half->rows[2 * side], sizeof half->rows[0]);
    memcpy(ladder->size, half->rows[2 * side + 1], sizeof half->rows[0]);
}

/* -------------------------------------------------------------------------------- publishing */

/* The change bits that a draft would bring. */
static int difference(Book *book, const Ladder *draft) {
    const Half *half = live_half(book);
    int side, bits = 0;
    for (side = 0; side < 2; side++) {
        const Ladder *ladder = &draft[side];
        const int64_t *price = half->rows[2 * side], *size = half->rows[2 * side + 1];
        const int n = ladder->n, more = n > 1 ? n - 1 : 0;
        if (price[0] != (n ? ladder->price[0] : 0)) bits |= BID_CHANGED << side;
        if (size[0] != (n ? ladder->size[0] : 0)) bits |= BID_CHANGED << (side + 2);
        if ((half->n[side] > 1 ? half->n[side] - 1 : 0) != more ||
            memcmp(price + 1, ladder->price + 1, (size_t)more * sizeof(int64_t)) ||
            memcmp(size + 1, ladder->size + 1, (size_t)more * sizeof(int64_t))) {
            bits |= DEPTH_CHANGED;
        }
    }
    return bits;
}

/* Four words, read before they are written. At one go a reader might see half of them, but it looks
 * whether more was published meanwhile, and then throws away what it has read. */
static inline void put_four(int64_t *to, const int64_t *from) {
#if HAS_QUOTED_LEVEL
    const __m128i one = _mm_loadu_si128((const __m128i *)from);
    const __m128i two = _mm_loadu_si128((const __m128i *)(from + 2));
    _mm_storeu_si128((__m128i *)to, one);
    _mm_storeu_si128((__m128i *)(to + 2), two);
#else
    const int64_t words[4] = {from[0], from[1], from[2], from[3]};
    put(to, words[0]);
    put(to + 1, words[1]);
    put(to + 2, words[2]);
    put(to + 3, words[3]);
#endif
}

static inline void put_words(int64_t *to, const int64_t *from, int n) {
    int i = 0;
    for (; n - i >= 4; i += 4) put_four(to + i, from + i);
    for (; i < n; i++) put(to + i, from[i]);
}

/* Makes the draft what readers see: the half that they do not look at is written, then they look at
 * it. One that is slow, and still in the other, sees by the number that it has been published. */
static void publish(Book *book, const Ladder *draft, int64_t update_count) {
    static const int64_t none[LEVELS];
    Half *spare = &book->half[~book->published & 1];
    int side;
    writes_before_this();
    put(&spare->update_count, update_count);
    for (side = 0; side < 2; side++) {
        int64_t *price = spare->rows[2 * side], *size = spare->rows[2 * side + 1];
        const int n = draft[side].n, unused = (int)spare->n[side] - n;
        put_words(price, draft[side].price, n);
        put_words(size, draft[side].size, n);
        put_words(price + n, none, unused);
        put_words(size + n, none, unused);
        put(&spare->n[side], n);
    }
    writes_before_this();
    put(&book->published, book->published + 1);
    book->aged = 1 - book->aged;
    book->words = -1;
    for (side = 0; side < 2; side++) {
        book->standing[side] = 0;
        book->first[side] = 0;
        book->behind[side] = LEVELS;
    }
}

/* Keeps the text of the frame that the book now is, for the next one to be compared with; returns 0
 * where it is too long. */
static int remember(Book *book, const Ladder *draft, const unsigned char *text, int64_t n) {
    int side;
    if (n > TEXT) return 0;
    memcpy(book->text, text, (size_t)n);
    for (side = 0; side < 2; side++) {
        const Ladder *ladder = &draft[side];
        if (ladder->suspect || ladder->skipped || ladder->truncated) continue;
        book->standing[side] = ladder->n;
        book->alike[side] = 4 * ladder->kept >= ladder->n;
        memcpy(book->where[side], ladder->where, (size_t)(ladder->n + 1) * sizeof(uint16_t));
    }
    return 1;
}

/* ----------------------------------------------------------------------------------- reading */

/* The half to read, and when it was published. What has been read is of one moment, and no older
 * than what was read before, if nothing has been published since: whoever finds otherwise reads
 * again. */
static inline const Half *read_half(const Book *book, int64_t *published) {
    *published = get(&book->published);
    reads_before_this();
    return &book->half[*published & 1];
}

static inline int is_live(const Book *book, int64_t published) {
    reads_before_this();
    return get(&book->published) == published;
}

/* The best level's price or size; 0 when there is none. */
static inline int64_t read_best(const Book *book, int row) {
    const Half *half;
    int64_t published, value;
    do {
        half = read_half(book, &published);
        value = get(&half->rows[row][0]);
    } while (!is_live(book, published));
    return value;
}

/* The best levels of both sides, in the order of the rows. */
static inline void read_top(const Book *book, int64_t *best) {
    const Half *half;
    int64_t published;
    do {
        half = read_half(book, &published);
        best[0] = get(&half->rows[0][0]);
        best[1] = get(&half->rows[1][0]);
        best[2] = get(&half->rows[2][0]);
        best[3] = get(&half->rows[3][0]);
    } while (!is_live(book, published));
}

/* All levels, with their counts; returns the update count of that moment. */
static inline int64_t read_levels(const Book *book, int64_t (*rows)[LEVELS], int *bids, int *asks) {
    const Half *half;
    int64_t published, update_count;
    int row, i;
    do {
        half = read_half(book, &published);
        update_count = get(&half->update_count);
        *bids = (int)get(&half->n[0]);
        *asks = (int)get(&half->n[1]);
        for (row = 0; row < 4; row++) {
            for (i = 0; i < LEVELS; i++) rows[row][i] = get(&half->rows[row][i]);
        }
    } while (!is_live(book, published));
    return update_count;
}

#endif
