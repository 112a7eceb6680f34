/* accuracy.c - a run of each case beside its layer's reference, which knows no rounding. */
#include "check/accuracy.h"

#include <inttypes.h>
#include <math.h>

#include "cases/dims.h"
#include "cases/plan.h"
#include "check/check.h"

enum { FIRST_WINDOW = 128 }; /* tokens; each later window is as long as all before */

/* The output that a layer lists first. */
static int first_output(const struct bench_case *c)
{
    int i = 0;
    while (c->tensor[i].spec.role != OUTPUT)
        i++;
    return i;
}

static void write_window(const struct bench_case *c, int64_t first, int64_t last, int64_t row,
                         const float *got, const double *want, FILE *csv)
{
    double difference = 0.0, whole = 0.0, most = 0.0, largest = 0.0;
    for (int64_t i = first * row; i < last * row; i++) {
        const double d = (double)got[i] - want[i];
        difference += d * d;
        whole += want[i] * want[i];
        most = fmax(most, fabs(d));
        largest = fmax(largest, fabs(want[i]));
    }
    fprintf(csv, "%s,%s,", c->kernel->name, c->kernel->engine_name);
    dims_write(c->instance.dims, csv);
    fprintf(csv, ",%" PRId64 ",%" PRId64 ",%.4g,%.4g\n", first + 1, last, sqrt(difference / whole),
            most / largest);
}

static bool write_case(const struct visit *visit, uint64_t seed, FILE *csv, struct err *err)
{
    struct arena arena;
    struct bench_case c;
    if (!arena_map(case_bytes(visit->kernel, visit->dims), &arena, err))
        return false;
    case_place(visit->kernel, visit->dims, &arena, &c);
    case_draw(&c, seed);
    case_prepare(&c);
    case_poison(&c);
    double *wide[TENSOR_MAX];
    check_widen(&c, wide);
    check_reference(&c, wide);
    case_run(&c);
    const int y = first_output(&c);
    const int64_t tokens = visit->kernel->layer->one_token ? 1 : visit->dims.S;
    const int64_t row = tensor_elements(&c.tensor[y].spec) / tokens;
    for (int64_t first = 0, last; first < tokens; first = last) {
        last = at_most(tokens, first ? 2 * first : FIRST_WINDOW);
        write_window(&c, first, last, row, c.tensor[y].data, wide[y], csv);
    }
    check_free(&c, wide);
    case_release(&c);
    arena_unmap(&arena);
    return true;
}

bool accuracy_write(const struct grid *grid, struct selection selection, uint64_t seed, FILE *csv,
                    struct err *err)
{
    struct plan cases;
    bool ok = true;
    if (!selection_check(selection, err) || !plan_cases(grid, selection, 0, NULL, &cases, err))
        return false;
    fputs("kernel,engine,", csv);
    dims_write_header(csv);
    fputs(",first_token,last_token,rms,largest\n", csv);
    for (int64_t i = 0; ok && i < cases.count; i++)
        if (cases.visits[i].dims.B == 1 && kernel_cells(cases.visits[i].kernel) != CELLS_OWN)
            ok = write_case(&cases.visits[i], seed, csv, err);
    plan_free(&cases);
    return ok;
}
