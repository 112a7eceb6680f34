/* peer.c - starts programs of other libraries, and speaks with them by lines of JSON. */
#define _GNU_SOURCE /* pipe2 */
#include "peers/peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/dims.h"
#include "cases/kernel.h"
#include "check/npy.h"
#include "text.h"

enum { PROGRAMS_MAX = 8, WORD_BYTES = 31, NAME_BYTES = 3 * WORD_BYTES + 3 };

static const char durations_name[] = "durations";

struct program {
    char path[OPTION_TEXT];
    FILE *to, *from;
    char folder[64]; /* of its tensors; empty: none is loaded */
    cJSON *about;    /* what it says of itself */
    cJSON *timed;    /* its answer about the runs that it timed last */
};

/* A layer that a program has. */
struct peer {
    struct algorithm algorithm; /* first, so that its address is the peer's */
    struct program *program;
    char name[NAME_BYTES];
    const char *variant; /* of several that the program has of one layer and engine; empty: one */
    unsigned takes;      /* sizes that may be absent, as USES(A) */
};

static struct {
    struct program programs[PROGRAMS_MAX];
    struct peer *peers[PROGRAMS_MAX * 64];
    int program_count, count;
    bool flush_to_zero, is_stream;
} all;

static const struct peer *peer_of(const struct algorithm *algorithm)
{
    for (int i = 0; i < all.count; i++)
        if (&all.peers[i]->algorithm == algorithm)
            return all.peers[i];
    return NULL;
}

/* ---- lines ---- */

/* Removes the folder of a program's tensors. */
static void remove_folder(struct program *program)
{
    DIR *folder = *program->folder ? opendir(program->folder) : NULL;
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0); /* not of . and .. */
    closedir(folder);
    rmdir(program->folder);
    program->folder[0] = '\0';
}

/* A peer that fails costs its case, as a library that crashes does. */
static _Noreturn void fail(const struct peer *peer, const char *what)
{
    fprintf(stderr, "seqbench: %s: %s\n", peer->name, what);
    remove_folder(peer->program);
    abort();
}

static cJSON *read_line(struct program *program)
{
    char *line = NULL;
    size_t size = 0;
    const ssize_t length = getline(&line, &size, program->from);
    cJSON *json = length > 0 ? cJSON_Parse(line) : NULL;
    free(line);
    return json;
}

/* Sends a request, takes it over, and returns the answer. */
static cJSON *ask(const struct peer *peer, cJSON *request)
{
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    fprintf(peer->program->to, "%s\n", text);
    free(text);
    cJSON *answer = fflush(peer->program->to) == 0 ? read_line(peer->program) : NULL;
    if (!cJSON_IsObject(answer))
        fail(peer, "its program has ended, or answers without a JSON object");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    if (error)
        fail(peer, cJSON_IsString(error) ? error->valuestring : "it fails");
    return answer;
}

static cJSON *request(const char *what)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "do", what);
    return json;
}

static double number_of(const cJSON *json, const char *key, double absent)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(value) ? value->valuedouble : absent;
}

static const char *text_in(const cJSON *json, const char *key, const char *absent)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsString(value) ? value->valuestring : absent;
}

/* ---- tensors, as .npy files in a folder of the program's own ---- */

static void path_of(const struct program *program, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s.npy", program->folder, name);
}

/* What is not there any more cannot stay behind when a round is killed. */
static void remove_files(const struct program *program, const struct tensor tensors[], int count)
{
    char path[PATH_MAX];
    for (int i = 0; i < count; i++) {
        path_of(program, tensors[i].name, path);
        unlink(path);
    }
}

static void make_folder(const struct peer *peer)
{
    struct program *program = peer->program;
    struct stat memory;
    const bool in_memory =
        stat("/dev/shm", &memory) == 0 && S_ISDIR(memory.st_mode) && access("/dev/shm", W_OK) == 0;
    snprintf(program->folder, sizeof(program->folder), "%s/seqbench-XXXXXX",
             in_memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(program->folder))
        fail(peer, "cannot make a folder for its tensors");
}

/* Floats of a file that the program has written; the caller frees them. */
static float *read_floats(const struct peer *peer, const char *name, int64_t *count)
{
    char path[PATH_MAX];
    size_t size = 0;
    struct npy npy;
    struct err err;
    path_of(peer->program, name, path);
    char *bytes = text_read(path, NPY_BYTES_MAX, &size, &err);
    if (!bytes || !npy_parse((const unsigned char *)bytes, size, path, &npy, &err))
        fail(peer, err.text);
    float *floats = malloc((size_t)npy.elements * sizeof(float) + 1);
    if (!floats)
        abort();
    memcpy(floats, npy.data, (size_t)npy.elements * sizeof(float));
    *count = npy.elements;
    free(bytes);
    return floats;
}

static void fetch(const struct peer *peer, const struct instance *in)
{
    struct tensor tensors[TENSOR_MAX];
    const int count = layer_tensors(peer->algorithm.layer, in->dims, tensors);
    cJSON_Delete(ask(peer, request("outputs")));
    for (int i = 0; i < count; i++) {
        int64_t floats = 0;
        if (!tensor_is_result(&tensors[i]))
            continue;
        float *result = read_floats(peer, tensors[i].name, &floats);
        if (floats != tensor_elements(&tensors[i]))
            fail(peer, "an output has another size than the layer says");
        memcpy(in->t[i], result, (size_t)floats * sizeof(float));
        free(result);
    }
    remove_files(peer->program, tensors, count);
}

/* ---- as an algorithm ---- */

static void prepare(struct instance *in)
{
    const struct peer *peer = peer_of(in->algorithm);
    struct tensor tensors[TENSOR_MAX];
    const int count = layer_tensors(peer->algorithm.layer, in->dims, tensors);
    struct err err;
    make_folder(peer);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        path_of(peer->program, tensors[i].name, path);
        if (!tensor_is_result(&tensors[i]) &&
            !npy_write(path, in->t[i], tensor_rank(&tensors[i]), tensors[i].shape, &err))
            fail(peer, err.text);
    }
    cJSON *load = request("load"), *sizes = cJSON_CreateObject();
    for (int i = 0; i < DIMENSIONS; i++)
        cJSON_AddNumberToObject(sizes, dimensions[i].column, (double)dims_get(in->dims, i));
    cJSON_AddStringToObject(load, "layer", peer->algorithm.layer->name);
    cJSON_AddStringToObject(load, "engine", peer->algorithm.engine);
    if (*peer->variant)
        cJSON_AddStringToObject(load, "variant", peer->variant);
    cJSON_AddItemToObject(load, "sizes", sizes);
    cJSON_AddStringToObject(load, "folder", peer->program->folder);
    cJSON_AddBoolToObject(load, "flush_to_zero", all.flush_to_zero);
    cJSON_AddBoolToObject(load, "stream", all.is_stream);
    cJSON_Delete(ask(peer, load));
    remove_files(peer->program, tensors, count);
}

static void release(struct instance *in)
{
    remove_folder(peer_of(in->algorithm)->program);
}

/* A number of its last answer about runs. */
static double told(const struct peer *peer, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(peer->program->timed, key);
    char text[64];
    if (cJSON_IsNumber(value) && value->valuedouble >= 0.0)
        return value->valuedouble;
    snprintf(text, sizeof(text), "it does not tell %s", key);
    fail(peer, text);
}

/* Keeps the answer to a request that times. */
static void time_request(const struct peer *peer, cJSON *request, struct timing *timing)
{
    cJSON_Delete(peer->program->timed);
    peer->program->timed = ask(peer, request);
    timing->wall_ns = told(peer, "wall_ns");
    timing->cpu_ns = told(peer, "cpu_ns");
    if (timing->wall_ns <= 0.0)
        fail(peer, "its wall_ns is not above 0");
}

static void time_runs(const struct peer *peer, int64_t iterations, struct timing *timing)
{
    cJSON *run = request("run");
    cJSON_AddNumberToObject(run, "iterations", (double)iterations);
    time_request(peer, run, timing);
}

static void run(const struct instance *in)
{
    const struct peer *peer = peer_of(in->algorithm);
    struct timing timing;
    time_runs(peer, 1, &timing);
    fetch(peer, in);
}

void peer_time(const struct bench_case *c, int64_t iterations, struct timing *timing)
{
    time_runs(peer_of(c->kernel->algorithm), iterations, timing);
}

void peer_fetch(const struct bench_case *c)
{
    fetch(peer_of(c->kernel->algorithm), &c->instance);
}

void peer_noise(const struct bench_case *c, struct noise *noise)
{
    const struct peer *peer = peer_of(c->kernel->algorithm);
    noise->voluntary_switches = (int64_t)told(peer, "voluntary_switches");
    noise->involuntary_switches = (int64_t)told(peer, "involuntary_switches");
    noise->minor_faults = (int64_t)told(peer, "minor_faults");
    noise->major_faults = (int64_t)told(peer, "major_faults");
    for (int i = 0; i < COUNTERS; i++)
        noise->counter[i] = UNAVAILABLE;
}

double peer_clock_ns(const struct bench_case *c)
{
    return told(peer_of(c->kernel->algorithm), "clock_ns");
}

float *peer_stream(const struct bench_case *c, int64_t calls, double ns, struct timing *timing,
                   int64_t *count)
{
    const struct peer *peer = peer_of(c->kernel->algorithm);
    cJSON *stream = request("stream");
    cJSON_AddNumberToObject(stream, "calls", (double)calls);
    cJSON_AddNumberToObject(stream, "ns", ns);
    time_request(peer, stream, timing);
    return read_floats(peer, durations_name, count);
}

/* ---- what programs have ---- */

static bool read_rounding(const cJSON *json, enum rounding *out)
{
    static const char *const words[] = {"float32", "bf16", "int8"};
    const char *word = text_in(json, "weights", words[ROUNDS_NOTHING]);
    for (int i = ROUNDS_NOTHING; i <= ROUNDS_INT8; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum rounding)i;
            return true;
        }
    return false;
}

static bool read_takes(const cJSON *json, unsigned *out)
{
    const cJSON *name;
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(json, "sizes"))
    {
        int i = 0;
        while (i < DIMENSIONS &&
               !(cJSON_IsString(name) && strcmp(name->valuestring, dimensions[i].column) == 0))
            i++;
        if (i == DIMENSIONS)
            return false;
        *out |= 1u << i;
    }
    return true;
}

/* "lstm/torch_int8" of the layer lstm and the engine torch-int8; "roof/empty" has its slash. */
static void make_name(struct peer *peer, const char *layer, const char *engine)
{
    snprintf(peer->name, sizeof(peer->name), "%.30s%c%.30s%s%.30s", layer,
             strchr(layer, '/') ? '_' : '/', engine, *peer->variant ? "_" : "", peer->variant);
    for (char *at = peer->name; *at; at++)
        if (*at == '-')
            *at = '_';
}

/* What names are made of; they stand in files and on the command line. */
static bool is_word(const char *text)
{
    return *text && strlen(text) < WORD_BYTES &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

static bool add_peer(struct program *program, const cJSON *json, struct err *err)
{
    const char *layer = text_in(json, "layer", ""), *engine = text_in(json, "engine", "");
    const struct layer *known = layer_find(layer);
    const char *method = text_in(json, "method", "");
    const char *variant = text_in(json, "variant", "");
    if (!known || !is_word(engine) || (*variant && !is_word(variant)))
        return err_set(err, "%s: a kernel of layer '%.40s' and engine '%.40s' is not known here",
                       program->path, layer, engine);
    if (*method == '\0' || strpbrk(method, "\"\n"))
        return err_set(err, "%s: a kernel of %.40s has no method in one line without quotes",
                       program->path, layer);
    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer || all.count == (int)(sizeof(all.peers) / sizeof(all.peers[0])))
        abort();
    peer->program = program;
    peer->variant = variant;
    make_name(peer, layer, engine);
    peer->algorithm = (struct algorithm){
        .name = peer->name,
        .method = method,
        .layer = known,
        .products = PRODUCTS_SEQUENCE,
        .engine = engine,
        .because = "the library makes its products itself",
        .packing = text_in(json, "packing", "unknown"),
        .batch_rows = BATCH_TOGETHER,
        .tolerance = number_of(json, "tolerance", 0.0),
        .prepare = prepare,
        .release = release,
        .run = run,
    };
    all.peers[all.count++] = peer;
    return (read_rounding(json, &peer->algorithm.rounds) && read_takes(json, &peer->takes)) ||
           err_set(err, "%s: %s: weights or sizes are not words of this suite", program->path,
                   peer->name);
}

static bool learn(struct program *program, struct err *err)
{
    const cJSON *kernel;
    program->about = read_line(program);
    const char *error = text_in(program->about, "error", NULL);
    if (error)
        return err_set(err, "%s: %.700s", program->path, error);
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(program->about, "name")))
        return err_set(err, "%s: it does not say what it is; see scripts/peers/README.md",
                       program->path);
    cJSON_ArrayForEach(
        kernel, cJSON_GetObjectItemCaseSensitive(
                    program->about, "kernels")) if (!add_peer(program, kernel, err)) return false;
    return true;
}

static void exec_program(const char *path, int in, int out)
{
    setpgid(0, 0); /* an interrupt is for seqbench, which ends it by closing its input */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execl(path, path, (char *)NULL);
    printf("{\"error\": \"cannot be started: %s\"}\n", strerror(errno));
    fflush(stdout);
    _exit(1);
}

static bool start(struct program *program, struct err *err)
{
    int in[2], out[2];
    pid_t child = -1;
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
        child = fork();
    if (child < 0)
        return err_set(err, "%s: %s", program->path, strerror(errno));
    if (child == 0)
        exec_program(program->path, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    program->to = fdopen(in[1], "w");
    program->from = fdopen(out[0], "r");
    return learn(program, err);
}

bool peers_start(const struct settings *settings, struct err *err)
{
    all.flush_to_zero = settings->flush_to_zero;
    all.is_stream = settings->conditions.count > 0;
    for (const char *at = settings->peers; *at;) {
        const size_t length = strcspn(at, ",");
        if (length == 0 || all.program_count == PROGRAMS_MAX)
            return err_set(err, "peers: a name is empty, or there are more than %d", PROGRAMS_MAX);
        struct program *program = &all.programs[all.program_count++];
        snprintf(program->path, sizeof(program->path), "%.*s", (int)length, at);
        if (!start(program, err))
            return false;
        at += length + (at[length] == ',');
    }
    if (all.program_count > 0)
        signal(SIGPIPE, SIG_IGN); /* a peer that has ended shows when it is asked */
    for (int i = 0; i < settings->conditions.count && all.program_count > 0; i++)
        if (settings->conditions.v[i].kind != HOT)
            return err_set(err, "peers: their calls are timed under the condition hot only");
    return true;
}

const struct algorithm *peers_algorithm(int i)
{
    return i < all.count ? &all.peers[i]->algorithm : NULL;
}

bool peers_have(const struct algorithm *algorithm)
{
    return peer_of(algorithm) != NULL;
}

const char *peers_refuse(const struct algorithm *algorithm, struct dims d)
{
    const struct peer *peer = peer_of(algorithm);
    for (int i = 0; peer && i < DIMENSIONS; i++)
        if (dimensions[i].absent == 0 && dims_get(d, i) > 0 && !(peer->takes & 1u << i))
            return "the library has no such size here";
    return NULL;
}

cJSON *peers_describe(void)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < all.program_count; i++) {
        cJSON *about = cJSON_Duplicate(all.programs[i].about, true);
        cJSON_DeleteItemFromObjectCaseSensitive(about, "kernels");
        cJSON_AddItemToArray(list, about);
    }
    return list;
}
