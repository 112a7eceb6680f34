/* grid.c - text or flags to a grid. */
#include "cases/grid.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static const struct {
    const char *name, *text;
} built_in[] = {
    {"quick", "S 16,128,1024\nH 64,256,512\nrounds 5\nbudget 60\n"},
    {"default", "S 16:4096:x2\nH 64,128,256,384,512,768,1024\nrounds 5\nbudget 600\n"},
    {"peers", "S 16,128,1024\nH 64,128,256,384,512,768,1024\nrounds 5\nbudget 540\n"},
    {"width", "S 16,128,1024,4096\nH 64,256,512,1024\nrounds 5\nbudget 840\n"},
    {"batch", "S 128,1024\nH 128,256,512,1024\nbatch 1,2,4,8,16,32,64\nrounds 5\nbudget 840\n"},
    {"stream", "S 1\nH 8,16,24,32,40,64,128,256,384,512,1024\nrounds 5\nbudget 120\n"},
    {"stream-slow", "S 1\nH 128,512\nrounds 5\nbudget 150\n"},
    {"stream-chunks", "S 4,16,64\nH 64,128,256,512\nrounds 5\nbudget 80\n"},
    {"precision", "S 16:4096:x2\nH 64,128,256,512,768,1024\nrounds 5\nbudget 600\n"},
    {"accuracy", "S 128\nH 64,128,256,512,1024\n"},
    {"accuracy-long", "S 4096\nH 64,256\n"},
    {"full", "S 8:8192:x2\nH 64:512:+64,640,768,896,1024,1536,2048\nrounds 5\nbudget 7200\n"},
};

/* Reads digits at *text; leaves *text behind them. */
static bool scan_number(const char **text, int64_t *out)
{
    if (!isdigit((unsigned char)**text))
        return false;
    char *end;
    errno = 0;
    const long long value = strtoll(*text, &end, 10);
    *text = end;
    *out = value;
    return errno == 0;
}

static bool append(struct sizes *sizes, int64_t value, const char *what, struct err *err)
{
    for (int i = 0; i < sizes->count; i++)
        if (sizes->v[i] == value)
            return err_set(err, "%s: %" PRId64 " stands twice in the list", what, value);
    if (sizes->count == SIZES_MAX)
        return err_set(err, "%s: more than %d values in the list", what, SIZES_MAX);
    sizes->v[sizes->count++] = value;
    return true;
}

static bool bad_item(const char *what, const char *item, size_t length, struct err *err)
{
    return err_set(err, "%s: '%.*s' is not a size; write 64 or 16:4096:x2 or 64:512:+64", what,
                   (int)(length > 60 ? 60 : length), item);
}

static bool in_range(int64_t value, const char *what, int64_t max, struct err *err)
{
    if (value >= 1 && value <= max)
        return true;
    return err_set(err, "%s: %" PRId64 " is outside 1..%" PRId64, what, value, max);
}

/* One item of a list: a number, or first:last:xFACTOR, or first:last:+STEP. */
static bool parse_item(const char *item, size_t length, const char *what, int64_t max,
                       struct sizes *out, struct err *err)
{
    const char *at = item;
    int64_t first, last, by;
    if (!scan_number(&at, &first)) {
        if (isdigit((unsigned char)*item))
            return err_set(err, "%s: '%.*s' is outside 1..%" PRId64, what,
                           (int)(length > 60 ? 60 : length), item, max);
        return bad_item(what, item, length, err);
    }
    if (!in_range(first, what, max, err))
        return false;
    if (at == item + length)
        return append(out, first, what, err);
    if (*at++ != ':' || !scan_number(&at, &last) || *at++ != ':' || (*at != 'x' && *at != '+'))
        return bad_item(what, item, length, err);
    const char step = *at++;
    if (!scan_number(&at, &by) || at != item + length)
        return bad_item(what, item, length, err);
    if (!in_range(last, what, max, err))
        return false;
    if (last < first)
        return err_set(err, "%s: the range %.*s ends before it starts", what, (int)length, item);
    if (step == 'x' ? by < 2 : by < 1)
        return err_set(err, "%s: the range %.*s does not advance", what, (int)length, item);
    for (int64_t value = first; value <= last;
         value = step == 'x' ? (by > last / value ? last + 1 : value * by)
                             : (by > last - value ? last + 1 : value + by))
        if (!append(out, value, what, err))
            return false;
    return true;
}

bool parse_sizes(const char *text, const char *what, int64_t max, struct sizes *out,
                 struct err *err)
{
    out->count = 0;
    for (const char *item = text;; item++) {
        const size_t length = strcspn(item, ",");
        if (!parse_item(item, length, what, max, out, err))
            return false;
        item += length;
        if (*item == '\0')
            return true;
    }
}

static int dimension_named(const char *name)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (strcmp(name, dimensions[i].name) == 0)
            return i;
    return -1;
}

/* NAME=SIZE of a case. */
static bool parse_size(char *word, struct grid_case *c, struct err *err)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    const int dimension = dimension_named(word);
    if (!value || dimension < 0)
        return err_set(err, "'%.60s': the sizes of a case are written as S=64", word);
    if (c->sizes[dimension])
        return err_set(err, "the case has two sizes %s", word);
    return parse_whole(value, word, 1, dimensions[dimension].max, &c->sizes[dimension], err);
}

/* What follows `case`: a layer and its sizes. */
static bool parse_case(char **rest, struct grid *grid, struct err *err)
{
    const char *layer = strtok_r(NULL, " \t\r", rest);
    if (!layer || strlen(layer) >= LAYER_NAME_MAX)
        return err_set(err, "'case' needs the name of a layer");
    if (grid->case_count == GRID_CASES_MAX)
        return err_set(err, "more than %d cases", GRID_CASES_MAX);
    struct grid_case *c = &grid->cases[grid->case_count];
    *c = (struct grid_case){.layer = ""};
    strcpy(c->layer, layer);
    for (char *word = strtok_r(NULL, " \t\r", rest); word; word = strtok_r(NULL, " \t\r", rest))
        if (!parse_size(word, c, err))
            return false;
    if (!c->sizes[DIM_S] || !c->sizes[DIM_H])
        return err_set(err, "a case needs S=N and H=N");
    for (int i = 0; i < grid->case_count; i++)
        if (memcmp(&grid->cases[i], c, sizeof(*c)) == 0)
            return err_set(err, "this case is there already");
    grid->case_count++;
    return true;
}

static bool parse_line(char *line, struct grid *grid, struct err *err)
{
    char *rest;
    const char *key = strtok_r(line, " \t\r", &rest);
    if (!key)
        return true;
    if (strcmp(key, "case") == 0)
        return parse_case(&rest, grid, err);
    const char *value = strtok_r(NULL, " \t\r", &rest);
    if (!value || strtok_r(NULL, " \t\r", &rest))
        return err_set(err, "'%.60s' needs exactly one value", key);
    const int dimension = dimension_named(key);
    if (dimension >= 0)
        return parse_sizes(value, key, dimensions[dimension].max, &grid->sizes[dimension], err);
    if (strcmp(key, "rounds") == 0)
        return parse_whole(value, "rounds", 1, ROUNDS_MAX, &grid->rounds, err);
    if (strcmp(key, "budget") == 0)
        return parse_whole(value, "budget", 1, BUDGET_MAX, &grid->budget_s, err);
    return err_set(err, "unknown key '%.60s'; known: a dimension as S or H, case, rounds, budget",
                   key);
}

bool grid_parse(const char *text, const char *name, struct grid *out, struct err *err)
{
    *out = (struct grid){.rounds = 3};
    if (strlen(name) >= sizeof(out->name))
        return err_set(err, "%.60s...: the grid's name is longer than %zu characters", name,
                       sizeof(out->name) - 1);
    strcpy(out->name, name);
    int number = 0;
    for (const char *at = text; *at != '\0'; at += *at == '\n') {
        const size_t length = strcspn(at, "\n");
        char line[512];
        number++;
        if (length >= sizeof(line))
            return err_set(err, "%s:%d: line longer than %zu characters", name, number,
                           sizeof(line) - 1);
        memcpy(line, at, length);
        line[length] = '\0';
        line[strcspn(line, "#")] = '\0';
        at += length;
        struct err cause;
        if (!parse_line(line, out, &cause))
            return err_set(err, "%s:%d: %.700s", name, number, cause.text);
    }
    if (out->case_count == 0 && (out->sizes[DIM_S].count == 0 || out->sizes[DIM_H].count == 0))
        return err_set(err, "%s: a grid needs a line `S LIST` and a line `H LIST`, or cases", name);
    return true;
}

static bool refuse_name(const char *name, const char *cause, struct err *err)
{
    char names[256] = "";
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "",
                 built_in[i].name);
    return err_set(err, "grid '%.60s' is neither %s nor a file: %.600s", name, names, cause);
}

static bool read_grid(const char *path, struct grid *out, struct err *err)
{
    size_t size;
    struct err cause;
    char *text = text_read(path, 65535, &size, &cause);
    if (!text)
        return refuse_name(path, cause.text, err);
    const bool ok = strlen(text) == size ? grid_parse(text, path, out, err)
                                         : err_set(err, "%s: not a text file", path);
    free(text);
    return ok;
}

bool grid_load(const char *name_or_path, struct grid *out, struct err *err)
{
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
        if (strcmp(name_or_path, built_in[i].name) == 0)
            return grid_parse(built_in[i].text, name_or_path, out, err);
    return read_grid(name_or_path, out, err);
}

int64_t default_heads(int64_t hid_size)
{
    int64_t heads = (hid_size + 63) / 64;
    while (hid_size % heads != 0)
        heads++;
    return heads;
}
