/* check.c - correctness of kernels. */
#include "check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cases/dims.h"
#include "cases/kernel.h"
#include "check/rounding.h"

/* Ones, odd primes, both sides of the SIMD widths, tiles that do not fill, three tiles of 64. */
static const struct dims shapes[] = {
    {.S = 1, .H = 1},
    {.S = 1, .H = 64},
    {.S = 2, .H = 3},
    {.S = 7, .H = 12, .A = 2},
    {.S = 13, .H = 7, .A = 7},
    {.S = 17, .H = 16, .A = 4},
    {.S = 5, .H = 15, .A = 3},
    {.S = 3, .H = 17},
    {.S = 16, .H = 31},
    {.S = 33, .H = 33, .A = 11},
    {.S = 4, .H = 63, .A = 7},
    {.S = 31, .H = 64},
    {.S = 32, .H = 65, .A = 5},
    {.S = 19, .H = 127},
    {.S = 9, .H = 129, .A = 3},
    {.S = 65, .H = 24, .A = 3},
    {.S = 130, .H = 20, .A = 2},
    {.S = 96, .H = 160, .A = 4},
    {.S = 64, .H = 128, .A = 2},
    {.S = 150, .H = 32, .A = 2},
    {.S = 3, .H = 8},
    {.S = 5, .H = 40, .A = 2},
    {.S = 1, .H = 65, .A = 5, .B = 2},
    {.S = 7, .H = 12, .A = 2, .B = 3},
    {.S = 33, .H = 40, .A = 5, .B = 5},
    {.S = 100, .H = 64, .B = 3},
    {.S = 5, .H = 130, .A = 2, .B = 100},
    {.S = 40, .H = 16, .In = 1},
    {.S = 9, .H = 33, .In = 70},
    {.S = 9, .H = 24, .In = 12},
    {.S = 7, .H = 24, .B = 3, .In = 5},
    {.S = 7, .H = 12, .A = 6, .G = 2},
    {.S = 70, .H = 40, .A = 4, .B = 2, .G = 1},
    {.S = 3, .H = 36, .A = 4, .G = 4, .W = 1},
    {.S = 150, .H = 32, .A = 4, .G = 2, .W = 20},
    {.S = 131, .H = 24, .A = 3, .B = 3, .W = 64},
    {.S = 700, .H = 16, .A = 2, .G = 1, .W = 600},
    {.S = 1300, .H = 8, .W = 150},
    {.S = 20, .H = 24, .A = 2, .F = 37},
};

bool verdict_passed(const struct verdict *verdict)
{
    return !verdict->complaint && verdict->error <= verdict->bound;
}

double relative_error(const float *got, const double *want, int64_t n)
{
    double scale = 1.0, worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double difference = fabs((double)got[i] - want[i]);
        if (!isfinite(difference))
            return (double)INFINITY;
        scale = fmax(scale, fabs(want[i]));
        worst = fmax(worst, difference);
    }
    return worst / scale;
}

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        abort();
    return memory;
}

static double *widen(const struct placed *placed)
{
    const int64_t n = tensor_elements(&placed->spec);
    double *wide = allocate((size_t)n * sizeof(double));
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)placed->data[i];
    return wide;
}

void check_widen(const struct bench_case *c, double *wide[])
{
    for (int i = 0; i < c->tensor_count; i++)
        wide[i] = widen(&c->tensor[i]);
}

void check_free(const struct bench_case *c, double *wide[])
{
    for (int i = 0; i < c->tensor_count; i++)
        free(wide[i]);
}

static bool is_same_matrix(const struct map *a, const struct map *b)
{
    return a->matrix == b->matrix && a->part == b->part && a->parts == b->parts;
}

/* The tensors whose rows a made matrix has. */
static void round_rows(const struct bench_case *c, const struct weights *w, double *const wide[])
{
    for (int k = 0; k < MADE_OF_MAX && w->map->rows_of[k]; k++) {
        const int tensor = w->map->rows_of[k];
        struct weights rows = *w;
        rows.out = tensor_elements(&c->tensor[tensor].spec) / w->in;
        round_matrix(c->kernel->engine, &rows, wide[tensor]);
    }
}

/* The weights of every map as its engine keeps them. */
static void round_weights(const struct bench_case *c, double *const wide[])
{
    const struct algorithm *algorithm = c->kernel->algorithm;
    for (int m = 0; m < algorithm->map_count; m++) {
        const struct weights *w = &c->instance.weights[m];
        bool is_done = w->map->is_made;
        round_rows(c, w, wide);
        for (int other = 0; other < m; other++)
            is_done |= is_same_matrix(w->map, &algorithm->maps[other]);
        if (!is_done)
            round_matrix(c->kernel->engine, w,
                         wide[w->map->matrix] + w->map->part * w->out * w->in);
    }
}

static void compare_with_reference(const struct bench_case *c, double *const wide[],
                                   struct verdict *verdict)
{
    const bool is_rounded = kernel_approximates(c->kernel); /* then parameters of wide are, too */
    for (int i = 0; i < c->tensor_count; i++) {
        const int64_t n = tensor_elements(&c->tensor[i].spec);
        if (case_is_result(&c->tensor[i])) {
            const double error = relative_error(c->tensor[i].data, wide[i], n);
            if (error >= verdict->error) {
                verdict->error = error;
                verdict->tensor = c->tensor[i].spec.name;
            }
        } else {
            for (int64_t k = 0; k < n; k++)
                if (!(is_rounded && c->tensor[i].spec.role == PARAMETER) &&
                    (double)c->tensor[i].data[k] != wide[i][k]) {
                    verdict->complaint = "writes to its input";
                    verdict->tensor = c->tensor[i].spec.name;
                    return;
                }
        }
    }
}

/* Runs again from poison; the outputs must not differ in a bit. */
static void compare_with_rerun(struct bench_case *c, struct verdict *verdict)
{
    float *first[TENSOR_MAX] = {NULL};
    for (int i = 0; i < c->tensor_count; i++)
        if (case_is_result(&c->tensor[i])) {
            const size_t bytes = (size_t)tensor_elements(&c->tensor[i].spec) * sizeof(float);
            first[i] = allocate(bytes);
            memcpy(first[i], c->tensor[i].data, bytes);
        }
    case_poison(c);
    case_run(c);
    for (int i = 0; i < c->tensor_count; i++) {
        if (!first[i])
            continue;
        const size_t bytes = (size_t)tensor_elements(&c->tensor[i].spec) * sizeof(float);
        if (memcmp(first[i], c->tensor[i].data, bytes) != 0) {
            verdict->complaint = "differs from run to run in";
            verdict->tensor = c->tensor[i].spec.name;
        }
        free(first[i]);
    }
}

void check_reference(const struct bench_case *c, double *const wide[])
{
    for (int64_t b = 0; b < c->instance.dims.B; b++) {
        double *of_sequence[TENSOR_MAX];
        for (int i = 0; i < c->tensor_count; i++)
            of_sequence[i] = wide[i] + b * case_sequence_elements(&c->tensor[i], c->instance.dims);
        c->kernel->layer->reference(c->instance.dims, of_sequence);
    }
}

struct verdict check_case(struct bench_case *c)
{
    struct verdict verdict = {.error = 0.0, .bound = kernel_tolerance(c->kernel)};
    double *wide[TENSOR_MAX] = {NULL};
    case_draw(c, 1);
    case_prepare(c);
    case_poison(c);
    check_widen(c, wide);
    round_weights(c, wide);
    check_reference(c, wide);
    case_run(c);
    compare_with_reference(c, wide, &verdict);
    check_free(c, wide);
    const char *broken = case_broken_guard(c);
    if (broken) {
        verdict.complaint = "writes past the end of";
        verdict.tensor = broken;
    }
    if (!verdict.complaint)
        compare_with_rerun(c, &verdict);
    case_release(c);
    return verdict;
}

static void write_header(FILE *csv)
{
    fputs("kernel,engine,", csv);
    dims_write_header(csv);
    fputs(",error,bound,verdict\n", csv);
}

static void report_row(FILE *csv, const struct bench_case *c, const struct verdict *verdict)
{
    fprintf(csv, "%s,%s,", c->kernel->name, c->kernel->engine_name);
    dims_write(c->instance.dims, csv);
    fputc(',', csv);
    if (isfinite(verdict->error))
        fprintf(csv, "%.3g", verdict->error);
    fprintf(csv, ",%.3g,%s\n", verdict->bound, verdict_passed(verdict) ? "PASS" : "FAIL");
}

static void report_line(FILE *text, const struct bench_case *worst, const struct verdict *verdict)
{
    char dims[DIMS_TEXT];
    fprintf(text, "%s %-26s %-8s error %.2e bound %.2e", verdict_passed(verdict) ? "PASS" : "FAIL",
            worst->kernel->name, worst->kernel->engine_name, verdict->error, verdict->bound);
    if (!verdict_passed(verdict) || verdict->error > 0.0)
        fprintf(text, "  worst at %s", dims_text(worst->instance.dims, dims));
    if (verdict->tensor && (verdict->complaint || !verdict_passed(verdict)))
        fprintf(text, ": %s %s", verdict->complaint ? verdict->complaint : "wrong in",
                verdict->tensor);
    fputc('\n', text);
}

/* A shape with a size that only some layers have is for these. */
static bool is_for(const struct layer *layer, struct dims shape)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (dimensions[i].absent == 0 && dims_get(shape, i) > 0 && !layer_has(layer, i))
            return false;
    return true;
}

/* The shape without the sizes that the layer does not have. */
static struct dims fit(const struct kernel *kernel, struct dims shape)
{
    if (kernel_cells(kernel) == CELLS_PER_STEP)
        shape.S = 1;
    return layer_dims(kernel->layer, shape);
}

static bool worse(const struct verdict *a, const struct verdict *b)
{
    if (verdict_passed(a) != verdict_passed(b))
        return !verdict_passed(a);
    return a->error > b->error;
}

static bool check_kernel(const struct kernel *kernel, FILE *text, FILE *csv, bool *passed,
                         struct err *err)
{
    struct bench_case worst_case = {0};
    struct verdict worst = {.error = -1.0};
    int checked = 0;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const struct dims dims = fit(kernel, shapes[i]);
        if (!is_for(kernel->layer, shapes[i]) || kernel_refuses(kernel, dims))
            continue;
        struct arena arena;
        if (!arena_map(case_bytes(kernel, dims), &arena, err))
            return false;
        struct bench_case c;
        case_place(kernel, dims, &arena, &c);
        const struct verdict verdict = check_case(&c);
        arena_unmap(&arena);
        if (csv)
            report_row(csv, &c, &verdict);
        if (checked++ == 0 || worse(&verdict, &worst)) {
            worst = verdict;
            worst_case = c;
        }
    }
    if (checked == 0)
        return err_set(err, "%s: supports none of the shapes of the check", kernel->name);
    if (text)
        report_line(text, &worst_case, &worst);
    *passed = verdict_passed(&worst);
    return true;
}

int check_kernels(struct selection selection, FILE *text, FILE *csv, struct err *err)
{
    int failed = 0;
    if (csv)
        write_header(csv);
    for (int i = 0; kernel_at(i); i++) {
        bool passed = true;
        if (!kernel_is_in(kernel_at(i), selection))
            continue;
        if (!check_kernel(kernel_at(i), text, csv, &passed, err))
            return -1;
        failed += !passed;
    }
    return failed;
}
