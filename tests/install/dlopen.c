/* SPDX-License-Identifier: MIT */
/* A program that does not link skua, on the C library's malloc: `dlopen LIBRARY` loads it late,
 * runs tasks in it, closes it and does so again. Closing leaves the library where it is. */
#include <skua.h>

#include <dlfcn.h>
#include <stdio.h>

static __typeof__(&skua_run_with) run;
static __typeof__(&skua_sleep) pause_for;
static __typeof__(&skua_go_with) go;
static __typeof__(&skua_join) join;

static void *child(void *arg)
{
    return pause_for(0.001) < 0 ? NULL : arg;
}

static void *parent(void *arg)
{
    void *value = NULL;

    *(bool *)arg = join(go(child, arg, NULL), &value) == 0 && value == arg;
    return NULL;
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);

    if (at == NULL)
        printf("%s\n", dlerror());
    return at;
}

static bool once(const char *path)
{
    bool is_good = false;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        printf("%s\n", dlerror());
        return false;
    }
    *(void **)&run = symbol(library, "skua_run_with");
    *(void **)&pause_for = symbol(library, "skua_sleep");
    *(void **)&go = symbol(library, "skua_go_with");
    *(void **)&join = symbol(library, "skua_join");
    if (run == NULL || pause_for == NULL || go == NULL || join == NULL)
        return false;
    if (run(parent, &is_good, NULL) != 0 || !is_good)
        return false;
    return dlclose(library) == 0 && dlopen(path, RTLD_NOW | RTLD_NOLOAD) == library;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    if (dlsym(RTLD_DEFAULT, "mallctl") != NULL) {
        printf("jemalloc is in this program, which was to do without\n");
        return 1;
    }
    return once(argv[1]) && once(argv[1]) ? 0 : 1;
}
