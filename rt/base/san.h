/* SPDX-License-Identifier: MIT */
/* floor 0: base. What the sanitizers and Valgrind have to be told about stacks and switches. All of
 * it is nothing in builds without them.
 *
 * The two halves rt_san_before_switch and rt_san_after_switch go right before and right behind the
 * switch, both from one function marked RT_NO_SANITIZE: ThreadSanitizer keeps a shadow call stack
 * per fiber, and an instrumented function that enters on one fiber and leaves on another would
 * unbalance it.
 */
#ifndef RT_BASE_SAN_H
#define RT_BASE_SAN_H

#include <stdbool.h>
#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#ifndef __has_attribute
#define __has_attribute(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RT_ASAN 1
#else
#define RT_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define RT_TSAN 1
#else
#define RT_TSAN 0
#endif
#if defined(SKUA_VALGRIND) && SKUA_VALGRIND
#define RT_VALGRIND 1
#include <valgrind/valgrind.h>
#else
#define RT_VALGRIND 0
#endif

#define RT_SANITIZED (RT_ASAN || RT_TSAN || RT_VALGRIND)

#if __has_attribute(disable_sanitizer_instrumentation)
#define RT_NO_SANITIZE \
    __attribute__((no_sanitize("address", "thread", "undefined"), \
                   disable_sanitizer_instrumentation))
#elif defined(__clang__)
#define RT_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define RT_NO_SANITIZE \
    __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif

#if RT_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **old_bottom, size_t *old_size);
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);
void __lsan_register_root_region(const void *p, size_t size);
void __lsan_unregister_root_region(const void *p, size_t size);
#endif
#if RT_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define RT_TSAN_ACQUIRE(obj) __tsan_acquire((void *)(obj))
#define RT_TSAN_RELEASE(obj) __tsan_release((void *)(obj))
#else
#define RT_TSAN_ACQUIRE(obj) ((void)(obj))
#define RT_TSAN_RELEASE(obj) ((void)(obj))
#endif

/* What is kept per stack; embed it under #if RT_SANITIZED or always (it is empty when off). */
struct rt_san_fiber {
#if RT_ASAN
    const void *stack; /* lowest usable address */
    size_t size;
    void *fake;
#endif
#if RT_TSAN
    void *tsan;
#endif
#if RT_VALGRIND
    unsigned valgrind_id;
#endif
};

/* For a stack that was just mapped: lowest usable address and size. One TSan fiber per stack, for
 * all the tasks that run on it one after another: dead fibers cost memory there. */
static inline void rt_san_fiber_init(struct rt_san_fiber *f, void *stack, size_t size)
{
    (void)f;
    (void)stack;
    (void)size;
#if RT_ASAN
    f->stack = stack;
    f->size = size;
    f->fake = NULL;
    __lsan_register_root_region(stack, size);
#endif
#if RT_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
#if RT_VALGRIND
    f->valgrind_id = VALGRIND_STACK_REGISTER(stack, (char *)stack + size);
#endif
}

/* Before the stack is unmapped; not from that stack. */
static inline void rt_san_fiber_fini(struct rt_san_fiber *f, void *stack, size_t size)
{
    (void)f;
    (void)stack;
    (void)size;
#if RT_ASAN
    __lsan_unregister_root_region(stack, size);
    __asan_unpoison_memory_region(stack, size);
#endif
#if RT_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
#if RT_VALGRIND
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#endif
}

/* The calling thread's own stack: f stands for it while other stacks run on the thread. */
static inline void rt_san_fiber_init_thread(struct rt_san_fiber *f, const void *stack, size_t size)
{
    (void)f;
    (void)stack;
    (void)size;
#if RT_ASAN
    f->stack = stack;
    f->size = size;
    f->fake = NULL;
#endif
#if RT_TSAN
    f->tsan = __tsan_get_current_fiber();
#endif
#if RT_VALGRIND
    f->valgrind_id = 0;
#endif
}

/* dying: the stack that is left will never be resumed in its present frames. */
static inline RT_NO_SANITIZE void rt_san_before_switch(struct rt_san_fiber *from,
                                                       struct rt_san_fiber *to, bool dying)
{
    (void)from;
    (void)to;
    (void)dying;
#if RT_ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->stack, to->size);
#endif
#if RT_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* On the stack that goes on: its own fiber, or NULL in the first function of a fresh stack. */
static inline RT_NO_SANITIZE void rt_san_after_switch(struct rt_san_fiber *self)
{
    (void)self;
#if RT_ASAN
    __sanitizer_finish_switch_fiber(self != NULL ? self->fake : NULL, NULL, NULL);
#endif
}

#endif
