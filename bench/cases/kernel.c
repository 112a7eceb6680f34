#include "cases/kernel.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cases/grid.h"
#include "kernels.h"
#include "peers/peer.h"

/* ---- lists of words ---- */

enum { WORD_MAX = 128 };

/* Copies the word at *at and moves *at behind it; false at the end or when it is too long. */
static bool next_word(const char **at, char word[WORD_MAX])
{
    const size_t length = strcspn(*at, ",");
    if (**at == '\0' || length >= WORD_MAX)
        return false;
    memcpy(word, *at, length);
    word[length] = '\0';
    *at += length + ((*at)[length] == ',');
    return true;
}

static bool lists_word(const char *list, const char *wanted)
{
    char word[WORD_MAX];
    while (next_word(&list, word))
        if (strcmp(word, wanted) == 0)
            return true;
    return false;
}

static bool globs_match(const char *globs, const char *name)
{
    char glob[WORD_MAX];
    bool is_in = false;
    while (next_word(&globs, glob)) {
        const bool takes_out = glob[0] == '!';
        if (fnmatch(glob + takes_out, name, 0) == 0)
            is_in = !takes_out;
    }
    return is_in;
}

/* ---- the table ---- */

/* Puts parameters together into a matrix of its own, which has other rows than they. */
static bool makes_a_matrix(const struct algorithm *algorithm)
{
    for (int m = 0; m < algorithm->map_count; m++)
        if (algorithm->maps[m].is_made && !algorithm->maps[m].rows_of[0])
            return true;
    return false;
}

/* Why an algorithm does not take an engine; NULL: it does. */
static const char *engine_refused(const struct algorithm *algorithm, const struct engine *engine)
{
    if (algorithm->engine)
        return strcmp(algorithm->engine, engine->name) == 0 ? NULL : algorithm->because;
    if (algorithm->needs_panels && !engine->walk)
        return algorithm->because;
    if ((engine->rounds || engine->leave_out) && makes_a_matrix(algorithm))
        return "its matrix is made of several parameters, some of which stay float32";
    if (engine->layers && !lists_word(engine->layers, algorithm->layer->name))
        return "the engine is for layers that are shipped so";
    return NULL;
}

struct table {
    struct kernel *kernels;
    int count;
};

static void append(struct table *table, const struct algorithm *algorithm,
                   const struct engine *engine, const char *engine_name)
{
    table->kernels = realloc(table->kernels, (size_t)(table->count + 1) * sizeof(*table->kernels));
    if (!table->kernels)
        abort();
    table->kernels[table->count++] =
        (struct kernel){algorithm->name, algorithm, algorithm->layer, engine, engine_name};
}

/* One kernel where no map asks for an engine, else one for each engine that the algorithm takes;
 * then those of other programs. */
static struct table make_table(void)
{
    struct table table = {NULL, 0};
    for (int a = 0; algorithms[a]; a++) {
        const struct algorithm *algorithm = algorithms[a];
        if (algorithm->is_there && !algorithm->is_there())
            continue;
        if (algorithm->map_count == 0)
            append(&table, algorithm, NULL, algorithm->engine ? algorithm->engine : "none");
        for (int e = 0; algorithm->map_count > 0 && engines[e]; e++)
            if (!engine_refused(algorithm, engines[e]))
                append(&table, algorithm, engines[e], engines[e]->name);
    }
    for (int i = 0; peers_algorithm(i); i++)
        append(&table, peers_algorithm(i), NULL, peers_algorithm(i)->engine);
    return table;
}

const struct kernel *kernel_at(int i)
{
    static struct table table;
    if (!table.kernels)
        table = make_table();
    return i < table.count ? &table.kernels[i] : NULL;
}

const struct kernel *kernel_find(const char *name, const char *engine)
{
    for (int i = 0; kernel_at(i); i++)
        if (strcmp(kernel_at(i)->name, name) == 0 &&
            (!engine || strcmp(kernel_at(i)->engine_name, engine) == 0))
            return kernel_at(i);
    return NULL;
}

const struct layer *layer_find(const char *name)
{
    for (int a = 0; algorithms[a]; a++)
        if (strcmp(algorithms[a]->layer->name, name) == 0)
            return algorithms[a]->layer;
    return NULL;
}

/* ---- selections ---- */

static bool engine_is_in(const struct kernel *kernel, const char *list)
{
    return strcmp(kernel->engine_name, "none") == 0 || strcmp(kernel_kind(kernel), "roof") == 0 ||
           lists_word(list, "all") || globs_match(list, kernel->engine_name);
}

bool kernel_is_in(const struct kernel *kernel, struct selection selection)
{
    return globs_match(selection.globs, kernel->name) && engine_is_in(kernel, selection.engines);
}

static bool check_words(const char *what, const char *list, bool (*found)(const char *word),
                        const char *refusal, struct err *err)
{
    char word[WORD_MAX];
    while (*list != '\0') {
        if (!next_word(&list, word))
            return err_set(err, "%s: a name longer than %d characters", what, WORD_MAX - 1);
        if (!found(word))
            return err_set(err, "%s: '%s' %s; `seqbench list` names them", what, word, refusal);
    }
    return true;
}

/* What is not there needs not be taken out. */
static bool finds_kernel(const char *glob)
{
    for (int i = 0; kernel_at(i); i++)
        if (glob[0] == '!' || fnmatch(glob, kernel_at(i)->name, 0) == 0)
            return true;
    return false;
}

static bool finds_engine(const char *name)
{
    if (strcmp(name, "all") == 0)
        return true;
    for (int i = 0; kernel_at(i); i++)
        if (fnmatch(name, kernel_at(i)->engine_name, 0) == 0)
            return true;
    return false;
}

bool selection_check(struct selection selection, struct err *err)
{
    if (*selection.globs == '\0')
        return err_set(err, "kernels: the list is empty; `seqbench list` names them");
    if (*selection.engines == '\0')
        return err_set(err, "engine: the list is empty; `seqbench list` names them");
    return check_words("kernels", selection.globs, finds_kernel, "matches no kernel", err) &&
           check_words("engine", selection.engines, finds_engine, "is no engine", err);
}

const char *algorithm_left_out(const struct algorithm *algorithm, struct selection selection)
{
    const bool is_foreign = algorithm->map_count == 0; /* left out unless asked for: no news */
    if (!globs_match(selection.globs, algorithm->name) ||
        (is_foreign && strcmp(selection.engines, ENGINES_OF_THE_SUITE) == 0))
        return NULL;
    for (int i = 0; kernel_at(i); i++)
        if (kernel_at(i)->algorithm == algorithm && kernel_is_in(kernel_at(i), selection))
            return NULL;
    for (int e = 0; algorithm->map_count > 0 && engines[e]; e++)
        if (globs_match(selection.engines, engines[e]->name))
            return engine_refused(algorithm, engines[e]);
    return algorithm->because ? algorithm->because : "it multiplies by no weights";
}

/* ---- what a kernel is ---- */

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
    if (kernel->algorithm->is_step)
        return "step";
    return strchr(kernel->name, '.') ? "part" : "layer";
}

enum cells kernel_cells(const struct kernel *kernel)
{
    return kernel->algorithm->is_step ? CELLS_PER_STEP : kernel->layer->cells;
}

bool layer_has(const struct layer *layer, int dimension)
{
    return (layer->uses | EVERY_LAYER) & 1u << dimension;
}

bool kernel_batches(const struct kernel *kernel)
{
    return kernel->algorithm->batch_rows > 0;
}

int64_t kernel_sequences_at_once(const struct kernel *kernel, struct dims d)
{
    const int64_t rows = kernel->algorithm->batch_rows, fit = (rows + d.S - 1) / d.S;
    return rows == BATCH_TOGETHER ? d.B : at_most(d.B, fit > 1 ? fit : 1);
}

/* Without the weights that the engine leaves out; those that are not walked through at each step
 * are of the input. */
static struct cost of_kept_weights(const struct kernel *kernel, struct dims d, struct cost c)
{
    if (!kernel->engine || !kernel->engine->inputs)
        return c;
    const int64_t In = input_size(d), of_input = c.multiply_adds - c.streamed_weights;
    const int64_t streamed = c.streamed_weights / d.H * engine_inputs(kernel->engine, d.H);
    c.sequential -= 2 * (c.streamed_weights - streamed);
    c.streamed_weights = streamed;
    c.multiply_adds = streamed + of_input / In * engine_inputs(kernel->engine, In);
    return c;
}

/* Every sequence costs as much, but weights are walked through once for those taken together. */
struct cost kernel_cost(const struct kernel *kernel, struct dims d)
{
    const int64_t at_once = kernel_sequences_at_once(kernel, d);
    const int64_t groups = (d.B + at_once - 1) / at_once;
    const struct cost one = of_kept_weights(
        kernel, d, kernel->algorithm->cost ? kernel->algorithm->cost(d) : kernel->layer->cost(d));
    return (struct cost){
        .multiply_adds = d.B * one.multiply_adds,
        .elementwise = d.B * one.elementwise,
        .exps = d.B * one.exps,
        .logs = d.B * one.logs,
        .sigmoids = d.B * one.sigmoids,
        .tanhs = d.B * one.tanhs,
        .rsqrts = d.B * one.rsqrts,
        .sequential = d.B * one.sequential,
        .streamed_weights = groups * one.streamed_weights,
        .streamed_floats = d.B * one.streamed_floats,
    };
}

bool kernel_approximates(const struct kernel *kernel)
{
    return kernel->algorithm->rounds ||
           (kernel->engine && (kernel->engine->rounds || kernel->engine->leave_out));
}

/* Half a unit of what products read, which no reference can follow: a state that is off by the
 * rounding of float32 may be rounded to the next unit. */
static double input_rounding(const struct kernel *kernel)
{
    if (!kernel->engine || !kernel->engine->rounds_inputs)
        return 0.0;
    return kernel->engine->rounds == ROUNDS_BF16 ? 1.0 / 512 : 1.0 / 254;
}

enum { ROUNDINGS = 10 }; /* that outputs may be off by, where inputs of products are rounded */

double kernel_tolerance(const struct kernel *kernel)
{
    const double exact = kernel->algorithm->tolerance > 0.0 ? kernel->algorithm->tolerance
                                                            : kernel->layer->tolerance;
    return exact + ROUNDINGS * input_rounding(kernel);
}

/* Of a library's kernel: the engine of ours that rounds weights as it does, or packs floats. */
static const struct engine *engine_like(const struct kernel *kernel)
{
    for (int e = 0; engines[e] && !kernel->engine; e++)
        if (engines[e]->packs_before && engines[e]->rounds == kernel->algorithm->rounds)
            return engines[e];
    return kernel->engine;
}

static double bytes_per_weight(const struct kernel *kernel)
{
    return engine_like(kernel)->bytes_per_weight;
}

int64_t kernel_streamed_bytes(const struct kernel *kernel, struct dims d)
{
    const struct cost cost = kernel_cost(kernel, d);
    return (int64_t)((double)cost.streamed_weights * bytes_per_weight(kernel)) +
           cost.streamed_floats * (int64_t)sizeof(float);
}

int64_t tensor_elements(const struct tensor *tensor)
{
    int64_t elements = 1;
    for (int i = 0; i < RANK_MAX && tensor->shape[i] > 0; i++)
        elements *= tensor->shape[i];
    return elements;
}

int tensor_rank(const struct tensor *tensor)
{
    int rank = 0;
    while (rank < RANK_MAX && tensor->shape[rank] > 0)
        rank++;
    return rank;
}

bool tensor_is_result(const struct tensor *tensor)
{
    return tensor->role == OUTPUT || tensor->role == FINAL;
}

bool tensor_is_per_sequence(const struct tensor *tensor)
{
    return tensor->role != PARAMETER;
}

int layer_tensors(const struct layer *layer, struct dims d, struct tensor out[TENSOR_MAX])
{
    const int count = layer->tensors(d, out);
    for (int i = 0; i < count && d.B > 1; i++)
        if (tensor_is_per_sequence(&out[i])) {
            memmove(out[i].shape + 1, out[i].shape, sizeof(out[i].shape) - sizeof(out[i].shape[0]));
            out[i].shape[0] = d.B;
        }
    return count;
}

int64_t kernel_parameters(const struct kernel *kernel, struct dims d)
{
    struct tensor tensors[TENSOR_MAX];
    const int count = kernel->layer->tensors(d, tensors);
    int64_t parameters = 0;
    for (int i = 0; i < count; i++)
        parameters += tensors[i].role == PARAMETER ? tensor_elements(&tensors[i]) : 0;
    return parameters;
}

struct dims layer_dims(const struct layer *layer, struct dims d)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (!layer_has(layer, i))
            dims_set(&d, i, 0);
    return dims_complete(d);
}

struct dims kernel_dims(const struct kernel *kernel, struct dims d)
{
    if (d.A == 0)
        d.A = default_heads(d.H);
    return layer_dims(kernel->layer, d);
}

const char *kernel_refuses(const struct kernel *kernel, struct dims d)
{
    if (dims_refused(d))
        return dims_refused(d);
    if (kernel->algorithm->is_step && d.S != 1)
        return "a step is of one token";
    if (d.B > 1 && !kernel_batches(kernel))
        return "it takes one sequence only";
    if (kernel->engine && kernel->engine->refuses && kernel->engine->refuses(d))
        return kernel->engine->refuses(d);
    if (kernel->algorithm->refuses && kernel->algorithm->refuses(d))
        return kernel->algorithm->refuses(d);
    if (peers_refuse(kernel->algorithm, d))
        return peers_refuse(kernel->algorithm, d);
    return kernel->layer->refuses ? kernel->layer->refuses(d) : NULL;
}

/* ---- kernels.csv ---- */

/* Where the columns that depend on sizes are worked out. */
static struct dims example(const struct kernel *kernel)
{
    const int64_t S = kernel_cells(kernel) == CELLS_PER_STEP ? 1 : 1024;
    return kernel_dims(kernel, (struct dims){.S = S, .H = 512});
}

static const char *job_word(const struct layer *layer)
{
    static const char *const words[] = {"none", "recurrent layer", "mixer", "block"};
    return words[layer->job];
}

static const char *products_word(const struct kernel *kernel)
{
    static const char *const words[] = {"sequence", "step", "none"};
    return words[kernel->algorithm->products];
}

static const char *packing_word(const struct kernel *kernel)
{
    if (kernel->algorithm->packing)
        return kernel->algorithm->packing;
    if (kernel->engine)
        return kernel->engine->packs_before ? "before" : "call";
    if (!kernel->algorithm->engine)
        return "none";
    return strcmp(kernel->algorithm->engine, "openblas") == 0 ? "call" : "before";
}

static const char *batches_word(const struct kernel *kernel)
{
    switch (kernel->algorithm->batch_rows) {
    case 0:
        return "no";
    case BATCH_ONE_BY_ONE:
        return "one by one";
    case BATCH_TOGETHER:
        return "together";
    default:
        return "in groups";
    }
}

static void write_row(const struct kernel *kernel, FILE *csv)
{
    const struct layer *layer = kernel->layer;
    const struct dims d = example(kernel);
    const struct cost cost = kernel_cost(kernel, d);
    const int64_t tokens = layer->one_token ? 1 : d.S;
    const int64_t operations = 2 * cost.multiply_adds + cost.elementwise;
    const int64_t per_token[] = {cost.exps,  cost.logs,   cost.sigmoids,
                                 cost.tanhs, cost.rsqrts, kernel_streamed_bytes(kernel, d)};
    fprintf(csv, "%s,%s,%.*s,%s,%s,%s,%d,%s,", kernel->name, kernel_kind(kernel),
            kernel_layer_length(kernel), kernel->name, kernel_variant(kernel), kernel->engine_name,
            job_word(layer), layer->per_block > 1 ? layer->per_block : 1,
            layer->one_token ? "one" : "all");
    fprintf(csv, "%s,%s,%s,%s,%g,%s,%" PRId64 ",%" PRId64 ",%.4f", products_word(kernel),
            batches_word(kernel), kernel->algorithm->is_whole ? "yes" : "no", packing_word(kernel),
            bytes_per_weight(kernel), engine_like(kernel)->roof, kernel_parameters(kernel, d),
            operations / tokens, operations ? (double)cost.sequential / (double)operations : 0.0);
    for (size_t i = 0; i < sizeof(per_token) / sizeof(per_token[0]); i++)
        fprintf(csv, ",%" PRId64, per_token[i] / tokens);
    fputc(',', csv);
    if (layer->state)
        fprintf(csv, "%" PRId64, layer->state(d));
    fprintf(csv, ",\"%s\",\"%s\",\"%s\"\n", layer->equation, kernel->algorithm->method,
            layer->job_source ? layer->job_source : "");
}

void kernels_write_csv(struct selection selection, FILE *csv)
{
    fputs("kernel,kind,layer,variant,engine,job,per_block,tokens,products,batches,parts,packing,"
          "bytes_per_weight,roof,parameters,operations_per_token,sequential_share,exps_per_token,"
          "logs_per_token,"
          "sigmoids_per_token,tanhs_per_token,rsqrts_per_token,streamed_bytes_per_token,"
          "state_floats,equation,method,source\n",
          csv);
    for (int i = 0; kernel_at(i); i++)
        if (kernel_is_in(kernel_at(i), selection))
            write_row(kernel_at(i), csv);
}
