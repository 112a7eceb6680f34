/* append.c - whole lines or none. */
#include "run/append.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int append_open(const char *path, struct err *err)
{
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        err_set(err, "%s: %s", path, strerror(errno));
    return fd;
}

bool append_text(int fd, const char *name, const char *text, size_t length, struct err *err)
{
    const off_t before = lseek(fd, 0, SEEK_END);
    size_t done = 0;
    while (done < length) {
        const ssize_t written = write(fd, text + done, length - done);
        if (written > 0) {
            done += (size_t)written;
            continue;
        }
        const int cause = errno;
        if (done > 0 && ftruncate(fd, before) != 0)
            return err_set(err, "%s: %s, and its last line stays incomplete: %s", name,
                           strerror(cause), strerror(errno));
        return err_set(err, "%s: cannot write the next row: %s; all rows before it are there", name,
                       strerror(cause));
    }
    return true;
}
