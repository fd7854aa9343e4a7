/* SPDX-License-Identifier: MIT */
#include "stderr.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the text */
static char text_read[8192];
static int from_pipe, former;

void t_stderr_catch(void)
{
    int fds[2];
    if (pipe(fds) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
        exit(9);
    former = dup(STDERR_FILENO);
    from_pipe = fds[0];
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
}

bool t_stderr_has(const char *text)
{
    pthread_mutex_lock(&lock);
    size_t used = strlen(text_read);
    ssize_t n = read(from_pipe, text_read + used, sizeof text_read - 1 - used);
    if (n > 0)
        text_read[used + (size_t)n] = '\0';
    bool found = strstr(text_read, text) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

void t_stderr_give_back(void)
{
    dup2(former, STDERR_FILENO);
    close(former);
    close(from_pipe);
    (void)!write(STDERR_FILENO, text_read, strlen(text_read));
}
