/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>

static void *hello(void *arg)
{
    puts("Hello");
    int err = skua_sleep(1.0);
    puts("World");
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(hello, NULL) < 0; }
