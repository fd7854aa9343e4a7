/* SPDX-License-Identifier: MIT */
/* The program of the snippets on installing: as small as one gets, with the macros of C. */
#include <skua.h>

static void *answer(void *arg)
{
    return skua_sleep(0.001) < 0 ? NULL : arg;
}

static void *serve(void *arg)
{
    void *value = NULL;

    if (skua_join(skua_spawn(answer, arg, .name = "answer"), &value) < 0 || value != arg)
        return skua_fail(-EIO);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    return skua_run(serve, argv) < 0;
}
