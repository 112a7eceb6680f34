/*
 * Streams: conditions as text, histograms, and the state that goes from call to call against the
 * same tokens as one sequence. Allocations and locks of a call are counted by standing in for the
 * functions of the C library.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "test.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cases/kernel.h"
#include "measure/pin.h"
#include "run/stream.h"

/* ---- what a call must not do ---- */

static int64_t allocations, locks;

#ifdef __SANITIZE_ADDRESS__ /* which stands in for them itself */
enum { COUNTS = false };
#else
enum { COUNTS = true };

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    allocations++;
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (!real) {
        void *found = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        memcpy(&real, &found, sizeof(real));
    }
    locks++;
    return real(mutex);
}
#endif

/* ---- a case that is streamed ---- */

struct streamed {
    struct arena arena, other;
    struct bench_case c;
    struct stream stream;
};

static void open_streamed(const struct kernel *kernel, struct dims d, struct streamed *s)
{
    struct err err;
    assert_true(arena_map(case_bytes(kernel, d), &s->arena, &err));
    assert_true(arena_map(1 << 16, &s->other, &err));
    memset(s->arena.base, 0, s->arena.bytes);
    memset(s->other.base, 0, s->other.bytes);
    case_place(kernel, d, &s->arena, &s->c);
    case_draw(&s->c, 1);
    case_prepare(&s->c);
    case_poison(&s->c);
    stream_open(&s->c, 7, &s->other, &s->stream);
}

static void close_streamed(struct streamed *s)
{
    stream_close(&s->stream);
    case_release(&s->c);
    arena_unmap(&s->arena);
    arena_unmap(&s->other);
}

static bool is_streamed(const struct kernel *kernel)
{
    return kernel->layer->carry && kernel_cells(kernel) != CELLS_OWN;
}

/* The first tensor with that role and name; -1: none. */
static int place_of(const struct bench_case *c, const char *name)
{
    for (int i = 0; i < c->tensor_count; i++)
        if (strcmp(c->tensor[i].spec.name, name) == 0)
            return i;
    return -1;
}

/* ---- text ---- */

static void conditions_are_read_and_written(void **state)
{
    (void)state;
    struct conditions c;
    struct err err;
    char text[CONDITION_TEXT];
    assert_true(conditions_parse("hot,20.8us,10ms,cold,1s", "--conditions", &c, &err));
    const char *const expected[] = {"hot", "20800ns", "10000000ns", "cold", "1000000000ns"};
    assert_int_equal(c.count, 5);
    for (int i = 0; i < c.count; i++)
        assert_string_equal(condition_text(c.v[i], text), expected[i]);
    assert_true(conditions_parse("", "--conditions", &c, &err));
    assert_int_equal(c.count, 0);
}

static void other_conditions_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "warm",  "hot,hot", "20us,20000ns", "10",   "0us",   "-1ms",
        "nanms", "infs",    "1e99s",        "hot,", "999ns", "1us,2us,3us,4us,5us,6us,7us,8us,9us"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct conditions c;
        struct err err = {0};
        if (conditions_parse(bad[i], "--conditions", &c, &err))
            fail_msg("%s was taken", bad[i]);
        assert_memory_equal(err.text, "--conditions: ", 14);
    }
}

/* ---- histograms ---- */

static void bins_keep_three_significant_digits(void **state)
{
    (void)state;
    int last = -1;
    for (int64_t ns = 0; ns < INT64_C(1) << 40; ns += 1 + ns / 3000) {
        const int bin = histogram_bin(ns);
        const int64_t low = histogram_low(bin);
        assert_true(bin == last || bin > last);
        assert_true(low <= ns && (double)(ns - low) <= (double)ns / 1024.0);
        assert_int_equal(histogram_bin(low), bin);
        last = bin;
    }
    assert_int_equal(histogram_bin(INT64_MAX), HISTOGRAM_BINS - 1);
    assert_int_equal(histogram_bin(-5), 0);
}

static void histograms_hold_what_was_added(void **state)
{
    (void)state;
    static struct histogram h;
    char *text = NULL;
    size_t length = 0;
    for (int times = 0; times < 2; times++) { /* a cleared one is as a new one */
        histogram_clear(&h);
        const int64_t ns[] = {55, 1000000, 412, 55, 2049, 55};
        for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++)
            histogram_add(&h, ns[i]);
        FILE *out = open_memstream(&text, &length);
        histogram_write(&h, out);
        fclose(out);
        assert_string_equal(text, "55:3 412:1 2048:1 999936:1");
        free(text);
    }
    assert_int_equal(h.calls, 6);
}

/* ---- state ---- */

enum { TOKENS = 10240 };

/* The same tokens in one run of the first variant of the layer, with the same engine where that
 * rounds or leaves out weights; its output, to be freed. */
static void run_whole(const struct kernel *kernel, const struct streamed *s, double *last)
{
    const struct dims d = s->c.instance.dims;
    const struct dims whole = {.S = TOKENS, .H = d.H, .A = d.A, .B = 1};
    const struct kernel *first = NULL;
    for (int i = 0; !first; i++)
        if (kernel_at(i)->layer == kernel->layer && kernel_cells(kernel_at(i)) == CELLS_GRID &&
            (!kernel_approximates(kernel) || kernel_at(i)->engine == kernel->engine))
            first = kernel_at(i);
    struct arena arena;
    struct bench_case c;
    struct err err;
    assert_true(arena_map(case_bytes(first, whole), &arena, &err));
    case_place(first, whole, &arena, &c);
    case_draw(&c, 1);
    for (int i = 0; i < c.tensor_count; i++) /* draws depend on the place only, but for x */
        if (!case_is_result(&c.tensor[i]) && i > 0)
            assert_memory_equal(c.tensor[i].data, s->c.tensor[i].data, 4);
    for (int64_t t = 0; t < TOKENS; t++)
        memcpy(c.tensor[0].data + t * d.H,
               s->stream.inputs + (t / d.S % STREAM_INPUTS * d.S + t % d.S) * d.H,
               (size_t)d.H * sizeof(float));
    case_prepare(&c);
    case_run(&c);
    const float *y = c.tensor[place_of(&c, "y")].data + (TOKENS - 1) * d.H;
    for (int64_t k = 0; k < d.H; k++)
        last[k] = (double)y[k];
    case_release(&c);
    arena_unmap(&arena);
}

static void assert_stream_is_the_sequence(const struct kernel *kernel, struct dims d)
{
    struct streamed s;
    double last[64];
    open_streamed(kernel, d, &s);
    run_whole(kernel, &s, last);
    for (int64_t t = 0; t < TOKENS; t += d.S)
        stream_call(&s.stream);
    const float *y = s.c.instance.t[place_of(&s.c, "y")] + (d.S - 1) * d.H;
    for (int64_t k = 0; k < d.H; k++)
        if (!(fabs((double)y[k] - last[k]) <= 10.0 * kernel_tolerance(kernel)))
            fail_msg("%s %s chunk %d: channel %d is %g, in one sequence %g", kernel->name,
                     kernel->engine_name, (int)d.S, (int)k, (double)y[k], last[k]);
    close_streamed(&s);
}

static void a_stream_ends_as_the_sequence_does(void **state)
{
    (void)state;
    const int64_t chunks[] = {1, 4, 16, 64};
    int seen = 0;
    for (int i = 0; kernel_at(i); i++)
        for (int k = 0; k < 4; k++) {
            const struct dims d = {.S = chunks[k], .H = 24, .A = 1, .B = 1};
            if (!is_streamed(kernel_at(i)) || kernel_at(i)->layer->one_token ||
                kernel_refuses(kernel_at(i), d))
                continue;
            assert_stream_is_the_sequence(kernel_at(i), d);
            seen++;
        }
    assert_true(seen > 60);
}

enum { CALLS = 40, CHANNELS = 24 };

/* Keys and values of the last S - 1 tokens, oldest first, in a case of its own. */
static void assert_last_is_that_of_its_window(const struct kernel *kernel, struct dims d)
{
    static float k[CALLS][CHANNELS], v[CALLS][CHANNELS];
    struct streamed s, other;
    open_streamed(kernel, d, &s);
    const int64_t size = d.H / d.A;
    const int64_t heads = tensor_elements(&s.c.tensor[place_of(&s.c, "k_new")].spec) / size;
    const size_t bytes = (size_t)size * sizeof(float);
    open_streamed(kernel, d, &other);
    for (int call = 0; call < CALLS; call++) {
        stream_call(&s.stream);
        memcpy(k[call], s.c.instance.t[place_of(&s.c, "k_new")], (size_t)heads * bytes);
        memcpy(v[call], s.c.instance.t[place_of(&s.c, "v_new")], (size_t)heads * bytes);
    }
    for (int64_t head = 0; head < heads; head++)
        for (int64_t j = 0; j < d.S - 1; j++) {
            const int64_t from = CALLS - d.S + j, to = (head * d.S + j) * size;
            memcpy(other.c.instance.t[place_of(&other.c, "k_cache")] + to, k[from] + head * size,
                   bytes);
            memcpy(other.c.instance.t[place_of(&other.c, "v_cache")] + to, v[from] + head * size,
                   bytes);
        }
    memcpy(other.c.instance.t[0], s.stream.inputs + (CALLS - 1) % STREAM_INPUTS * d.H,
           (size_t)d.H * sizeof(float));
    case_run(&other.c);
    const float *got = s.c.instance.t[place_of(&s.c, "y")];
    const float *expected = other.c.instance.t[place_of(&other.c, "y")];
    for (int64_t c = 0; c < d.H; c++)
        if (!(fabsf(got[c] - expected[c]) <= 2e-5f))
            fail_msg("%s %s: channel %d is %g, not %g", kernel->name, kernel->engine_name, (int)c,
                     (double)got[c], (double)expected[c]);
    close_streamed(&s);
    close_streamed(&other);
}

static void decode_attends_over_a_window(void **state)
{
    (void)state;
    const struct dims shapes[] = {
        {.S = 6, .H = CHANNELS, .A = 3, .B = 1},
        {.S = 6, .H = CHANNELS, .A = 4, .B = 1, .G = 2, .W = 4},
        {.S = 6, .H = CHANNELS, .A = 3, .B = 1, .W = 1},
    };
    for (int i = 0; kernel_at(i); i++)
        for (size_t j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++)
            if (is_streamed(kernel_at(i)) && kernel_at(i)->layer->one_token)
                assert_last_is_that_of_its_window(kernel_at(i), shapes[j]);
}

static void a_call_neither_allocates_nor_locks_nor_faults(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    for (int i = 0; kernel_at(i); i++)
        for (int64_t chunk = 1; chunk <= 16; chunk *= 16) {
            const struct kernel *kernel = kernel_at(i);
            const struct dims d = {.S = chunk, .H = 64, .A = 1, .B = 1};
            if (!is_streamed(kernel) ||
                !kernel_is_in(kernel, (struct selection){"*", ENGINES_OF_THE_SUITE}) ||
                kernel_refuses(kernel, d))
                continue;
            struct streamed s;
            struct rusage before, after;
            open_streamed(kernel, d, &s);
            for (int call = 0; call < 8; call++)
                stream_call(&s.stream);
            getrusage(RUSAGE_SELF, &before);
            const int64_t allocated = allocations, locked = locks;
            for (int call = 0; call < 200; call++)
                stream_call(&s.stream);
            const int64_t more = allocations - allocated, held = locks - locked;
            getrusage(RUSAGE_SELF, &after);
            if (more || held || after.ru_minflt != before.ru_minflt)
                fail_msg("%s %s chunk %d: in 200 calls %d allocations, %d locks, %ld faults",
                         kernel->name, kernel->engine_name, (int)chunk, (int)more, (int)held,
                         after.ru_minflt - before.ru_minflt);
            close_streamed(&s);
        }
}

static void a_stream_keeps_to_its_limits(void **state)
{
    (void)state;
    static struct histogram blocks[STREAM_BLOCKS];
    struct streamed s;
    const struct kernel *kernel = kernel_find("rnn.step", NULL);
    open_streamed(kernel, (struct dims){.S = 1, .H = 8, .A = 1, .B = 1}, &s);
    const struct condition all[] = {{HOT, 0}, {COLD, 0}, {PACED, 1000}};
    for (int i = 0; i < 3; i++) {
        for (int b = 0; b < STREAM_BLOCKS; b++)
            histogram_clear(&blocks[b]);
        assert_int_equal(stream_time(&s.stream, all[i], (struct stream_limits){100, 1e12}, blocks),
                         100);
        assert_int_equal(blocks[0].calls, 50);
        assert_int_equal(blocks[1].calls, 50);
    }
    for (int b = 0; b < STREAM_BLOCKS; b++)
        histogram_clear(&blocks[b]);
    /* No time at all: one call in each block. */
    assert_int_equal(stream_time(&s.stream, all[0], (struct stream_limits){100, 0.0}, blocks), 2);
    close_streamed(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_read_and_written),
        cmocka_unit_test(other_conditions_are_refused),
        cmocka_unit_test(bins_keep_three_significant_digits),
        cmocka_unit_test(histograms_hold_what_was_added),
        cmocka_unit_test(a_stream_ends_as_the_sequence_does),
        cmocka_unit_test(decode_attends_over_a_window),
        cmocka_unit_test(a_call_neither_allocates_nor_locks_nor_faults),
        cmocka_unit_test(a_stream_keeps_to_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
