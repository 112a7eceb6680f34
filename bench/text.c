/* text.c - the one place that opens what is read. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end, or to one byte more than most; NULL with errno set. */
static char *read_all(int fd, size_t most, size_t *size)
{
    size_t room = 4096, used = 0;
    char *text = malloc(room + 1);
    for (ssize_t got = 1; text && got != 0 && used <= most;) {
        got = read(fd, text + used, room - used);
        if (got < 0 && errno != EINTR) {
            free(text);
            return NULL;
        }
        used += got > 0 ? (size_t)got : 0;
        got = got < 0 ? 1 : got;
        if (used < room)
            continue;
        room *= 2;
        char *larger = realloc(text, room + 1);
        if (!larger)
            free(text);
        text = larger;
    }
    if (text)
        text[used] = '\0';
    *size = used;
    return text;
}

/* -1: err says why. */
static int open_regular(const char *path, struct err *err)
{
    struct stat file;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode))
        return fd;
    if (fd < 0)
        err_set(err, "%s: %s", path, strerror(errno));
    else
        err_set(err, "%s: it is %s", path,
                S_ISDIR(file.st_mode) ? "a directory" : "no regular file");
    if (fd >= 0)
        close(fd);
    return -1;
}

FILE *text_open(const char *path, struct err *err)
{
    const int fd = open_regular(path, err);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (fd >= 0 && !file)
        abort(); /* out of memory */
    return file;
}

char *text_read(const char *path, size_t most, size_t *size, struct err *err)
{
    const int fd = open_regular(path, err);
    if (fd < 0)
        return NULL;
    size_t length = 0;
    char *text = read_all(fd, most, &length);
    const int cause = errno;
    close(fd);
    if (!text) {
        err_set(err, "%s: %s", path, strerror(cause));
    } else if (length > most) {
        err_set(err, "%s: larger than %zu bytes", path, most);
        free(text);
        text = NULL;
    }
    if (size)
        *size = length;
    return text;
}

char *text_of(const char *path)
{
    struct err ignored;
    return text_read(path, (size_t)64 << 20, NULL, &ignored);
}

const char *text_value(const char *text, const char *key)
{
    const size_t length = strlen(key);
    for (; text && *text; text = strchr(text, '\n'), text += text != NULL) {
        if (strncmp(text, key, length) != 0)
            continue;
        const char *colon = text + length + strspn(text + length, " \t");
        if (*colon == ':')
            return colon + 1 + strspn(colon + 1, " \t");
    }
    return NULL;
}

const char *text_line(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
    return out;
}

bool parse_whole(const char *text, const char *what, int64_t min, int64_t max, int64_t *out,
                 struct err *err)
{
    char *end;
    const long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || strlen(text) > 18 || value < min ||
        value > max)
        return err_set(err, "%s: '%.60s' is not a whole number from %" PRId64 " to %" PRId64, what,
                       text, min, max);
    *out = value;
    return true;
}
