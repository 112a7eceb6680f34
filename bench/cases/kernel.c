#include "cases/kernel.h"

#include <fnmatch.h>
#include <inttypes.h>
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
    bool is_in = false;
    while (next_glob(&globs, glob)) {
        const bool takes_out = glob[0] == '!';
        if (fnmatch(glob + takes_out, kernel->name, 0) == 0)
            is_in = !takes_out;
    }
    return is_in;
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
        bool found = glob[0] == '!'; /* what is not there needs not be taken out */
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
    if (!strchr(kernel->name, '.'))
        return "layer";
    return strcmp(kernel_variant(kernel), "step") == 0 ? "step" : "part";
}

struct cost kernel_cost(const struct kernel *kernel, struct dims d)
{
    return kernel->cost ? kernel->cost(d) : kernel->layer->cost(d);
}

double kernel_tolerance(const struct kernel *kernel)
{
    return kernel->tolerance > 0.0 ? kernel->tolerance : kernel->layer->tolerance;
}

int64_t cost_transcendentals(struct cost cost)
{
    return cost.exps + cost.logs + cost.sigmoids + cost.tanhs + cost.rsqrts;
}

const char *kernel_refuses(const struct kernel *kernel, struct dims d)
{
    if (d.H % d.A != 0)
        return "HidSize is not divisible by the number of heads";
    return kernel->layer->refuses ? kernel->layer->refuses(d) : NULL;
}

const char *kernel_engine(const struct kernel *kernel)
{
    static const char *const names[ENGINES] = {"openblas", "packed", "onednn"};
    return names[kernel->engine];
}

/* Where the columns of kernels.csv that depend on sizes are worked out. */
static struct dims example(const struct layer *layer)
{
    const struct dims d = {layer->cells == CELLS_PER_STEP ? 1 : 1024, 512,
                           layer->has_heads ? 8 : 1};
    return d;
}

static void write_row(const struct kernel *kernel, FILE *csv)
{
    const struct layer *layer = kernel->layer;
    const struct dims d = example(layer);
    const struct cost cost = kernel_cost(kernel, d);
    const int64_t tokens = layer->one_token ? 1 : d.S;
    const int64_t operations = 2 * cost.multiply_adds + cost.elementwise;
    fprintf(csv, "%s,%s,%.*s,%s,%s,%s,%" PRId64 ",", kernel->name, kernel_kind(kernel),
            kernel_layer_length(kernel), kernel->name, kernel_variant(kernel),
            kernel_engine(kernel), layer->one_token ? "one" : "all", operations / tokens);
    fprintf(csv, "%.4f,", operations ? (double)cost.sequential / (double)operations : 0.0);
    if (layer->state)
        fprintf(csv, "%" PRId64, layer->state(d));
    fprintf(csv, ",\"%s\",\"%s\"\n", layer->equation, kernel->method);
}

void kernels_write_csv(const char *globs, FILE *csv)
{
    fputs("kernel,kind,layer,variant,engine,tokens,operations_per_token,sequential_share,"
          "state_floats,equation,method\n",
          csv);
    for (int i = 0; kernels[i]; i++)
        if (kernel_matches(kernels[i], globs))
            write_row(kernels[i], csv);
}
