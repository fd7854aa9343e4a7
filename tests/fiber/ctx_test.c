/* SPDX-License-Identifier: MIT */
/* Goal: the bare switch keeps what the ABI makes the callee keep, and a prepared stack is a proper
 * one. Method: two contexts hand over to each other; callee-saved registers are filled with
 * patterns in assembly around each of a million switches, the FP control words are set apart, the
 * first frame is looked at. Sanitizers do not hear of these switches, hence what runs on the other
 * stack is not instrumented.
 */
#include "fiber/ctx.h"

#include "base/san.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define STACK_BYTES   ((size_t)64 << 10)
#define SWITCH_COUNT  1000000
#define BACKTRACE_MAX 64

static struct {
    void *main_sp;
    void *side_sp;
    char *memory;
    uint64_t bad;
    uint64_t rounds;
    uintptr_t frame;
    uintptr_t caller_frame;
    uintptr_t vector;
    bool has_entered;
    bool is_first_argument_top;
    int round_mode;
    int mode_seen;
    int depth;
} t;

void rt_ctx_start(void); /* the code that every prepared stack begins with */

/* Fills the callee-saved registers with the pattern, each with a number added, swaps, and returns
 * how many of them changed. */
uint64_t canary_swap(void **ret_save_sp, void *to_sp, uint64_t pattern);

#if defined(__x86_64__)
__asm__(
    ".text\n"
    ".type canary_swap, @function\n"
    "canary_swap:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq "
    "%r15\n"
    "    pushq %rdx\n"
    "    movq %rdx, %rbx\n"
    "    leaq 1(%rdx), %rbp\n    leaq 2(%rdx), %r12\n    leaq 3(%rdx), %r13\n"
    "    leaq 4(%rdx), %r14\n    leaq 5(%rdx), %r15\n"
    "    call rt_ctx_swap\n"
    "    popq %rdx\n"
    "    xorl %eax, %eax\n"
    "    cmpq %rdx, %rbx\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    incq %rdx\n    cmpq %rdx, %rbp\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    incq %rdx\n    cmpq %rdx, %r12\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    incq %rdx\n    cmpq %rdx, %r13\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    incq %rdx\n    cmpq %rdx, %r14\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    incq %rdx\n    cmpq %rdx, %r15\n    setne %cl\n    movzbl %cl, %ecx\n    addq %rcx, %rax\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size canary_swap, . - canary_swap\n");
#else
/* x19 to x28 hold pattern + 0 .. 9; d8 to d15 pattern + 10 .. 17. x29 has to be the stack pointer;
 * without x30 the call would not return. */
#define EACH_X(what) \
    what("19") what("20") what("21") what("22") what("23") what("24") what("25") what("26") \
    what("27") what("28")
#define EACH_D(what) \
    what("8") what("9") what("10") what("11") what("12") what("13") what("14") what("15")
#define FILL_X(n)  "    mov x" n ", x9\n    add x9, x9, #1\n"
#define FILL_D(n)  "    fmov d" n ", x9\n    add x9, x9, #1\n"
#define COUNT      "    cset x10, ne\n    add x0, x0, x10\n    add x9, x9, #1\n"
#define TEST_X(n)  "    cmp x" n ", x9\n" COUNT
#define TEST_D(n)  "    fmov x11, d" n "\n    cmp x11, x9\n" COUNT
#define PAIRS(op) \
    "    " op " x19, x20, [sp, #32]\n    " op " x21, x22, [sp, #48]\n" \
    "    " op " x23, x24, [sp, #64]\n    " op " x25, x26, [sp, #80]\n" \
    "    " op " x27, x28, [sp, #96]\n    " op " d8, d9, [sp, #112]\n" \
    "    " op " d10, d11, [sp, #128]\n    " op " d12, d13, [sp, #144]\n" \
    "    " op " d14, d15, [sp, #160]\n"
__asm__(
    ".text\n"
    ".type canary_swap, %function\n"
    "canary_swap:\n"
    "    stp x29, x30, [sp, #-176]!\n"
    "    mov x29, sp\n"
    "    str x2, [sp, #16]\n"
    PAIRS("stp")
    "    mov x9, x2\n"
    EACH_X(FILL_X)
    EACH_D(FILL_D)
    "    bl rt_ctx_swap\n"
    "    ldr x9, [sp, #16]\n"
    "    mov x0, #0\n"
    EACH_X(TEST_X)
    EACH_D(TEST_D)
    "    mov x10, sp\n    cmp x29, x10\n"
    COUNT
    PAIRS("ldp")
    "    ldp x29, x30, [sp], #176\n"
    "    ret\n"
    ".size canary_swap, . - canary_swap\n");
#endif

static void *stack_top(void)
{
    return t.memory + STACK_BYTES;
}

static int setup(void **state)
{
    (void)state;
    t.memory = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return t.memory == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return munmap(t.memory, STACK_BYTES);
}

static RT_NO_SANITIZE void back(void)
{
    rt_ctx_swap(&t.side_sp, t.main_sp);
}

static RT_NO_SANITIZE void canary_entry(void)
{
    for (;;) { /* ends with the test: nobody comes back */
        t.bad += canary_swap(&t.side_sp, t.main_sp, 0x5bd1e995a5a50000u + t.rounds * 16);
        t.rounds++;
    }
}

static void test_ctx_swap_million_times_callee_saved_registers_kept(void **state)
{
    uint64_t bad = 0;

    (void)state;
    t.bad = t.rounds = 0;
    t.side_sp = rt_ctx_make(stack_top(), canary_entry);
    for (uint64_t i = 0; i < SWITCH_COUNT; i++)
        bad += canary_swap(&t.main_sp, t.side_sp, 0x0123456789ab0000u ^ i << 24);
    assert_int_equal(bad, 0);
    assert_int_equal(t.bad, 0);
    assert_int_equal(t.rounds, SWITCH_COUNT - 1);
}

#if defined(__x86_64__)
/* The rounding that the second set of FP control bits says, in terms of the first. */
static int other_rounding(void)
{
    uint16_t cw;

    __asm__ volatile("fnstcw %0" : "=m"(cw));
    return cw & 0xc00;
}

/* Flush to zero, denormals are zero. */
static bool flushes(void)
{
    return (_mm_getcsr() & 0x8040) == 0x8040;
}

static void set_flushing(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
}
#else
static int other_rounding(void)
{
    return fegetround(); /* there is one set */
}

static bool flushes(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (fpcr & (uint64_t)1 << 24) != 0;
}

static void set_flushing(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (uint64_t)1 << 24));
}
#endif

static RT_NO_SANITIZE void fp_entry(void)
{
    t.mode_seen = fegetround();
    fesetround(FE_DOWNWARD);
    back();
    t.bad += fegetround() != FE_DOWNWARD;
    t.bad += other_rounding() != FE_DOWNWARD;
    set_flushing();
    back();
    t.bad += !flushes();
    back();
}

static void test_ctx_swap_fp_control_bits_belong_to_the_stack(void **state)
{
    (void)state;
    t.bad = 0;
    fesetround(FE_UPWARD);
    t.side_sp = rt_ctx_make(stack_top(), fp_entry);
    for (int i = 0; i < 3; i++) {
        rt_ctx_swap(&t.main_sp, t.side_sp);
        t.bad += fegetround() != FE_UPWARD;
        t.bad += other_rounding() != FE_UPWARD;
        t.bad += flushes();
    }
    fesetround(FE_TONEAREST);
    assert_int_equal(t.bad, 0);
    assert_int_equal(t.mode_seen, FE_TONEAREST);
}

/* The address of a vector on the stack that is used as one, 1 if it was misread, 0 without them. */
#if defined(__x86_64__)
#define VECTOR_ALIGNMENT 32
RT_NO_SANITIZE __attribute__((target("avx"), noinline)) static uintptr_t avx_local(void)
{
    __m256 v = _mm256_set1_ps(1.5f);
    volatile float out[8];
    volatile __m256 *kept = &v;

    _mm256_storeu_ps((float *)out, *kept);
    return out[7] == 1.5f ? (uintptr_t)kept : 1;
}

static RT_NO_SANITIZE uintptr_t vector_local(void)
{
    return __builtin_cpu_supports("avx") ? avx_local() : 0;
}
#else
#define VECTOR_ALIGNMENT 16
static RT_NOINLINE uintptr_t vector_local(void)
{
    typedef float vector __attribute__((vector_size(16)));
    vector v = {1.5f, 1.5f, 1.5f, 1.5f};
    volatile vector *kept = &v;

    return (*kept)[3] == 1.5f ? (uintptr_t)kept : 1;
}
#endif

static RT_NO_SANITIZE void aligned_entry(void *first_argument)
{
    uintptr_t *frame = __builtin_frame_address(0);

    t.frame = (uintptr_t)frame;
    t.caller_frame = frame[0];
    t.is_first_argument_top = first_argument == stack_top();
    t.vector = vector_local();
    t.has_entered = true;
    back();
}

static void test_ctx_make_entry_has_aligned_stack_and_no_caller(void **state)
{
    (void)state;
    t.side_sp = rt_ctx_make(stack_top(), (void (*)(void))aligned_entry);
    rt_ctx_swap(&t.main_sp, t.side_sp);
    assert_true(t.has_entered);
    /* On x86-64 8 modulo 16 at entry, 0 after the frame pointer is pushed. */
    assert_int_equal(t.frame % 16, 0);
    assert_int_equal(t.caller_frame, 0);
    assert_true(t.is_first_argument_top);
    assert_int_equal(t.vector % VECTOR_ALIGNMENT, 0);
}

static void test_ctx_make_when_top_unaligned_entry_has_aligned_stack(void **state)
{
    (void)state;
    t.side_sp = rt_ctx_make(t.memory + STACK_BYTES - 9, (void (*)(void))aligned_entry);
    rt_ctx_swap(&t.main_sp, t.side_sp);
    assert_int_equal(t.frame % 16, 0);
    assert_false(t.is_first_argument_top);
}

static RT_NO_SANITIZE void backtrace_entry(void)
{
    void *frames[BACKTRACE_MAX];
    uintptr_t last;

    t.depth = backtrace(frames, BACKTRACE_MAX);
    last = t.depth > 0 ? (uintptr_t)frames[t.depth - 1] : 0;
    t.bad += last < (uintptr_t)rt_ctx_start || last > (uintptr_t)rt_ctx_start + 64;
    back();
}

static void test_ctx_backtrace_inside_stack_ends_at_its_start(void **state)
{
    (void)state;
    t.bad = 0;
    t.side_sp = rt_ctx_make(stack_top(), backtrace_entry);
    rt_ctx_swap(&t.main_sp, t.side_sp);
    assert_in_range(t.depth, 2, 8);
    assert_int_equal(t.bad, 0);
}

static void *errno_of_this_thread(void *unused)
{
    uint64_t bad = 0;

    (void)unused;
    errno = EDOM;
    bad += rt_ctx_errno_load() != EDOM;
    rt_ctx_errno_store(EXDEV);
    bad += errno != EXDEV;
    return (void *)(uintptr_t)bad;
}

static void test_ctx_errno_accessors_reach_the_thread_they_run_on(void **state)
{
    pthread_t thread;
    void *bad = NULL;

    (void)state;
    assert_null(errno_of_this_thread(NULL));
    errno = E2BIG;
    assert_int_equal(pthread_create(&thread, NULL, errno_of_this_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &bad), 0);
    assert_null(bad);
    assert_int_equal(rt_ctx_errno_load(), E2BIG);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_ctx_swap_million_times_callee_saved_registers_kept),
        FRESH(test_ctx_swap_fp_control_bits_belong_to_the_stack),
        FRESH(test_ctx_make_entry_has_aligned_stack_and_no_caller),
        FRESH(test_ctx_make_when_top_unaligned_entry_has_aligned_stack),
        FRESH(test_ctx_backtrace_inside_stack_ends_at_its_start),
        cmocka_unit_test(test_ctx_errno_accessors_reach_the_thread_they_run_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
