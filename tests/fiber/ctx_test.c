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
#include <immintrin.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

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
    uintptr_t avx;
    bool has_entered;
    bool is_first_argument_top;
    int round_mode;
    int mode_seen;
    int depth;
} t;

void rt_ctx_start(void); /* the code that every prepared stack begins with */

/* Fills rbx, rbp, r12-r15 with pattern + 0 .. 5, swaps, and returns how many of them changed. */
uint64_t canary_swap(void **ret_save_sp, void *to_sp, uint64_t pattern);

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

static uint16_t x87_control_word(void)
{
    uint16_t cw;

    __asm__ volatile("fnstcw %0" : "=m"(cw));
    return cw;
}

static RT_NO_SANITIZE void fp_entry(void)
{
    t.mode_seen = fegetround();
    fesetround(FE_DOWNWARD);
    back();
    t.bad += fegetround() != FE_DOWNWARD;
    t.bad += (x87_control_word() & 0xc00) != FE_DOWNWARD;
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
    back();
    t.bad += (_mm_getcsr() & 0x8040) != 0x8040;
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
        t.bad += (x87_control_word() & 0xc00) != FE_UPWARD;
        t.bad += (_mm_getcsr() & 0x8040) != 0;
    }
    fesetround(FE_TONEAREST);
    assert_int_equal(t.bad, 0);
    assert_int_equal(t.mode_seen, FE_TONEAREST);
}

RT_NO_SANITIZE __attribute__((target("avx"), noinline)) static uintptr_t avx_local(void)
{
    __m256 v = _mm256_set1_ps(1.5f);
    volatile float out[8];
    volatile __m256 *kept = &v;

    _mm256_storeu_ps((float *)out, *kept);
    return out[7] == 1.5f ? (uintptr_t)kept : 1;
}

static RT_NO_SANITIZE void aligned_entry(void *first_argument)
{
    uintptr_t *frame = __builtin_frame_address(0);

    t.frame = (uintptr_t)frame;
    t.caller_frame = frame[0];
    t.is_first_argument_top = first_argument == stack_top();
    t.avx = __builtin_cpu_supports("avx") ? avx_local() : 0;
    t.has_entered = true;
    back();
}

static void test_ctx_make_entry_has_aligned_stack_and_no_caller(void **state)
{
    (void)state;
    t.side_sp = rt_ctx_make(stack_top(), (void (*)(void))aligned_entry);
    rt_ctx_swap(&t.main_sp, t.side_sp);
    assert_true(t.has_entered);
    assert_int_equal(t.frame % 16,
                     0); /* 8 modulo 16 at entry, 0 after the frame pointer is pushed */
    assert_int_equal(t.caller_frame, 0);
    assert_true(t.is_first_argument_top);
    assert_int_equal(t.avx % 32, 0);
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
