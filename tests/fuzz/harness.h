/* What the Cython and the C half of the fuzz target know of each other. */
#ifndef COINCALL_FAST_FUZZ_HARNESS_H
#define COINCALL_FAST_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

enum {
    END_OF_STEP = 0xFF, /* neither byte is legal anywhere in a frame */
    CALL = 0xFE,
    STEPS = 8, /* of an input; more are not looked at */
    MODEL_NAME = 1 << 14, /* bytes of the longest symbol */
};

/* Bytes that are allocated now. */
size_t heap_bytes(void);

/* Lets the first n bytes of a buffer be used, and no other. */
void fence(uint8_t *buffer, size_t room, size_t n);

/* Of coincall_fast.model.Stats. */
enum { APPLIED, UNCHANGED, STALE, UNSORTED, TRUNCATED, INEXACT, REJECTED, ABSENT };

/* All that can be seen of a book. */
typedef struct {
    int64_t rows[4][100];
    int64_t ages[2][100][2]; /* since when a level has had its price, and its size */
    int64_t counts[8];
    int n[2];
    uint64_t updates;
    int64_t ts_ms, recv_ns, version;
    int valid, last_change, name_n;
    uint8_t name[MODEL_NAME];
} ModelBook;

typedef struct {
    ModelBook book[STEPS + 1];
    int books;
} Model;

typedef enum {
    TAKEN,
    MESSAGE,
    UNDECODED,
    OTHER_SYMBOL,
    GAP,
    ROWS, /* a frame of a channel of messages: MESSAGE or UNDECODED, as model_message.py says */
    LEFT_OPEN, /* nested deeper than 64 */
} Outcome;

void model_start(Model *m, int is_store);

/* A frame for the first book, or for the one of its symbol; `which` gets the one that took it. */
Outcome model_frame(
    Model *m, int is_bybit, int is_store, const uint8_t *text, size_t n, int64_t recv_ns, int *which);
void model_clear(ModelBook *book);
void model_load(ModelBook *book, int side, int64_t price, int64_t size, int64_t recv_ns);
void model_update(ModelBook *book, int side, int64_t price, int64_t size, int64_t recv_ns);

#endif
