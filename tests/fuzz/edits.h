/* What the two halves of the mutator share: the input that is edited, and the means. */
#ifndef COINCALL_FAST_FUZZ_EDITS_H
#define COINCALL_FAST_FUZZ_EDITS_H

#include <stddef.h>
#include <stdint.h>

typedef struct { size_t from, to; } Span;

extern uint8_t *text;
extern size_t length, room;

/* A number at random, from 0 to n - 1. */
size_t below(size_t n);

/* Puts n bytes where a span is; false, and nothing done, where there is no room for them. */
int replace(Span span, const void *with, size_t n);
int insert(size_t at, const void *piece, size_t n);
void cut(Span span);

#define ANY(list) (list)[below(sizeof(list) / sizeof *(list))]

/* An edit of a step that knows the keys of messages; `steps` are all n of them. */
void change_rows(const Span *steps, int n, Span step);

#endif
