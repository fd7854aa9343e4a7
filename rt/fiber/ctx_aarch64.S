/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The context switch for aarch64, AAPCS64. Contract in ctx.h.
 *
 * What a left stack holds, from its saved pointer upwards:
 *      0  where to continue
 *      8  FPCR
 *     16  x19 to x28
 *     96  x29 and x30, the frame record of rt_ctx_swap(); x30 is signed
 *    112  d8 to d15: of the vector registers a function keeps only these low halves
 * A prepared stack holds 0 and 8 alike, then the entry function at 16 and the top at 24.
 *
 * The other side is entered by an indirect branch to a landing pad for branches. FPCR is compared
 * before it is written, since writing is the dear part; FPSR holds sticky flags and no control.
 * x18 is the platform's, which Linux leaves alone. A caller with live SVE or SME state has saved
 * it, since no ordinary call keeps any of it.
 */
#define FRAME_BYTES 176

    .text

    .globl  rt_ctx_swap
    .hidden rt_ctx_swap
    .type   rt_ctx_swap, %function
    .p2align 6
rt_ctx_swap:
    .cfi_startproc
    hint    #25                 /* paciasp, which is also a landing pad for calls */
    .cfi_negate_ra_state
    sub     sp, sp, #FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    stp     x29, x30, [sp, #96]
    .cfi_rel_offset x29, 96
    .cfi_rel_offset x30, 104
    add     x29, sp, #96
    stp     x19, x20, [sp, #16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp     x21, x22, [sp, #32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp     x23, x24, [sp, #48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp     x25, x26, [sp, #64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp     x27, x28, [sp, #80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp     d8, d9, [sp, #112]
    .cfi_rel_offset b8, 112
    .cfi_rel_offset b9, 120
    stp     d10, d11, [sp, #128]
    .cfi_rel_offset b10, 128
    .cfi_rel_offset b11, 136
    stp     d12, d13, [sp, #144]
    .cfi_rel_offset b12, 144
    .cfi_rel_offset b13, 152
    stp     d14, d15, [sp, #160]
    .cfi_rel_offset b14, 160
    .cfi_rel_offset b15, 168
    mrs     x9, fpcr
    adr     x10, .Lresume
    stp     x10, x9, [sp]
    mov     x11, sp
    str     x11, [x0]
    ldr     x12, [x1]
    mov     sp, x1
    br      x12

    /* x9: FPCR of the side that was left. */
.Lresume:
    hint    #36                 /* bti j */
    ldr     x10, [sp, #8]
    cmp     x10, x9
    b.ne    .Lload_fpcr
.Lload:
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     d8, d9, [sp, #112]
    ldp     d10, d11, [sp, #128]
    ldp     d12, d13, [sp, #144]
    ldp     d14, d15, [sp, #160]
    ldp     x29, x30, [sp, #96]
    .cfi_remember_state
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    .cfi_restore b8
    .cfi_restore b9
    .cfi_restore b10
    .cfi_restore b11
    .cfi_restore b12
    .cfi_restore b13
    .cfi_restore b14
    .cfi_restore b15
    add     sp, sp, #FRAME_BYTES
    .cfi_adjust_cfa_offset -FRAME_BYTES
    hint    #29                 /* autiasp */
    .cfi_negate_ra_state
    ret

    .cfi_restore_state
.Lload_fpcr:
    msr     fpcr, x10
    b       .Lload
    .cfi_endproc
    .size   rt_ctx_swap, . - rt_ctx_swap

    /* First code on a prepared stack. The frame has no caller: unwinders stop here. */
    .globl  rt_ctx_start
    .hidden rt_ctx_start
    .type   rt_ctx_start, %function
    .p2align 4
rt_ctx_start:
    .cfi_startproc
    .cfi_undefined x30
    .cfi_def_cfa_offset 32
    hint    #36                 /* bti j */
    ldr     x10, [sp, #8]
    msr     fpcr, x10
    ldp     x9, x0, [sp, #16]
    mov     x29, xzr
    mov     x30, xzr
    blr     x9
    brk     #1
    .cfi_endproc
    .size   rt_ctx_start, . - rt_ctx_start

    .section .note.GNU-stack, "", %progbits

    /* Every indirect branch above lands on a pad, every return address is signed: the object may be
     * linked with BTI and PAC on. */
    .section .note.gnu.property, "a"
    .p2align 3
    .long   4
    .long   16
    .long   5
    .asciz  "GNU"
    .long   0xc0000000
    .long   4
    .long   3
    .long   0
