/* history.c - samples.csv read back. */
#include "run/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/random.h"
#include "text.h"

static void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

bool history_repair(const char *path, struct err *err)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    off_t end = lseek(fd, 0, SEEK_END);
    char last = '\n';
    while (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n')
        end--;
    const bool ok = ftruncate(fd, end) == 0;
    const int cause = errno;
    close(fd);
    return ok || err_set(err, "%s: %s", path, strerror(cause));
}

/* ---- reading ---- */

enum column {
    ORDER,
    SAMPLE,
    ITERATIONS,
    WALL,
    CLOCK_BEFORE,
    CLOCK_AFTER,
    SENTINEL,
    FLAGS,
    STATUS,
    COLUMNS
};

static const char *const column_names[COLUMNS] = {
    "order",           "sample",      "iterations", "wall_ns", "clock_ghz_before",
    "clock_ghz_after", "sentinel_ns", "flags",      "status"};

/* Cuts a line at its commas. Only the last column, error, is quoted, so its commas do not count. */
static int split(char *line, char *field[], int most)
{
    int count = 0;
    for (char *at = line; at && count < most; count++) {
        field[count] = at;
        at = *at == '"' ? NULL : strchr(at, ',');
        if (at)
            *at++ = '\0';
    }
    return count;
}

enum { FIELDS_MAX = 64 };

static bool find_columns(char *header, int place[COLUMNS], int *fields)
{
    char *name[FIELDS_MAX];
    header[strcspn(header, "\n")] = '\0';
    *fields = split(header, name, FIELDS_MAX);
    for (int c = 0; c < COLUMNS; c++) {
        place[c] = -1;
        for (int i = 0; i < *fields; i++)
            if (strcmp(name[i], column_names[c]) == 0)
                place[c] = i;
        if (place[c] < 0)
            return false;
    }
    return true;
}

/* A whole number that is not negative. */
static bool parse_natural(const char *text, int64_t *out)
{
    struct err ignored;
    return parse_whole(text, "", 0, INT64_MAX, out, &ignored);
}

/* A number from 0 to 1e16, which is what a visit may take in ns: four months. */
static bool parse_measured(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0.0 && *out <= 1e16;
}

/* A failed row has no measured columns. */
static bool parse_record(char *const field[], const int place[COLUMNS], struct record *out)
{
    double before, after;
    const char *status = field[place[STATUS]];
    *out = (struct record){
        .failed = strcmp(status, "failed") == 0,
        .flagged = field[place[FLAGS]][0] != '\0',
    };
    if (!parse_natural(field[place[ORDER]], &out->order) ||
        !parse_natural(field[place[SAMPLE]], &out->sample))
        return false;
    if (out->failed)
        return true;
    if (strcmp(status, "ok") != 0 || !parse_natural(field[place[ITERATIONS]], &out->iterations) ||
        !parse_measured(field[place[WALL]], &out->wall_ns) ||
        !parse_measured(field[place[CLOCK_BEFORE]], &before) ||
        !parse_measured(field[place[CLOCK_AFTER]], &after) ||
        !parse_measured(field[place[SENTINEL]], &out->sentinel_ns))
        return false;
    out->clock_ghz = (before + after) / 2.0;
    return out->iterations > 0 && before > 0.0 && after > 0.0 && out->sentinel_ns > 0.0;
}

static void append(struct history *history, struct record record)
{
    if ((history->count & (history->count - 1)) == 0) { /* grows at powers of two */
        const size_t room = history->count ? 2 * (size_t)history->count : 1;
        history->records = checked(realloc(history->records, room * sizeof(record)));
    }
    history->records[history->count++] = record;
}

/* By visit, sample, and place in the file. */
static int by_identity(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a;
    const struct record *y = *(const struct record *const *)b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->sample != y->sample)
        return x->sample < y->sample ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* A record whose visit has its sample before it too; -1: there is none. */
static int64_t find_repeated(const struct history *history)
{
    const int64_t count = history->count;
    const struct record **sorted = checked(malloc((size_t)(count + 1) * sizeof(*sorted)));
    int64_t found = -1;
    for (int64_t i = 0; i < count; i++)
        sorted[i] = &history->records[i];
    qsort(sorted, (size_t)count, sizeof(*sorted), by_identity);
    for (int64_t i = 1; i < count && found < 0; i++)
        if (sorted[i]->order == sorted[i - 1]->order && sorted[i]->sample == sorted[i - 1]->sample)
            found = sorted[i] - history->records;
    free(sorted);
    return found;
}

bool history_read(const char *path, struct history *out, struct err *err)
{
    *out = (struct history){NULL, 0};
    FILE *file = text_open(path, err);
    if (!file)
        return false;
    char line[2048];
    int place[COLUMNS], fields = 0;
    bool ok = fgets(line, sizeof(line), file) && find_columns(line, place, &fields);
    int64_t number = 1;
    while (ok && fgets(line, sizeof(line), file)) {
        char *field[FIELDS_MAX];
        struct record record;
        number++;
        ok = strchr(line, '\n') && split(line, field, FIELDS_MAX) == fields &&
             parse_record(field, place, &record);
        if (ok)
            append(out, record);
    }
    fclose(file);
    const int64_t repeated = ok ? find_repeated(out) : -1;
    if (ok && repeated < 0)
        return true;
    history_free(out);
    if (ok)
        return err_set(err, "%s:%" PRId64 ": this sample of its visit is there already", path,
                       repeated + 2);
    return err_set(err, "%s:%" PRId64 ": not a row of samples", path, number);
}

void history_free(struct history *history)
{
    free(history->records);
    *history = (struct history){NULL, 0};
}

/* ---- medians ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, int64_t count)
{
    if (count == 0)
        return 0.0;
    qsort(values, (size_t)count, sizeof(*values), by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

int64_t history_good(const struct history *history)
{
    int64_t good = 0;
    for (int64_t i = 0; i < history->count; i++)
        good += !history->records[i].failed;
    return good;
}

static double clock_of(const struct record *record)
{
    return record->clock_ghz;
}

static double sentinel_of(const struct record *record)
{
    return record->sentinel_ns;
}

static double median_of(const struct history *history, double (*value)(const struct record *))
{
    double *values = checked(malloc((size_t)(history->count + 1) * sizeof(*values)));
    int64_t count = 0;
    for (int64_t i = 0; i < history->count; i++)
        if (!history->records[i].failed)
            values[count++] = value(&history->records[i]);
    const double middle = median(values, count);
    free(values);
    return middle;
}

double history_clock_ghz(const struct history *history)
{
    return median_of(history, clock_of);
}

double history_sentinel_ns(const struct history *history)
{
    return median_of(history, sentinel_of);
}

/* ---- estimates ---- */

/* The clean values of one case, round after round; first[r] .. first[r + 1] are those of round r.
 */
struct values {
    double *ns;
    int64_t count;
    int64_t *first;
    int64_t rounds;
};

enum { RESAMPLES = 200 };

/* Half the width of the central 95 % of resampled medians, over the median. */
static double relative_half_width(const struct values *v, double middle)
{
    double medians[RESAMPLES];
    int64_t widest = 0;
    for (int64_t r = 0; r < v->rounds; r++)
        widest = v->first[r + 1] - v->first[r] > widest ? v->first[r + 1] - v->first[r] : widest;
    double *drawn = checked(malloc((size_t)(v->rounds * widest) * sizeof(*drawn)));
    uint64_t state = 1;
    for (int i = 0; i < RESAMPLES; i++) {
        int64_t count = 0;
        for (int64_t k = 0; k < v->rounds; k++) {
            const int64_t r = random_below(&state, v->rounds);
            const int64_t size = v->first[r + 1] - v->first[r];
            for (int64_t s = 0; s < size; s++)
                drawn[count++] = v->ns[v->first[r] + random_below(&state, size)];
        }
        medians[i] = median(drawn, count);
    }
    free(drawn);
    qsort(medians, RESAMPLES, sizeof(*medians), by_value);
    return (medians[RESAMPLES - 1 - RESAMPLES / 40] - medians[RESAMPLES / 40]) / 2.0 / middle;
}

static struct estimate estimate(const struct values *v, int64_t flagged, bool failed)
{
    struct estimate e = {v->rounds, v->count, flagged, failed, 0.0, HUGE_VAL};
    if (v->count == 0)
        return e;
    double *copy = checked(malloc((size_t)v->count * sizeof(*copy)));
    memcpy(copy, v->ns, (size_t)v->count * sizeof(*copy));
    e.median_ns = median(copy, v->count);
    free(copy);
    if (v->rounds > 1)
        e.half_width = relative_half_width(v, e.median_ns);
    return e;
}

/* The case of round 0 that a visit belongs to; -1: none. */
static int64_t case_of(const struct plan *plan, int64_t cases, int64_t order)
{
    if (order < 0 || order >= plan->count)
        return -1;
    for (int64_t i = 0; i < cases; i++)
        if (same_case(&plan->visits[i], &plan->visits[order]))
            return i;
    return -1;
}

void history_estimate(const struct history *history, const struct plan *plan, int64_t cases,
                      struct estimate *out)
{
    int64_t *owner = checked(malloc((size_t)(plan->count + 1) * sizeof(*owner)));
    for (int64_t i = 0; i < plan->count; i++)
        owner[i] = i < cases ? i : case_of(plan, cases, i);
    struct values v = {
        .ns = checked(malloc((size_t)(history->count + 1) * sizeof(double))),
        .first = checked(malloc((size_t)(history->count + 2) * sizeof(int64_t))),
    };
    for (int64_t c = 0; c < cases; c++) {
        int64_t flagged = 0, last_order = -1;
        bool failed = false;
        v.count = v.rounds = 0;
        for (int64_t i = 0; i < history->count; i++) {
            const struct record *r = &history->records[i];
            if (r->order < 0 || r->order >= plan->count || owner[r->order] != c)
                continue;
            failed |= r->failed;
            flagged += r->flagged;
            if (r->failed || r->flagged)
                continue;
            if (r->order != last_order)
                v.first[v.rounds++] = v.count;
            last_order = r->order;
            v.ns[v.count++] = r->wall_ns / (double)r->iterations;
        }
        v.first[v.rounds] = v.count;
        out[c] = estimate(&v, flagged, failed);
    }
    free(owner);
    free(v.ns);
    free(v.first);
}
