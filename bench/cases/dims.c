#include "cases/dims.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct dimension dimensions[DIMENSIONS] = {
#define DIMENSION(field, column, name, absent, max, help) {#column, name, absent, max},
#include "dims.def"
#undef DIMENSION
};

static const size_t offsets[DIMENSIONS] = {
#define DIMENSION(field, ...) offsetof(struct dims, field),
#include "dims.def"
#undef DIMENSION
};

int64_t dims_get(struct dims d, int dimension)
{
    int64_t size;
    memcpy(&size, (const char *)&d + offsets[dimension], sizeof(size));
    return size;
}

void dims_set(struct dims *d, int dimension, int64_t size)
{
    memcpy((char *)d + offsets[dimension], &size, sizeof(size));
}

struct dims dims_complete(struct dims d)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (dims_get(d, i) == 0)
            dims_set(&d, i, dimensions[i].absent);
    return d;
}

bool dims_equal(struct dims a, struct dims b)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (dims_get(a, i) != dims_get(b, i))
            return false;
    return true;
}

const char *dims_refused(struct dims d)
{
    if (d.H % d.A != 0)
        return "HidSize is not divisible by the number of heads";
    if (d.A % kv_heads(d) != 0)
        return "the number of heads is not divisible by that of key and value heads";
    return NULL;
}

bool dims_valid(struct dims d)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (dims_get(d, i) < dimensions[i].absent || dims_get(d, i) > dimensions[i].max)
            return false;
    return !dims_refused(d);
}

const char *dims_text(struct dims d, char out[DIMS_TEXT])
{
    size_t length = 0;
    out[0] = '\0';
    for (int i = 0; i < DIMENSIONS; i++)
        if (i <= DIM_H || dims_get(d, i) != dimensions[i].absent)
            length += (size_t)snprintf(out + length, DIMS_TEXT - length, "%s%s=%" PRId64,
                                       length ? " " : "", dimensions[i].name, dims_get(d, i));
    return out;
}

void dims_write_header(FILE *csv)
{
    for (int i = 0; i < DIMENSIONS; i++)
        fprintf(csv, "%s%s", i ? "," : "", dimensions[i].column);
}

void dims_write(struct dims d, FILE *csv)
{
    for (int i = 0; i < DIMENSIONS; i++)
        fprintf(csv, "%s%" PRId64, i ? "," : "", dims_get(d, i));
}

bool dims_read(const char **text, char end, struct dims *out)
{
    *out = (struct dims){0};
    for (int i = 0; i < DIMENSIONS; i++) {
        char *next;
        errno = 0;
        if (!isdigit((unsigned char)**text))
            return false;
        dims_set(out, i, strtoll(*text, &next, 10));
        if (errno != 0 || *next != (i + 1 < DIMENSIONS ? ',' : end))
            return false;
        *text = next + 1;
    }
    return dims_valid(*out);
}
