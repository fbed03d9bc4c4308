/* The fields of an object by their keys: those that somebody wants, in whatever order they come.
 *
 * Positions and refusals are as in _json.h.
 */
#ifndef COINCALL_FAST_FIELDS_H
#define COINCALL_FAST_FIELDS_H

#include "_json.h"
#include "_plain.h"

enum {
    KEY_BYTES = 24, /* of the longest key */
    MAX_KEYS = 8,   /* of one object */
    UNWANTED = 0,   /* the role of a key that is known and skipped */
};

typedef struct {
    unsigned char text[KEY_BYTES];
    int n;
    int role;
    Token token; /* it and its colon, as they mostly stand */
} Key;

/* The keys that are looked for in one kind of object, in the order in which they mostly come. */
typedef struct {
    Key key[MAX_KEYS];
    int n;
    unsigned roles; /* a bit for each */
} Keys;

/* Where a walk over the fields of an object has come to. */
typedef struct {
    unsigned char before; /* what stands before the next field: a brace or a comma */
    int next;             /* the key that probably comes next */
    int role;             /* of the field that is reached; -1 behind the object */
    unsigned seen;        /* a bit for each role */
} Walk;

static inline void begin_walk(Walk *walk) {
    walk->before = '{';
    walk->next = 0;
    walk->role = -1;
    walk->seen = 0;
}

/* What follows the beginning of a text, if it begins so; else NULL. */
static const unsigned char *behind_beginning(const Text *text, const Key *beginning) {
    const unsigned char *p = text->p, *const end = text->p + text->n;
    unsigned char utf8[4];
    int i = 0, n;
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
    return text->n == key->n && memcmp(text->p, key->text, (size_t)key->n) == 0;
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
    int more = 1;
    Text text;
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
    for (*which = 0; p && *which < keys->n && !is_text(&text, &keys->key[*which]);) ++*which;
    return p;
}

/* Up to the value of the next field that has a role; others are skipped. A role that is filled
 * twice is refused: nobody can tell which value is meant. */
static const unsigned char *next_field(
    Source *s, const unsigned char *p, const Keys *keys, Walk *walk
) {
    for (;;) {
        const unsigned char *key = p + 1;
        int i = walk->next;
        if (i < keys->n && s->end - p > TOKEN + 1 && *p == walk->before &&
            stands(key, &keys->key[i].token)) {
            p = key + keys->key[i].token.n;
            if (*p <= ' ') p = blanks(s, p);
        } else {
            p = find_field(s, p, keys, walk, &key, &i);
            walk->role = -1;
            if (!p || i < 0) return p;
        }
        walk->before = ',';
        walk->next = i + 1;
        if (i < keys->n && keys->key[i].role != UNWANTED) {
            walk->role = keys->key[i].role;
            if (walk->seen & 1u << walk->role) return refuse(s, key, "a field twice");
            walk->seen |= 1u << walk->role;
            return p;
        }
        p = skip_value(s, p, 0);
        if (!p) return 0;
    }
}

#endif
