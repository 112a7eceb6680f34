/* plan.c - cases and a seed to shuffled rounds. */
#include "cases/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "cases/random.h"
#include "kernels.h"
#include "text.h"

static void append(struct plan *plan, struct visit visit)
{
    if ((plan->count & (plan->count - 1)) == 0) { /* grows at powers of two */
        const size_t room = plan->count ? 2 * (size_t)plan->count : 1;
        plan->visits = realloc(plan->visits, room * sizeof(*plan->visits));
        if (!plan->visits)
            abort();
    }
    plan->visits[plan->count++] = visit;
}

static void append_own_cells(const struct kernel *kernel, int64_t last_level_bytes,
                             struct plan *plan)
{
    struct dims cells[OWN_CELLS_MAX];
    const int count = kernel->layer->own_cells(last_level_bytes, cells);
    for (int i = 0; i < count; i++)
        append(plan, (struct visit){.kernel = kernel, .dims = dims_complete(cells[i])});
}

/* The sizes of one dimension that a kernel is timed at, with the HidSize at hand. */
static struct sizes sizes_of(const struct kernel *kernel, const struct grid *grid, int dimension,
                             int64_t hid_size)
{
    const struct sizes *asked = &grid->sizes[dimension];
    const bool is_one = dimension == DIM_S && kernel_cells(kernel) == CELLS_PER_STEP;
    const bool is_used = layer_has(kernel->layer, dimension);
    if (dimension == DIM_S && grid->keys > 0 && kernel->layer->one_token)
        return (struct sizes){1, {grid->keys}};
    if (is_used && !is_one && asked->count > 0)
        return *asked;
    if (is_used && dimension == DIM_A)
        return (struct sizes){1, {default_heads(hid_size)}};
    return (struct sizes){1, {dimensions[dimension].absent}};
}

/* A grid being walked through for one kernel. */
struct walk {
    const struct kernel *kernel;
    const struct grid *grid;
    FILE *notes;
    struct plan *plan;
    const char *noted; /* the reason of the last cell that was left out */
};

static bool append_cell(struct walk *w, struct dims d, struct err *err)
{
    char text[DIMS_TEXT];
    if (d.H % d.A != 0)
        return err_set(err, "%s H=%" PRId64 ": not divisible by heads=%" PRId64, w->kernel->name,
                       d.H, d.A);
    const char *reason = kernel_refuses(w->kernel, d);
    if (!reason)
        append(w->plan, (struct visit){.kernel = w->kernel, .dims = d});
    else if (w->notes && reason != w->noted)
        fprintf(w->notes, "seqbench: %s %s: left out: %s\n", w->kernel->name, dims_text(d, text),
                reason);
    w->noted = reason;
    return true;
}

/* HidSize outermost, SeqLen innermost, the others between: the order of a note's first cell. */
static bool append_cells(struct walk *w, int depth, struct dims d, struct err *err)
{
    const int dimension = depth == 0 ? DIM_H : depth + 1 < DIMENSIONS ? depth + 1 : DIM_S;
    const struct sizes sizes = sizes_of(w->kernel, w->grid, dimension, d.H);
    for (int i = 0; i < sizes.count; i++) {
        dims_set(&d, dimension, sizes.v[i]);
        if (dimension == DIM_S ? !append_cell(w, d, err) : !append_cells(w, depth + 1, d, err))
            return false;
        if (dimension != DIM_S)
            w->noted = NULL;
    }
    return true;
}

/* Whether single cases stand alone, and each is of a layer that has its sizes. */
static bool cases_are_valid(const struct grid *grid, struct err *err)
{
    for (int i = 0; grid->case_count > 0 && i < DIMENSIONS; i++)
        if (grid->sizes[i].count > 0)
            return err_set(err, "%s: a grid has cases or lists: %s is given beside its cases",
                           grid->name, dimensions[i].name);
    if (grid->case_count > 0 && grid->keys > 0)
        return err_set(err, "%s: a stream takes lists, not cases", grid->name);
    for (int i = 0; i < grid->case_count; i++) {
        const struct grid_case *c = &grid->cases[i];
        const struct layer *layer = layer_find(c->layer);
        if (!layer)
            return err_set(err, "%s: case %s: there is no such layer", grid->name, c->layer);
        for (int k = 0; k < DIMENSIONS; k++)
            if (c->sizes[k] && !layer_has(layer, k))
                return err_set(err, "%s: case %s: the layer has no size %s", grid->name, c->layer,
                               dimensions[k].name);
    }
    return true;
}

/* The cases that the grid lists of the kernel's layer: not of its parts or steps. */
static bool append_listed(struct walk *w, struct err *err)
{
    for (int i = 0; i < w->grid->case_count; i++) {
        const struct grid_case *c = &w->grid->cases[i];
        struct dims d = {0};
        if (strcmp(kernel_kind(w->kernel), "layer") != 0 ||
            strcmp(w->kernel->layer->name, c->layer) != 0)
            continue;
        for (int k = 0; k < DIMENSIONS; k++)
            dims_set(&d, k, c->sizes[k]);
        w->noted = NULL;
        if (!append_cell(w, kernel_dims(w->kernel, d), err))
            return false;
    }
    return true;
}

static void shuffle(struct visit *visits, int64_t count, uint64_t *state)
{
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = random_below(state, i + 1);
        const struct visit swapped = visits[i];
        visits[i] = visits[j];
        visits[j] = swapped;
    }
}

bool same_case(const struct visit *a, const struct visit *b)
{
    return a->kernel == b->kernel && dims_equal(a->dims, b->dims);
}

void plan_add_round(struct plan *plan, const struct visit *cases, int64_t count, uint64_t seed)
{
    const int64_t first = plan->count;
    const int64_t round = first ? plan->visits[first - 1].round + 1 : 0;
    uint64_t state = seed + (uint64_t)round * 0xD1B54A32D192ED03u;
    for (int64_t i = 0; i < count; i++)
        append(plan, cases[i]);
    shuffle(plan->visits + first, count, &state);
    for (int64_t i = first; i < plan->count; i++) {
        plan->visits[i].round = round;
        plan->visits[i].order = i;
    }
}

/* Says which algorithms take none of the engines that were asked for: a line for each reason. */
static void note_left_out(struct selection selection, FILE *notes)
{
    const char *said[64] = {NULL};
    for (int i = 0; notes && algorithms[i]; i++) {
        const char *reason = algorithm_left_out(algorithms[i], selection);
        int known = 0;
        while (reason && said[known] && strcmp(said[known], reason) != 0)
            known++;
        if (!reason || said[known] || known + 1 == sizeof(said) / sizeof(said[0]))
            continue;
        said[known] = reason;
        fprintf(notes, "seqbench: left out with engine %s:", selection.engines);
        for (int k = i; algorithms[k]; k++) {
            const char *same = algorithm_left_out(algorithms[k], selection);
            if (same && strcmp(same, reason) == 0)
                fprintf(notes, " %s", algorithms[k]->name);
        }
        fprintf(notes, ": %s\n", reason);
    }
}

bool plan_cases(const struct grid *grid, struct selection selection, int64_t last_level_bytes,
                FILE *notes, struct plan *out, struct err *err)
{
    *out = (struct plan){NULL, 0};
    if (!cases_are_valid(grid, err))
        return false;
    for (int i = 0; kernel_at(i); i++) {
        struct walk walk = {kernel_at(i), grid, notes, out, NULL};
        if (!kernel_is_in(walk.kernel, selection) || (grid->keys > 0 && !walk.kernel->layer->carry))
            continue;
        if (kernel_cells(walk.kernel) == CELLS_OWN) {
            append_own_cells(walk.kernel, last_level_bytes, out);
        } else if (!(grid->case_count > 0 ? append_listed(&walk, err)
                                          : append_cells(&walk, 0, (struct dims){0}, err))) {
            plan_free(out);
            return false;
        }
    }
    if (out->count == 0)
        return err_set(err, grid->keys > 0
                                ? "none of these kernels carries a state from call to call"
                                : "none of these kernels supports a cell of this grid");
    note_left_out(selection, notes);
    return true;
}

bool plan_make(const struct grid *grid, struct selection selection, int64_t last_level_bytes,
               uint64_t seed, FILE *notes, struct plan *out, struct err *err)
{
    struct plan cases;
    *out = (struct plan){NULL, 0};
    if (!plan_cases(grid, selection, last_level_bytes, notes, &cases, err))
        return false;
    for (int64_t round = 0; round < grid->rounds; round++)
        plan_add_round(out, cases.visits, cases.count, seed);
    plan_free(&cases);
    return true;
}

static void write_header(FILE *file)
{
    fputs("order,round,kernel,engine,", file);
    dims_write_header(file);
    fputc('\n', file);
}

void plan_write(const struct plan *plan, FILE *file)
{
    write_header(file);
    for (int64_t i = 0; i < plan->count; i++) {
        const struct visit *v = &plan->visits[i];
        fprintf(file, "%" PRId64 ",%" PRId64 ",%s,%s,", v->order, v->round, v->kernel->name,
                v->kernel->engine_name);
        dims_write(v->dims, file);
        fputc('\n', file);
    }
}

static bool read_visit(const char *line, struct visit *out)
{
    char name[128], engine[128];
    int used = 0;
    struct visit v = {0};
    if (sscanf(line, "%" SCNd64 ",%" SCNd64 ",%127[^,],%127[^,],%n", &v.order, &v.round, name,
               engine, &used) != 4 ||
        used == 0)
        return false;
    line += used;
    v.kernel = kernel_find(name, engine);
    if (!v.kernel || !dims_read(&line, '\n', &v.dims) || *line != '\0')
        return false;
    *out = v;
    return true;
}

/* Whether a line is the header that plan_write writes. */
static bool is_header(const char *line)
{
    char *header = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&header, &length);
    if (!out)
        abort();
    write_header(out);
    fclose(out);
    const bool same = strcmp(line, header) == 0;
    free(header);
    return same;
}

bool plan_read(const char *path, struct plan *out, struct err *err)
{
    *out = (struct plan){NULL, 0};
    FILE *file = text_open(path, err);
    if (!file)
        return false;
    char line[512];
    int64_t number = 1;
    bool ok = fgets(line, sizeof(line), file) && is_header(line);
    while (ok && fgets(line, sizeof(line), file)) {
        struct visit visit;
        number++;
        ok = read_visit(line, &visit) && visit.order == number - 2;
        if (ok)
            append(out, visit);
    }
    fclose(file);
    if (ok && out->count > 0)
        return true;
    plan_free(out);
    return ok ? err_set(err, "%s: a plan without a visit", path)
              : err_set(err, "%s:%" PRId64 ": not a line of a plan", path, number);
}

void plan_free(struct plan *plan)
{
    free(plan->visits);
    *plan = (struct plan){NULL, 0};
}

const struct visit *plan_largest(const struct plan *plan)
{
    const struct visit *largest = &plan->visits[0];
    size_t most = 0;
    for (int64_t i = 0; i < plan->count; i++) {
        const struct visit *v = &plan->visits[i];
        const size_t bytes = case_bytes(v->kernel, v->dims);
        if (bytes > most) {
            most = bytes;
            largest = v;
        }
    }
    return largest;
}
