/* A table: rows of numbers that are scanned one by one, and then stand as columns.
 *
 * They are drafted row by row, so that a frame that is refused has touched nothing that anybody can
 * see. Positions and refusals are as in _json.h.
 */
#ifndef COINCALL_FAST_TABLE_H
#define COINCALL_FAST_TABLE_H

#include "_rows.h"

/* What a row of a table is made of: cells, by what they are for. */
typedef struct {
    Columns columns;
    unsigned char kind[CELLS];
    int numbers;      /* how many are numbers; these have the first cells */
    int symbol, time; /* cells */
} RowShape;

/* Where a row stands in its frame, and its symbol. */
typedef struct {
    uint32_t row, at, n;
} Place;

typedef struct {
    int64_t n, room;
    double *numbers; /* row by row */
    int64_t *times;  /* UNREAD where a row has none */
    Place *places;
} Draft;

static int grow(void **memory, int64_t n, size_t size) {
    void *const more = PyMem_Realloc(*memory, (size_t)n * size);
    if (more) *memory = more;
    return more != NULL;
}

/* One more row, at p; a row that says no symbol is refused. `*wrong` is as for scan_row(). */
static const unsigned char *draft_row(
    Draft *draft, Source *s, const unsigned char *p, RowShape *shape, int *wrong
) {
    const unsigned char *const begin = p;
    const int64_t room = 2 * draft->room + 64;
    Cell cells[CELLS];
    double *numbers;
    int i;
    *wrong = -1;
    if (draft->n == draft->room) {
        if (!grow((void **)&draft->numbers, room * CELLS, sizeof(double)) ||
            !grow((void **)&draft->times, room, sizeof(int64_t)) ||
            !grow((void **)&draft->places, room, sizeof(Place)))
            return refuse(s, p, "more rows than there is memory for");
        draft->room = room;
    }
    memset(cells, 0, sizeof cells);
    p = scan_row(s, p, &shape->columns, cells, wrong);
    if (!p) return 0;
    if (cells[shape->symbol].n == 0) return refuse(s, begin, "a row without its symbol");
    if (cells[shape->time].n && cells[shape->time].integer == UNREAD)
        return refuse(s, s->start + cells[shape->time].at, "a time that int64 does not hold");
    draft->places[draft->n].row = (uint32_t)(begin - s->start);
    draft->places[draft->n].at = cells[shape->symbol].at;
    draft->places[draft->n].n = cells[shape->symbol].n;
    draft->times[draft->n] = cells[shape->time].n ? cells[shape->time].integer : UNREAD;
    numbers = draft->numbers + draft->n * shape->numbers;
    for (i = 0; i < shape->numbers; i++) numbers[i] = number_in(&cells[i], shape->kind[i]);
    draft->n++;
    return p;
}

/* Whether the draft, of a frame that begins at `start`, has as many symbols as are in `places`, and
 * the same ones in the same order. */
static int same_symbols(
    const Draft *draft, const unsigned char *start,
    const Place *places, const unsigned char *old
) {
    int64_t i;
    for (i = 0; i < draft->n; i++) {
        const Place *const one = &draft->places[i], *const other = &places[i];
        if (one->n != other->n || memcmp(start + one->at, old + other->at, one->n) != 0) return 0;
    }
    return 1;
}

/* Into columns: n numbers each, times, and places. `time` is for rows that have none. */
static void put_draft(
    const Draft *draft, int columns, int64_t time, double *numbers, int64_t *times, Place *places
) {
    const int64_t n = draft->n;
    const double *from = draft->numbers;
    int64_t i;
    int column;
    for (i = 0; i < n; i++) {
        times[i] = draft->times[i] != UNREAD ? draft->times[i] : time;
        places[i] = draft->places[i];
        for (column = 0; column < columns; column++) numbers[column * n + i] = *from++;
    }
}

#endif
