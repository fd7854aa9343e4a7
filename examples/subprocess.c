/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <skua.h>
#include <stdio.h>
#include <string.h>

static int sort(const char *lines)
{
    const char *argv[] = { "sort", "-r", NULL };
    struct skua_process_output out;
    skua_process *p;
    int err = skua_process_exec(argv, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE);
    if (err < 0)
        return err;
    err = skua_process_communicate(p, lines, strlen(lines), &out, 5.0);
    if (err == 0) {
        printf("sort ended with %d and wrote\n%s", out.returncode, out.out);
        skua_free(out.out);
    }
    skua_process_release(p);
    return err;
}

static int give_up_soon(void)
{
    skua_process *p;
    int code = 0;
    int err = skua_process_shell("exec sleep 60", &p);
    if (err < 0)
        return err;
    err = skua_process_wait(p, 0.2, &code);
    if (err == -ETIMEDOUT) {
        puts("sleep takes too long");
        (void)skua_process_terminate(p);
        err = skua_process_wait(p, 5.0, &code);
        printf("it ended with %d\n", code);
    }
    skua_process_release(p);
    return err;
}

static void *main_task(void *arg)
{
    const char *missing[] = { "no-such-program", NULL };
    skua_process *p;
    int err = sort("b\nc\na\n");
    if (err == 0)
        err = give_up_soon();
    if (err == 0 && skua_process_exec(missing, &p) == -ENOENT)
        puts("there is no such program");
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
