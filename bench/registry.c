#include "registry.h"

#include <fnmatch.h>
#include <string.h>

const struct kernel *kernel_find(const char *name)
{
    for (int i = 0; kernels[i]; i++)
        if (strcmp(kernels[i]->name, name) == 0)
            return kernels[i];
    return NULL;
}

/* Copies the glob at *at and moves *at behind it; false at the end or when it is too long. */
static bool next_glob(const char **at, char glob[128])
{
    const size_t length = strcspn(*at, ",");
    if (**at == '\0' || length >= 128)
        return false;
    memcpy(glob, *at, length);
    glob[length] = '\0';
    *at += length + ((*at)[length] == ',');
    return true;
}

bool kernel_matches(const struct kernel *kernel, const char *globs)
{
    char glob[128];
    while (next_glob(&globs, glob))
        if (fnmatch(glob, kernel->name, 0) == 0)
            return true;
    return false;
}

bool globs_check(const char *globs, struct err *err)
{
    char glob[128];
    const char *at = globs;
    if (*at == '\0')
        return err_set(err, "kernels: the list is empty; `seqbench list` names them");
    while (*at != '\0') {
        if (!next_glob(&at, glob))
            return err_set(err, "kernels: a name longer than 127 characters");
        bool found = false;
        for (int i = 0; kernels[i] && !found; i++)
            found = fnmatch(glob, kernels[i]->name, 0) == 0;
        if (!found)
            return err_set(err, "kernels: '%s' matches no kernel; `seqbench list` names them",
                           glob);
    }
    return true;
}

int kernel_layer_length(const struct kernel *kernel)
{
    return (int)strcspn(kernel->name, "/.");
}

const char *kernel_variant(const struct kernel *kernel)
{
    return kernel->name + kernel_layer_length(kernel) + 1;
}

const char *kernel_kind(const struct kernel *kernel)
{
    if (kernel->layer->cells == CELLS_OWN)
        return "roof";
    return strchr(kernel->name, '.') ? "part" : "layer";
}
