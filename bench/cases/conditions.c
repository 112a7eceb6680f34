/* conditions.c - text to conditions and back. */
#include "cases/conditions.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double ns;
} units[] = {{"ns", 1.0}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

static const double shortest_ns = 1e3, longest_ns = 1e10;

static bool parse_period(const char *item, int64_t *ns)
{
    char *unit;
    if (*item < '0' || *item > '9')
        return false;
    const double value = strtod(item, &unit);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(unit, units[i].name) == 0) {
            const double period = round(value * units[i].ns);
            if (!(period >= shortest_ns && period <= longest_ns))
                return false;
            *ns = (int64_t)period;
            return true;
        }
    return false;
}

static bool parse_one(const char *item, const char *what, struct condition *out, struct err *err)
{
    *out = (struct condition){HOT, 0};
    if (strcmp(item, "hot") == 0)
        return true;
    out->kind = strcmp(item, "cold") == 0 ? COLD : PACED;
    return out->kind == COLD || parse_period(item, &out->period_ns) ||
           err_set(err,
                   "%s: '%.60s' is neither hot nor cold nor a period from 1us to 10s, as 20.8us",
                   what, item);
}

bool conditions_parse(const char *text, const char *what, struct conditions *out, struct err *err)
{
    *out = (struct conditions){0};
    while (*text) {
        char item[64];
        const size_t length = strcspn(text, ",");
        struct condition *const next = &out->v[out->count];
        if (out->count == CONDITIONS_MAX)
            return err_set(err, "%s: more than %d conditions", what, CONDITIONS_MAX);
        snprintf(item, sizeof(item), "%.*s", (int)(length < 63 ? length : 63), text);
        if (!parse_one(item, what, next, err))
            return false;
        for (int i = 0; i < out->count; i++)
            if (out->v[i].kind == next->kind && out->v[i].period_ns == next->period_ns)
                return err_set(err, "%s: %s stands twice in the list", what, item);
        out->count++;
        text += length;
        if (*text == ',' && *++text == '\0')
            return err_set(err, "%s: the list ends with a comma", what);
    }
    return true;
}

const char *condition_text(struct condition condition, char out[CONDITION_TEXT])
{
    if (condition.kind == PACED)
        snprintf(out, CONDITION_TEXT, "%" PRId64 "ns", condition.period_ns);
    else
        snprintf(out, CONDITION_TEXT, "%s", condition.kind == COLD ? "cold" : "hot");
    return out;
}
