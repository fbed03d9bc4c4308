/* The fields of an object by their keys: those that somebody wants, in whatever order they come.
 *
 * Positions and refusals are as in _json.h.
 */
#ifndef COINCALL_FAST_FIELDS_H
#define COINCALL_FAST_FIELDS_H

#include "_json.h"
#include "_plain.h"

enum {
    KEY_BYTES = 32, /* of the longest key */
    MAX_KEYS = 48,  /* of one object; roles are bits of 64 */
    UNWANTED = 0,   /* the role of a key that is known and skipped */
};

typedef struct {
    Token token; /* it and its colon, as they mostly stand */
    unsigned char text[KEY_BYTES];
    unsigned char n, role;
} Key;

/* The keys that are looked for in one kind of object. A venue writes them in one order, whichever
 * that is, and so the one that came behind a key last is tried first. */
typedef struct {
    Key key[MAX_KEYS + 1]; /* one that stands nowhere behind them */
    int n;
    uint64_t roles; /* a bit for each */
    unsigned char follows[MAX_KEYS + 1]; /* by key, and behind them all what came first */
} Keys;

/* Where a walk over the fields of an object has come to. */
typedef struct {
    unsigned char before; /* what stands before the next field: a brace or a comma */
    int last;             /* the known key before; MAX_KEYS before the first */
    int role;             /* of the field that is reached; -1 behind the object */
    uint64_t seen;        /* a bit for each role */
} Walk;

static inline void begin_walk(Walk *walk) {
    walk->before = '{';
    walk->last = MAX_KEYS;
    walk->role = -1;
    walk->seen = 0;
}

/* What follows the beginning of a text, if it begins so; else NULL. */
static const unsigned char *behind_beginning(const Text *text, const Key *beginning) {
    const unsigned char *p = text->p, *const end = text->p + text->n;
    unsigned char utf8[4];
    int i = 0, n;
    if (!text->escaped) {
        const int begins = text->n >= beginning->n && *p == *beginning->text &&
                           memcmp(p, beginning->text, (size_t)beginning->n) == 0;
        return begins ? p + beginning->n : 0;
    }
    while (i < beginning->n) {
        if (p == end) return 0;
        n = unescape(&p, utf8);
        if (n == 0 || n > beginning->n - i ||
            memcmp(utf8, &beginning->text[i], (size_t)n)) return 0;
        i += n;
    }
    return p;
}

static inline int is_text(const Text *text, const Key *key) {
    if (text->escaped) return behind_beginning(text, key) == text->p + text->n;
    return text->n == key->n && *text->p == *key->text &&
           memcmp(text->p, key->text, (size_t)key->n) == 0;
}

/* A string that is one of two texts. */
static const unsigned char *scan_choice(
    Source *s, const unsigned char *p, const Key *choices, int *which, const char *wrong
) {
    Text text;
    const unsigned char *after;
    if (peek(s, p) != '"') return refuse(s, p, wrong);
    after = scan_string(s, p, &text);
    if (!after) return 0;
    for (*which = 0; *which < 2; ++*which) {
        if (is_text(&text, &choices[*which])) return after;
    }
    return refuse(s, p, wrong);
}

/* The end of the object, or a key that does not stand as expected, up to its value. `which` gets
 * the index of the key, -1 at the end, and `key` where it begins. */
static const unsigned char *find_field(
    Source *s, const unsigned char *p, const Keys *keys, const Walk *walk,
    const unsigned char **key, int *which
) {
    const Token *const expected = &keys->key[keys->follows[walk->last]].token;
    int more = 1;
    Text text;
    if (expected->n && s->end - p > expected->n + 1 && *p == walk->before &&
        memcmp(p + 1, expected->text, (size_t)expected->n) == 0) { /* near the end: see next_field() */
        *key = p + 1;
        *which = keys->follows[walk->last];
        return blanks(s, p + 1 + expected->n);
    }
    if (walk->before == '{') {
        if (peek(s, p) != '{') return refuse(s, p, "an object must stand here");
        p = blanks(s, p + 1);
        if (peek(s, p) == '}') {
            more = 0;
            p++;
        }
    } else {
        p = scan_separator(s, p, '}', &more);
    }
    *which = -1;
    if (!p || !more) return p;
    *key = p;
    p = scan_key(s, p, &text);
    if (!p) return 0;
    *which = keys->follows[walk->last];
    if (*which < keys->n && is_text(&text, &keys->key[*which])) return p;
    for (*which = 0; *which < keys->n && !is_text(&text, &keys->key[*which]);) ++*which;
    return p;
}

static const unsigned char *seek_field(
    Source *s, const unsigned char *p, Keys *keys, Walk *walk
) {
    for (;;) {
        const unsigned char *key;
        int i;
        walk->role = -1;
        p = find_field(s, p, keys, walk, &key, &i);
        if (!p || i < 0) return p;
        walk->before = ',';
        if (i < keys->n) {
            keys->follows[walk->last] = (unsigned char)i;
            walk->last = i;
            if (keys->key[i].role != UNWANTED) {
                walk->role = keys->key[i].role;
                if (walk->seen >> walk->role & 1) return refuse(s, key, "a field twice");
                walk->seen |= 1ull << walk->role;
                return p;
            }
        }
        p = skip_value(s, p, 0);
        if (!p) return 0;
    }
}

/* Up to the value of the next field that has a role; others are skipped. A role that is filled
 * twice is refused: nobody can tell which value is meant. */
static inline const unsigned char *next_field(
    Source *s, const unsigned char *p, Keys *keys, Walk *walk
) {
    const int i = keys->follows[walk->last];
    const Key *const key = &keys->key[i];
    if (i < keys->n && s->end - p > TOKEN + 1 && *p == walk->before &&
        stands(p + 1, &key->token) && key->role != UNWANTED && !(walk->seen >> key->role & 1)) {
        walk->before = ',';
        walk->last = i;
        walk->role = key->role;
        walk->seen |= 1ull << key->role;
        p += 1 + key->token.n;
        return *p <= ' ' ? blanks(s, p) : p;
    }
    if (walk->before == ',' && peek(s, p) == '}') {
        walk->role = -1;
        return p + 1;
    }
    return seek_field(s, p, keys, walk);
}

#endif
