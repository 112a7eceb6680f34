/* lock.c - a locked file per core; the kernel lets go of it however the process ends. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool held_by(int fd, int cpu, struct err *err)
{
    char holder[512];
    const ssize_t length = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return err_set(err, "core %d is measured by %s; wait for it with --wait SECONDS", cpu,
                   holder[0] ? holder : "another run");
}

/*
 * The file is for every user of the machine, whoever made it. Reading is enough to lock it; who may
 * not write into it cannot say that they hold it. Where the kernel protects files of others in /tmp
 * (fs.protected_regular), O_CREAT refuses one that is there, so it is opened without first.
 */
static int open_lock(const char *path)
{
    const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(path, O_RDWR | flags);
    if (fd < 0 && errno == ENOENT) {
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | flags, 0666);
        if (fd >= 0)
            fchmod(fd, 0666); /* whatever the umask; its refusal makes the file readable only */
        else if (errno == EEXIST)
            fd = open(path, O_RDWR | flags);
    }
    return fd < 0 && (errno == EACCES || errno == EROFS) ? open(path, O_RDONLY | flags) : fd;
}

bool lock_core(int cpu, const char *folder, int64_t wait_s, struct err *err)
{
    char path[PATH_MAX], text[512];
    const char *locks = getenv("SEQBENCH_LOCKS");
    snprintf(path, sizeof(path), "%s/seqbench-core-%d.lock", locks ? locks : "/tmp", cpu);
    const int fd = open_lock(path);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    for (int64_t tries = 10 * wait_s; flock(fd, LOCK_EX | LOCK_NB) != 0; tries--) {
        if (tries <= 0) {
            held_by(fd, cpu, err);
            close(fd);
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return true;
    const int length =
        snprintf(text, sizeof(text), "process %d, into %.400s\n", (int)getpid(), folder);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    return true; /* fd stays open: closing it would let go */
}
