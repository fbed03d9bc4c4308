/* Words that one thread writes while others read them, with or without the GIL.
 *
 * Every access is atomic and relaxed, so that no compiler may split, repeat or invent one; order
 * comes from the fences alone. On the processors that wheels are made for, a word costs what it
 * would cost otherwise.
 */
#ifndef COINCALL_FAST_WORDS_H
#define COINCALL_FAST_WORDS_H

#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__) /* x64, where its volatile is aligned and ordered */
#if !defined(_M_X64) || defined(_M_ARM64EC)
#error "the order of reads and writes is known for x64 alone"
#endif
#include <intrin.h>
static inline int64_t get(const int64_t *word) { return *(const volatile int64_t *)word; }
static inline void put(int64_t *word, int64_t value) { *(volatile int64_t *)word = value; }
static inline void reads_before_this(void) { _ReadWriteBarrier(); }
static inline void writes_before_this(void) { _ReadWriteBarrier(); }
#else
static inline int64_t get(const int64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void put(int64_t *word, int64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
static inline void reads_before_this(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void writes_before_this(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
#endif

#endif
