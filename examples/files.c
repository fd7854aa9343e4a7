/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const towns[] = { "Bergen", "Narvik", "Tromso" };

static void *count_letters(void *path)          /* reads while the others read */
{
    char *text;
    size_t n;
    int err = skua_file_read_all(path, (void **)&text, &n, 1 << 20);
    if (err < 0)
        return skua_fail(err);
    printf("%s holds %s, %zu letters\n", (char *)path, text, n);
    skua_free(text);
    return NULL;
}

static int write_towns(void)
{
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        char path[16];
        snprintf(path, sizeof path, "town%d", i + 1);
        err = skua_file_write_all(path, towns[i], strlen(towns[i]), .atomic = true);
    }
    return err;
}

static void *main_task(void *arg)
{
    char **names;
    size_t n;
    int err = write_towns();
    if (err == 0)
        err = skua_file_list(".", &names, &n);
    if (err < 0)
        return skua_fail(err);

    printf("%zu files\n", n);
    err = skua_map(count_letters, (void **)names, n, NULL, .limit = 2);
    for (size_t i = 0; i < n && err == 0; i++)
        err = skua_file_unlink(names[i]);
    skua_free(names);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void)
{
    char folder[] = "/tmp/skua-example-XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) < 0)
        return 1;
    int err = skua_run(main_task, NULL);
    return rmdir(folder) < 0 || err < 0;
}
