/* SPDX-License-Identifier: MIT */
/* floor 3: task. A value or an error in one pointer. */
#include <errno.h>
#include <stdint.h>

#include <skua.h>

/* Errors are pointers that no mapping can have: bits 47 and up are neither all zero nor all one.
 * The value of bits 48 to 55 keeps them impossible on machines that ignore the top byte as well. */
#define ERROR_TAG  ((uintptr_t)0x5ca1000000000000)
#define ERROR_MAX  4095u

void *skua_fail(int err)
{
    unsigned e = err <= -1 && err >= -(int)ERROR_MAX ? (unsigned)-err : EINVAL;
    return (void *)(ERROR_TAG | e);
}

int skua_failed(const void *value)
{
    uintptr_t v = (uintptr_t)value;
    if ((v & ~(uintptr_t)ERROR_MAX) != ERROR_TAG)
        return 0;
    return -(int)(v & ERROR_MAX);
}
