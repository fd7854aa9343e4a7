/* SPDX-License-Identifier: MIT */
/* How much a test does: the full number in a plain build, less where every step costs more. */
#ifndef SCALE_H
#define SCALE_H

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define T_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define T_SANITIZED 1
#endif
#endif
#ifndef T_SANITIZED
#define T_SANITIZED 0
#endif

/* T_EMULATOR, where the tests run under one: the words that stand before a program's name. */
#ifdef T_EMULATOR
#define T_EMULATED 1
#else
#define T_EMULATED 0
#endif

#define T_SCALE(plain, sanitized) (T_SANITIZED || T_EMULATED ? (sanitized) : (plain))

#endif
