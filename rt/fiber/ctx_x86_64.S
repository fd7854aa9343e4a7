/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The context switch for x86-64, System V ABI. Contract in ctx.h.
 *
 * What a left stack holds, from its saved pointer upwards:
 *      0  where to continue
 *      8  MXCSR (4 bytes), x87 control word (2 bytes)
 *     16  r15 r14 r13 r12 rbx rbp
 *     64  return address of rt_ctx_swap()
 * A prepared stack holds 0 and 8 alike, then the entry function at 16 and the top at 24.
 *
 * The other side is entered by an indirect jump: a ret to an address that no call pushed costs a
 * misprediction. The FP control bits are compared before they are written, since writing is the
 * dear part; the low six bits of MXCSR are sticky flags and not control.
 */
    .text

    .globl  rt_ctx_swap
    .hidden rt_ctx_swap
    .type   rt_ctx_swap, @function
    .p2align 6
rt_ctx_swap:
    .cfi_startproc
    endbr64
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    leaq    .Lresume(%rip), %rcx
    subq    $16, %rsp
    .cfi_adjust_cfa_offset 16
    stmxcsr 8(%rsp)
    fnstcw  12(%rsp)
    movq    %rcx, (%rsp)
    movl    8(%rsp), %eax
    movzwl  12(%rsp), %edx
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    jmpq    *(%rsi)

    /* eax: MXCSR of the side that was left, edx: its control word. */
.Lresume:
    endbr64
    xorl    8(%rsp), %eax
    testl   $0xffc0, %eax
    jne     .Lload_mxcsr
.Lcheck_x87:
    cmpw    12(%rsp), %dx
    jne     .Lload_x87
.Lpop:
    addq    $16, %rsp
    .cfi_adjust_cfa_offset -16
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret

    .cfi_def_cfa_offset 72
    .cfi_rel_offset %rbp, 56
    .cfi_rel_offset %rbx, 48
    .cfi_rel_offset %r12, 40
    .cfi_rel_offset %r13, 32
    .cfi_rel_offset %r14, 24
    .cfi_rel_offset %r15, 16
.Lload_mxcsr:
    ldmxcsr 8(%rsp)
    jmp     .Lcheck_x87
.Lload_x87:
    fldcw   12(%rsp)
    jmp     .Lpop
    .cfi_endproc
    .size   rt_ctx_swap, . - rt_ctx_swap

    /* First code on a prepared stack. The frame has no caller: unwinders stop here. */
    .globl  rt_ctx_start
    .hidden rt_ctx_start
    .type   rt_ctx_start, @function
    .p2align 4
rt_ctx_start:
    .cfi_startproc
    .cfi_undefined %rip
    .cfi_def_cfa_offset 32
    endbr64
    ldmxcsr 8(%rsp)
    fldcw   12(%rsp)
    movq    16(%rsp), %rax
    movq    24(%rsp), %rdi
    xorl    %ebp, %ebp
    callq   *%rax
    ud2
    .cfi_endproc
    .size   rt_ctx_start, . - rt_ctx_start

    .section .note.GNU-stack, "", @progbits

    /* Every indirect jump above lands on endbr64: the object may be linked with IBT on. The shadow
     * stack is not claimed. */
    .section .note.gnu.property, "a"
    .p2align 3
    .long   4
    .long   16
    .long   5
    .asciz  "GNU"
    .long   0xc0000002
    .long   4
    .long   1
    .long   0
