/* A change of some levels of a book.
 *
 * Many are made in a draft, as if the frame had brought all levels; a few in the book itself, so
 * that their number decides how long it takes, and not how deep the book is. What readers see is
 * the same, and changes at one moment in both ways.
 */
#ifndef COINCALL_FAST_EDITS_H
#define COINCALL_FAST_EDITS_H

#include "_levels.h"

enum {
    EDITS = 1024,   /* of one frame; twice what a book of 100 levels a side can need */
    FEW_EDITS = 16, /* that are made in the book itself */
};

/* New sizes of some levels, in the order in which they are said; 0 deletes. */
typedef struct {
    int n;
    int64_t price[EDITS], size[EDITS];
    unsigned char side[EDITS];
} Edits;

/* ---------------------------------------------------------------------------------- in a draft */

/* Gives the level at a price its new size; 0 deletes it. There is room for twice the levels that
 * stay, since what is deleted next may be better than what is worst now. Returns 0 for the deletion
 * of a level that is not there. */
static int put_level(Ladder *ladder, int side, int64_t price, int64_t size) {
    const int i = find_level(ladder->price, ladder->n, side, price);
    const int found = i < ladder->n && ladder->price[i] == price;
    if (size == 0) {
        if (!found) return 0;
        move_levels(ladder, i + 1, i, --ladder->n - i);
        return 1;
    }
    if (!found) {
        if (ladder->n == ROOMY) {
            ladder->truncated = 1;
            if (i == ROOMY) return 1;
            ladder->n--;
        }
        move_levels(ladder, i, i + 1, ladder->n++ - i);
        ladder->price[i] = price;
    }
    ladder->size[i] = size;
    return 1;
}

/* The levels of the book with some of them changed; returns how many deletions found nothing. */
static int draft_edits(Ladder *draft, Book *book, const Edits *edits) {
    int i, absent = 0;
    for (i = 0; i < 2; i++) start_from_book(&draft[i], book, i);
    for (i = 0; i < edits->n; i++) {
        const int side = edits->side[i];
        absent += !put_level(&draft[side], side, edits->price[i], edits->size[i]);
    }
    for (i = 0; i < 2; i++) {
        draft[i].skipped = 1; /* the frame does not have them one by one */
        draft[i].truncated |= draft[i].n > LEVELS;
        if (draft[i].n > LEVELS) draft[i].n = LEVELS;
    }
    return absent;
}

/* ------------------------------------------------------------------------- in the book itself */

static inline void put_words_from_the_last(int64_t *to, const int64_t *from, int n) {
    for (; n >= 4; n -= 4) put_four(to + n - 4, from + n - 4);
    while (n--) put(to + n, from[n]);
}

/* Moves the n levels of a side from one place to another, with their ages. */
static void shift(Half *half, Age *ages, int side, int from, int to, int n) {
    int row;
    for (row = 2 * side; row < 2 * side + 2; row++) {
        int64_t *words = half->rows[row];
        if (to < from) put_words(words + to, words + from, n);
        else put_words_from_the_last(words + to, words + from, n);
    }
    memmove(ages + to, ages + from, (size_t)n * sizeof(Age));
}

/* put_level() in a half of the book. */
static int edit_level(
    Book *book, Half *half, int side, int64_t price, int64_t size, int64_t recv_ns, int *truncated
) {
    int64_t *prices = half->rows[2 * side], *sizes = half->rows[2 * side + 1];
    Age *ages = book->ages[book->aged][side];
    const int n = (int)half->n[side], i = find_level(prices, n, side, price);
    const int found = i < n && prices[i] == price;
    int behind = n;
    if (found && size) {
        if (sizes[i] == size) return 1;
        put(&sizes[i], size);
        ages[i].size_ns = recv_ns;
        behind = i + 1;
        if (book->words >= 0) book->word[book->words++] = (uint16_t)(&sizes[i] - half->rows[0]);
    } else if (found) {
        shift(half, ages, side, i + 1, i, n - 1 - i);
        put(&prices[n - 1], 0);
        put(&sizes[n - 1], 0);
        put(&half->n[side], n - 1);
    } else if (!size) {
        return 0;
    } else {
        *truncated |= n == LEVELS;
        if (i == LEVELS) return 1;
        behind = n < LEVELS ? n + 1 : LEVELS;
        shift(half, ages, side, i, i + 1, behind - 1 - i);
        put(&prices[i], price);
        put(&sizes[i], size);
        put(&half->n[side], behind);
        ages[i].price_ns = ages[i].size_ns = recv_ns;
    }
    if (!(found && size)) book->words = -1;
    if (i < book->first[side]) book->first[side] = i;
    if (behind > book->behind[side]) book->behind[side] = behind;
    return 1;
}

/* difference() of the half that is written to the one that is live. */
static int amended(const Book *book, const Half *half, const Half *live) {
    int side, bits = 0;
    for (side = 0; side < 2; side++) {
        const int64_t *price = half->rows[2 * side], *size = half->rows[2 * side + 1];
        const int64_t *price_was = live->rows[2 * side], *size_was = live->rows[2 * side + 1];
        const int first = book->first[side] > 1 ? book->first[side] : 1;
        const int n = book->behind[side] - first;
        if (price[0] != price_was[0]) bits |= BID_CHANGED << side;
        if (size[0] != size_was[0]) bits |= BID_CHANGED << (side + 2);
        if (n > 0 && (memcmp(price + first, price_was + first, (size_t)n * sizeof(int64_t)) ||
                      memcmp(size + first, size_was + first, (size_t)n * sizeof(int64_t)))) {
            bits |= DEPTH_CHANGED;
        }
    }
    return bits;
}

static int holds(Book *book, int side, int64_t price) {
    const Half *half = live_half(book);
    const int i = find_level(half->rows[2 * side], (int)half->n[side], side, price);
    return i < half->n[side] && half->rows[2 * side][i] == price;
}

/* Whether edits come to the same when all deletions are made first: not if there are many, or two
 * of one level. Then no level leaves a full side for one that is about to go. */
static int in_any_order(const Edits *edits) {
    int i, j;
    if (edits->n > FEW_EDITS) return 0;
    for (i = 1; i < edits->n; i++) {
        for (j = 0; j < i; j++) {
            if (edits->price[i] == edits->price[j] && edits->side[i] == edits->side[j]) return 0;
        }
    }
    return 1;
}

/* Gives the half that is to be written what the last change brought. */
static void catch_up(const Book *book, Half *spare, const Half *live) {
    int side, row, i;
    for (i = 0; i < book->words; i++) {
        put(&spare->rows[0][0] + book->word[i], (&live->rows[0][0])[book->word[i]]);
    }
    for (side = 0; side < 2 && book->words < 0; side++) {
        const int first = book->first[side];
        int behind = (int)(live->n[side] > spare->n[side] ? live->n[side] : spare->n[side]);
        if (book->behind[side] < behind) behind = book->behind[side];
        for (row = 2 * side; row < 2 * side + 2 && first < behind; row++) {
            put_words(&spare->rows[row][first], &live->rows[row][first], behind - first);
        }
        put(&spare->n[side], live->n[side]);
    }
}

/* Makes edits that may come in any order in the book itself: in the half that nobody looks at, once
 * that has what the last change brought, and then they look at it. Returns the change bits. */
static int amend(
    Book *book, const Edits *edits, int64_t update_count, int64_t recv_ns, int *absent,
    int *truncated
) {
    const Half *live = live_half(book);
    Half *spare = &book->half[~book->published & 1];
    int side, i, put_in, bits;
    writes_before_this();
    catch_up(book, spare, live);
    for (side = 0; side < 2; side++) {
        book->standing[side] = 0;
        book->first[side] = LEVELS;
        book->behind[side] = 0;
    }
    book->words = 0;
    for (put_in = 0; put_in < 2; put_in++) {
        for (i = 0; i < edits->n; i++) {
            if ((edits->size[i] != 0) != put_in) continue;
            *absent += !edit_level(
                book, spare, edits->side[i], edits->price[i], edits->size[i], recv_ns, truncated);
        }
    }
    bits = amended(book, spare, live);
    put(&spare->update_count, update_count);
    writes_before_this();
    put(&book->published, book->published + 1);
    return bits;
}

#endif
