/* npy.c - .npy files in and out. */
#include "check/npy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

enum { HEADER_MAX = 4096, ELEMENTS_MAX = 1 << 30 };

/* The text behind 'key': in the header's dictionary, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof(quoted), "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    if (*at++ != ':')
        return NULL;
    return at + strspn(at, " ");
}

/* Characters of a quoted type with both quotes; of another, up to the comma behind it. */
static int type_length(const char *type)
{
    const size_t quoted = *type == '\'' ? strcspn(type + 1, "'") + 2 : strcspn(type, ",}\n");
    return quoted < 20 ? (int)quoted : 20;
}

static bool parse_shape(const char *at, struct npy *out)
{
    out->rank = 0;
    out->elements = 1;
    if (!at || *at++ != '(')
        return false;
    for (;;) {
        at += strspn(at, " ");
        if (*at == ')')
            return true;
        if (!isdigit((unsigned char)*at) || out->rank == NPY_RANK_MAX)
            return false;
        char *end;
        const long long size = strtoll(at, &end, 10);
        if (size < 0 || size > ELEMENTS_MAX || (size > 0 && out->elements > ELEMENTS_MAX / size))
            return false;
        out->shape[out->rank++] = size;
        out->elements *= size;
        at = end + strspn(end, " ");
        if (*at == ',')
            at++;
        else if (*at != ')')
            return false;
    }
}

/* Copies the header's text; returns its end's offset in the file, or 0. */
static size_t find_header(const unsigned char *bytes, size_t size, char header[HEADER_MAX])
{
    if (size < 10 || memcmp(bytes, magic, sizeof(magic)) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return 0;
    const size_t start = bytes[6] == 1 ? 10 : 12;
    if (size < start)
        return 0;
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length >= HEADER_MAX || length > size - start)
        return 0;
    memcpy(header, bytes + start, length);
    header[length] = '\0';
    return start + length;
}

bool npy_parse(const unsigned char *bytes, size_t size, const char *name, struct npy *out,
               struct err *err)
{
    char header[HEADER_MAX];
    const size_t start = find_header(bytes, size, header);
    if (start == 0)
        return err_set(err, "%s: not a .npy file, or its header is truncated", name);
    const char *type = value_of(header, "descr"), *order = value_of(header, "fortran_order");
    if (!type || strncmp(type, "'<f4'", 5) != 0)
        return err_set(err,
                       "%s: the element type is %.*s, it must be little-endian float32 ('<f4')",
                       name, type ? type_length(type) : 20, type ? type : "missing");
    if (!order || strncmp(order, "False", 5) != 0)
        return err_set(err, "%s: Fortran order; it must be C order", name);
    if (!parse_shape(value_of(header, "shape"), out))
        return err_set(err, "%s: the shape in its header cannot be read", name);
    if (size - start != (size_t)out->elements * 4)
        return err_set(err, "%s: %zu bytes of data where its shape needs %" PRId64, name,
                       size - start, out->elements * 4);
    out->data = bytes + start;
    return true;
}

bool npy_write(const char *path, const float *data, int rank, const int64_t *shape, struct err *err)
{
    char header[118 + 1]; /* 128 with the 10 bytes before it: data starts 64-byte aligned */
    int length =
        snprintf(header, sizeof(header), "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    size_t elements = 1;
    for (int i = 0; i < rank; i++) {
        elements *= (size_t)shape[i];
        length += snprintf(header + length, sizeof(header) - (size_t)length, "%" PRId64 ",%s",
                           shape[i], i + 1 < rank ? " " : "");
    }
    length += snprintf(header + length, sizeof(header) - (size_t)length, "), }");
    memset(header + length, ' ', sizeof(header) - 2 - (size_t)length);
    header[sizeof(header) - 2] = '\n';

    FILE *file = fopen(path, "wb");
    if (!file)
        return err_set(err, "%s: %s", path, strerror(errno));
    fwrite(magic, 1, sizeof(magic), file);
    fwrite("\1\0\x76\0", 1, 4, file); /* version 1.0, 0x76 = 118 bytes of header */
    fwrite(header, 1, sizeof(header) - 1, file);
    fwrite(data, sizeof(float), elements, file);
    const bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed)
        return err_set(err, "%s: %s", path, strerror(errno));
    return true;
}
