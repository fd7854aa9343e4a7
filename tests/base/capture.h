/* SPDX-License-Identifier: MIT */
/* Runs a function in a child process and keeps what it writes to stderr: for panics and warnings.
 */
#ifndef TESTS_BASE_CAPTURE_H
#define TESTS_BASE_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct capture {
    int status; /* of waitpid */
    char text[4096];
};

static inline void capture_run(struct capture *c, void (*fn)(void))
{
    int fds[2];
    size_t used = 0;
    char *emulator;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };

        setrlimit(RLIMIT_CORE, &no_core);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        fn();
        _exit(0);
    }
    close(fds[1]);
    while (used < sizeof(c->text) - 1 &&
           (n = read(fds[0], c->text + used, sizeof(c->text) - 1 - used)) > 0)
        used += (size_t)n;
    close(fds[0]);
    c->text[used] = '\0';
    emulator = strstr(c->text, "qemu: uncaught target signal"); /* its own word on the death */
    if (emulator != NULL)
        *emulator = '\0';
    assert_int_equal(waitpid(pid, &c->status, 0), pid);
}

/* The child must have aborted with one line that contains part. */
static inline void capture_expect_panic(void (*fn)(void), const char *part)
{
    struct capture c;

    capture_run(&c, fn);
    assert_true(WIFSIGNALED(c.status));
    assert_int_equal(WTERMSIG(c.status), SIGABRT);
    assert_int_equal(strncmp(c.text, "skua: ", 6), 0);
    if (strstr(c.text, part) == NULL)
        fail_msg("'%s' lacks '%s'", c.text, part);
}

#endif
