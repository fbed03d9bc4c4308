/* What a sequence of frames means, the obvious way: tests/model_book.py once more, in C.
 *
 * Shares nothing with the core, remembers no text, and nothing in it is clever.
 */
#include <stddef.h>

#include "harness.h"
#include "model_json.h"

/* ------------------------------------------------------------------------------------- frames */

typedef struct {
    int64_t price, size;
    int side; /* 2 where the list says which */
} Level;

enum { WHOLE, CHANGE, MOST = 8192 }; /* levels of a frame: more than any input has */

typedef struct {
    uint8_t name[MODEL_NAME];
    int name_n, kind;
    int64_t ts_ms, version;
    int inexact;
    Level level[MOST];
    int levels, deletions; /* these come first */
} Frame;

static int read_levels(Frame *f, Piece list, int side, int sized) {
    Piece object, token;
    At p = list.from;
    if (*list.from != '[') return 0;
    while (next_member(&p, list.to, NULL, &object)) {
        Level *level = &f->level[f->levels++];
        int inexact, coincall = side < 2;
        level->size = 0;
        level->side = side;
        if (!the_one(object, coincall ? "pr" : "price", &token)) return 0;
        if (!units(token, &level->price, &inexact) || inexact) return 0;
        if (sized) {
            if (members_called(object, coincall ? "sz" : "size", coincall ? "v" : 0, &token) != 1 ||
                !units(token, &level->size, &inexact)) return 0;
            f->inexact += inexact;
        } else if (members_called(object, "size", 0, &token) > 1) {
            return 0;
        }
        if (coincall) continue;
        if (!the_one(object, "side", &token)) return 0;
        level->side = says(token, "Buy") ? 0 : 1;
        if (level->side && !says(token, "Sell")) return 0;
    }
    return 1;
}

/* Takes the last text_of() as the name of the book. */
static int is_name(Frame *f, int skipped, int n, int speakable) {
    f->name_n = n - skipped;
    if (!speakable || f->name_n < 1 || f->name_n > MODEL_NAME) return 0;
    memcpy(f->name, unescaped + skipped, (size_t)f->name_n);
    return 1;
}

static int read_coincall(Frame *f, Piece data) {
    Piece token;
    int n, speakable;
    if (!the_one(data, "s", &token) || *token.from != '"') return 0;
    n = text_of(token, &speakable);
    if (!is_name(f, 0, n, speakable)) return 0;
    if (!the_one(data, "ts", &token) || !integer(token, &f->ts_ms)) return 0;
    if (!the_one(data, "bids", &token) || !read_levels(f, token, 0, 1)) return 0;
    return the_one(data, "asks", &token) && read_levels(f, token, 1, 1);
}

static int read_bybit(Frame *f, Piece frame, Piece data) {
    static const char *const LISTS[] = {"delete", "update", "insert"};
    Piece token, list, lists[3];
    int n, wholes, changes = 0, named = 0, speakable = 1, count[3];
    if (!the_one(frame, "creationTime", &token) || !integer(token, &f->ts_ms)) return 0;
    n = members_called(data, "version", 0, &token);
    if (n > 1) return 0;
    if (n && *token.from == '"') {
        token.to = unescaped + text_of(token, &speakable);
        token.from = unescaped;
    }
    if (n && (!speakable || !integer(token, &f->version))) return 0;
    if (!n) f->version = -1;
    n = members_called(data, "dataType", 0, &token);
    if (n > 1 || (n && !says(token, "NEW") && !says(token, "CHANGE"))) return 0;
    if (n && says(token, "CHANGE")) f->kind = CHANGE;
    wholes = members_called(data, "orderBook", "orderBooks", &list);
    for (int i = 0; i < 3; i++) {
        changes += count[i] = members_called(data, LISTS[i], 0, &lists[i]);
        if (count[i] > 1) return 0;
    }
    if (f->kind == WHOLE) return wholes == 1 && !changes && read_levels(f, list, 2, 1);
    if (wholes || f->version < 0) return 0;
    for (int i = 0; i < 3; i++) {
        if (count[i] && !read_levels(f, lists[i], 2, i)) return 0;
        if (i == 0) f->deletions = f->levels;
    }
    for (int i = 0; i < f->levels; i++) named += f->level[i].price != 0;
    return named <= 1024;
}

/* Whether frames of a channel become messages: contract, section 3. */
static int is_of_rows(Piece channel) {
    static const char *const CODES[] = {"2",  "3",  "4",  "6",  "7",  "8",  "11",
                                        "12", "15", "19", "24", "27", "30", "31",
                                        "33", "34", "35", "36", "38", "43", "46"};
    size_t n = (size_t)(channel.to - channel.from);
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (strlen(CODES[i]) == n && !memcmp(CODES[i], channel.from, n)) return 1;
    return 0;
}

static Outcome read_frame(Frame *f, int is_bybit, At text, size_t n) {
    static const char *const TOPICS[] = {"orderbook100.", "orderbook25.", "delta.orderbook100."};
    Piece frame = {after_blanks(text, text + n), text + n}, channel, data, token;
    Reader r = {text, text + n, 0};
    int channels, datas, length, speakable, is_book = 0;
    f->kind = WHOLE;
    f->version = -1;
    f->inexact = f->levels = f->deletions = 0;
    if (!value(&r, 0) || r.p != r.end) return UNDECODED;
    if (r.deepest > 64) return LEFT_OPEN;
    channels = members_called(frame, is_bybit ? "topic" : "dt", 0, &channel);
    datas = members_called(frame, is_bybit ? "data" : "d", 0, &data);
    if (channels > 1 || datas > 1) return UNDECODED;
    if (is_bybit && members_called(frame, "creationTime", 0, &token) > 1) return UNDECODED;
    if (!channels) return MESSAGE;
    if (!is_bybit) {
        n = (size_t)(channel.to - channel.from);
        if (!(n == 1 && *channel.from == '5') && !(n == 2 && !memcmp(channel.from, "32", 2)))
            return is_of_rows(channel) ? ROWS : MESSAGE;
        return datas && read_coincall(f, data) ? TAKEN : UNDECODED;
    }
    if (*channel.from != '"') return MESSAGE;
    length = text_of(channel, &speakable);
    for (int i = 0; i < 3; i++) {
        int skipped = (int)strlen(TOPICS[i]);
        if (length < skipped || memcmp(unescaped, TOPICS[i], (size_t)skipped)) continue;
        if (!is_name(f, skipped, length, speakable)) return UNDECODED;
        is_book = 1;
    }
    if (!is_book) return MESSAGE;
    return datas && *data.from == '{' && read_bybit(f, frame, data) ? TAKEN : UNDECODED;
}

/* --------------------------------------------------------------------------------------- books */

typedef struct {
    int64_t price[MOST], size[MOST];
    int n;
} Side;

static int better(int side, int64_t one, int64_t other) {
    return side ? one < other : one > other;
}

static int difference(const ModelBook *before, const ModelBook *after) {
    int bits = 0;
    for (int row = 0; row < 4; row++) {
        const int64_t *old = before->rows[row], *new = after->rows[row];
        if (old[0] != new[0]) bits |= 1 << (row / 2 + row % 2 * 2);
        if (memcmp(old + 1, new + 1, 99 * sizeof *old)) bits |= 16;
    }
    return bits;
}

/* Makes two sides the book. */
static void become(ModelBook *book, const Side *sides, int64_t ts_ms, int64_t recv_ns, int whole) {
    static ModelBook old;
    memcpy(&old, book, offsetof(ModelBook, name));
    memset(book->rows, 0, sizeof book->rows);
    memset(book->ages, 0, sizeof book->ages);
    for (int side = 0; side < 2; side++) {
        book->n[side] = sides[side].n;
        for (int i = 0, j; i < sides[side].n; i++) {
            int64_t price = sides[side].price[i], size = sides[side].size[i];
            for (j = 0; j < old.n[side] && old.rows[2 * side][j] != price;) j++;
            book->rows[2 * side][i] = price;
            book->rows[2 * side + 1][i] = size;
            book->ages[side][i][0] = j < old.n[side] ? old.ages[side][j][0] : recv_ns;
            book->ages[side][i][1] = j < old.n[side] && old.rows[2 * side + 1][j] == size
                                         ? old.ages[side][j][1] : recv_ns;
        }
    }
    book->last_change = whole && !book->valid ? 31 : difference(&old, book);
    if (whole) book->valid = 1;
    book->updates++;
    book->ts_ms = ts_ms;
    book->recv_ns = recv_ns;
    book->version = -1;
    book->counts[APPLIED]++;
    book->counts[UNCHANGED] += book->last_change == 0;
}

static void copy_sides(const ModelBook *book, Side *sides) {
    for (int side = 0; side < 2; side++) {
        sides[side].n = book->n[side];
        memcpy(sides[side].price, book->rows[2 * side], sizeof book->rows[0]);
        memcpy(sides[side].size, book->rows[2 * side + 1], sizeof book->rows[0]);
    }
}

static void move(Side *side, int from, int to) {
    size_t n = (size_t)(side->n - from) * sizeof(int64_t);
    memmove(&side->price[to], &side->price[from], n);
    memmove(&side->size[to], &side->size[from], n);
    side->n += to - from;
}

/* One level of a change; 0 where there is nothing to delete. */
static int put(Side *sides, int to, int64_t price, int64_t size) {
    Side *side = &sides[to];
    int i = 0;
    while (i < side->n && better(to, side->price[i], price)) i++;
    if (i == side->n || side->price[i] != price) {
        if (!size) return 0;
        move(side, i, i + 1);
        side->price[i] = price;
    }
    side->size[i] = size;
    if (!size) move(side, i + 1, i);
    return 1;
}

/* Only the best stay, once all changes are made. */
static void cut_off(Side *sides, int *truncated) {
    for (int side = 0; side < 2; side++) {
        *truncated |= sides[side].n > 100;
        if (sides[side].n > 100) sides[side].n = 100;
    }
}

/* All levels of a book, in any order; 0 where two that stay are at one price. */
static int sort(const Frame *f, Side *sides, int *unsorted, int *truncated) {
    sides[0].n = sides[1].n = *unsorted = *truncated = 0;
    for (int k = 0; k < f->levels; k++) {
        const Level *level = &f->level[k];
        Side *side = &sides[level->side];
        int i = side->n;
        if (!level->price || !level->size) continue;
        while (i && better(level->side, level->price, side->price[i - 1])) i--;
        *unsorted |= i < side->n;
        move(side, i, i + 1);
        side->price[i] = level->price;
        side->size[i] = level->size;
    }
    for (int to = 0; to < 2; to++) {
        *truncated |= sides[to].n > 100;
        if (sides[to].n > 100) sides[to].n = 100;
        for (int i = 1; i < sides[to].n; i++)
            if (sides[to].price[i] == sides[to].price[i - 1]) return 0;
    }
    return 1;
}

void model_start(Model *m, int is_store) {
    for (int i = 0; i <= m->books; i++) { /* so that the one behind the last is new, too */
        memset(&m->book[i], 0, offsetof(ModelBook, name));
        m->book[i].version = -1;
    }
    m->books = !is_store;
}

static int is_named(const ModelBook *book, const Frame *f) {
    return book->name_n == f->name_n && !memcmp(book->name, f->name, (size_t)f->name_n);
}

Outcome model_frame(
    Model *m, int is_bybit, int is_store, const uint8_t *text, size_t n, int64_t recv_ns, int *which
) {
    static Frame f;
    static Side sides[2];
    ModelBook *book = m->book;
    int i = 0, unsorted = 0, truncated = 0, absent = 0, stale;
    Outcome outcome = read_frame(&f, is_bybit, text, n);
    *which = -1;
    if (outcome == TAKEN && f.kind == WHOLE && !sort(&f, sides, &unsorted, &truncated))
        outcome = UNDECODED;
    if ((outcome == MESSAGE || outcome == ROWS) && !is_store) outcome = UNDECODED;
    if (outcome != TAKEN) {
        book->counts[REJECTED] += !is_store && outcome == UNDECODED;
        return outcome;
    }
    if (is_store) {
        while (i < m->books && !is_named(&m->book[i], &f)) i++;
        book = &m->book[i];
    } else if (book->name_n && !is_named(book, &f)) {
        book->counts[REJECTED]++;
        return OTHER_SYMBOL;
    }
    if (f.kind == CHANGE && (book->version < 0 || f.version > book->version + 1)) {
        book->counts[REJECTED] += i < m->books;
        if (book->version >= 0) model_clear(book);
        return GAP;
    }
    stale = f.kind == CHANGE ? f.version <= book->version
                             : book->valid && f.version < 0 && f.ts_ms < book->ts_ms;
    if (i == m->books) m->books++;
    *which = i;
    memcpy(book->name, f.name, (size_t)f.name_n);
    book->name_n = f.name_n;
    if (stale) {
        book->last_change = 0;
        book->counts[STALE]++;
        return TAKEN;
    }
    if (f.kind == CHANGE) {
        copy_sides(book, sides);
        for (int k = 0; k < f.levels; k++) {
            const Level *level = &f.level[k];
            if (level->price) absent += !put(sides, level->side, level->price, level->size);
        }
        cut_off(sides, &truncated);
    }
    become(book, sides, f.ts_ms, recv_ns, f.kind == WHOLE);
    book->version = f.version;
    book->counts[UNSORTED] += unsorted && !is_bybit;
    book->counts[TRUNCATED] += truncated;
    book->counts[INEXACT] += f.inexact;
    book->counts[ABSENT] += absent;
    return TAKEN;
}

void model_clear(ModelBook *book) {
    memset(book->rows, 0, sizeof book->rows);
    memset(book->ages, 0, sizeof book->ages);
    book->n[0] = book->n[1] = book->valid = 0;
    book->ts_ms = book->recv_ns = 0;
    book->version = -1;
}

void model_load(ModelBook *book, int side, int64_t price, int64_t size, int64_t recv_ns) {
    static Side sides[2];
    sides[0].n = sides[1].n = 0;
    sides[side].n = size > 0;
    sides[side].price[0] = price;
    sides[side].size[0] = size;
    become(book, sides, book->ts_ms, recv_ns, 1);
}

void model_update(ModelBook *book, int side, int64_t price, int64_t size, int64_t recv_ns) {
    static Side sides[2];
    int truncated = 0;
    copy_sides(book, sides);
    if (!put(sides, side, price, size)) {
        book->counts[ABSENT]++;
        book->last_change = 0;
        return;
    }
    cut_off(sides, &truncated);
    become(book, sides, book->ts_ms, recv_ns, 0);
    book->counts[TRUNCATED] += truncated;
}
