/* plan.c - cases and a seed to shuffled rounds. */
#include "cases/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "cases/random.h"

static const char plan_header[] = "order,round,kernel,seq_len,hid_size,heads\n";

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
        append(plan, (struct visit){.kernel = kernel, .dims = cells[i]});
}

/* One HidSize and head count: every SeqLen that the kernel supports; a note on the first other. */
static void append_supported(const struct kernel *kernel, int64_t H, int64_t A,
                             const struct sizes *seq_len, FILE *notes, struct plan *plan)
{
    const char *noted = NULL;
    for (int s = 0; s < seq_len->count; s++) {
        const struct dims d = {seq_len->v[s], H, A};
        const char *reason = kernel_refuses(kernel, d);
        if (!reason)
            append(plan, (struct visit){kernel, d, 0, 0});
        else if (notes && reason != noted)
            fprintf(notes,
                    "seqbench: %s S=%" PRId64 " H=%" PRId64 " heads=%" PRId64 ": left out: %s\n",
                    kernel->name, d.S, H, A, reason);
        noted = reason;
    }
}

static bool append_grid_cells(const struct kernel *kernel, const struct grid *grid, FILE *notes,
                              struct plan *plan, struct err *err)
{
    static const struct sizes one = {1, {1}};
    const struct layer *layer = kernel->layer;
    const struct sizes *seq_len = layer->cells == CELLS_PER_STEP ? &one : &grid->seq_len;
    for (int h = 0; h < grid->hid_size.count; h++) {
        const int64_t H = grid->hid_size.v[h];
        const struct sizes by_size = {1, {default_heads(H)}};
        const struct sizes *heads = !layer->has_heads   ? &one
                                    : grid->heads.count ? &grid->heads
                                                        : &by_size;
        for (int a = 0; a < heads->count; a++) {
            const int64_t A = heads->v[a];
            if (H % A != 0)
                return err_set(err, "%s H=%" PRId64 ": not divisible by heads=%" PRId64,
                               kernel->name, H, A);
            append_supported(kernel, H, A, seq_len, notes, plan);
        }
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
    return a->kernel == b->kernel && a->dims.S == b->dims.S && a->dims.H == b->dims.H &&
           a->dims.A == b->dims.A;
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

bool plan_make(const struct grid *grid, const char *globs, int64_t last_level_bytes, uint64_t seed,
               FILE *notes, struct plan *out, struct err *err)
{
    struct plan cases = {NULL, 0};
    *out = cases;
    for (int i = 0; kernels[i]; i++) {
        if (!kernel_matches(kernels[i], globs))
            continue;
        if (kernels[i]->layer->cells == CELLS_OWN) {
            append_own_cells(kernels[i], last_level_bytes, &cases);
        } else if (!append_grid_cells(kernels[i], grid, notes, &cases, err)) {
            plan_free(&cases);
            return false;
        }
    }
    if (cases.count == 0)
        return err_set(err, "none of these kernels supports a cell of this grid");
    for (int64_t round = 0; round < grid->rounds; round++)
        plan_add_round(out, cases.visits, cases.count, seed);
    plan_free(&cases);
    return true;
}

void plan_write(const struct plan *plan, FILE *file)
{
    fputs(plan_header, file);
    for (int64_t i = 0; i < plan->count; i++) {
        const struct visit *v = &plan->visits[i];
        fprintf(file, "%" PRId64 ",%" PRId64 ",%s,%" PRId64 ",%" PRId64 ",%" PRId64 "\n", v->order,
                v->round, v->kernel->name, v->dims.S, v->dims.H, v->dims.A);
    }
}

static bool read_visit(const char *line, struct visit *out)
{
    char name[128];
    int used = 0;
    struct visit v = {0};
    if (sscanf(line, "%" SCNd64 ",%" SCNd64 ",%127[^,],%" SCNd64 ",%" SCNd64 ",%" SCNd64 "\n%n",
               &v.order, &v.round, name, &v.dims.S, &v.dims.H, &v.dims.A, &used) != 6 ||
        line[used] != '\0')
        return false;
    v.kernel = kernel_find(name);
    const struct dims d = v.dims;
    if (!v.kernel || d.S < 1 || d.H < 1 || d.A < 1 || d.H % d.A != 0)
        return false;
    *out = v;
    return true;
}

bool plan_read(const char *path, struct plan *out, struct err *err)
{
    *out = (struct plan){NULL, 0};
    FILE *file = fopen(path, "r");
    if (!file)
        return err_set(err, "%s: %s", path, strerror(errno));
    char line[512];
    int64_t number = 1;
    bool ok = fgets(line, sizeof(line), file) && strcmp(line, plan_header) == 0;
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
