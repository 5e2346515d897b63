/* Makes system calls fail as a plan says: loaded by LD_PRELOAD, steered at run time through a shared file.

   The file that FAULTS_PLAN names is `struct plan`; plan.py writes the same layout. A rule matches a function, a
   part of the path (of a descriptor: what /proc/self/fd says), a range of offsets and a process; the first `after`
   matches pass, the next `times` (-1: all) fail with `error`. Error 0 is a transfer cut in half. Each call of a
   watched function is counted, so that a test can tell a fault that was never met. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, WRITE, READ, SYNC, SYNCFS, RENAME, LINK, UNLINK, TRUNCATE, ALLOCATE, ACCEPT, DUP, FUNCTIONS };

#define RULES 16

struct rule {
    uint32_t functions; /* bits; 0: the rule is off */
    int32_t error;
    int32_t after;
    int32_t times;
    int64_t offset_below; /* -1: any; -N: not below N */
    uint64_t hits;
    uint64_t passed;
    int32_t process; /* 0: any */
    int32_t access;  /* of an open: 1 only to write, 2 only to read, 0 any */
    char path[80];
};

struct plan {
    int64_t clock_offset_s;
    uint64_t clock_calls;
    uint64_t calls[16];
    struct rule rules[RULES];
};

static struct plan *plan;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTS_PLAN");
    if (name == NULL)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at != MAP_FAILED)
        plan = at;
}

static int matches(struct rule *rule, int function, const char *path, int fd, int64_t offset, int flags) {
    char own[512];
    if (!(rule->functions & (1u << function)))
        return 0;
    if (rule->process && rule->process != (int32_t)syscall(SYS_getpid))
        return 0;
    if (rule->offset_below >= 0 && (offset < 0 || offset >= rule->offset_below))
        return 0;
    if (rule->offset_below < -1 && offset >= 0 && offset < -rule->offset_below)
        return 0;
    if (rule->access && ((flags & O_ACCMODE) == O_RDONLY) != (rule->access == 2))
        return 0;
    if (!rule->path[0])
        return 1;
    if (path == NULL) {
        char link[40] = "/proc/self/fd/";
        char digits[12];
        int at = 12, rest = fd;
        digits[--at] = 0;
        do {
            digits[--at] = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest > 0);
        strcat(link, digits + at);
        ssize_t length = syscall(SYS_readlink, link, own, sizeof own - 1);
        if (length < 0)
            return 0;
        own[length] = 0;
        path = own;
    }
    return strstr(path, rule->path) != NULL;
}

/* Return -1 if the call may be made, else the error (0: cut it in half). */
static int judge(int function, const char *path, int fd, int64_t offset, int flags) {
    if (plan == NULL)
        return -1;
    __sync_fetch_and_add(&plan->calls[function], 1);
    for (int number = 0; number < RULES; number++) {
        struct rule *rule = &plan->rules[number];
        if (!rule->functions || !matches(rule, function, path, fd, offset, flags))
            continue;
        int64_t before = (int64_t)__sync_fetch_and_add(&rule->passed, 1);
        if (before < rule->after || (rule->times >= 0 && before >= (int64_t)rule->after + rule->times))
            continue;
        __sync_fetch_and_add(&rule->hits, 1);
        return rule->error;
    }
    return -1;
}

#define REAL(name, type)                                                                                     \
    static __typeof__(type) real;                                                                            \
    if (real == NULL)                                                                                        \
        real = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define FAIL_IF(judged)                                                                                      \
    do {                                                                                                     \
        int told = (judged);                                                                                 \
        if (told >= 0) {                                                                                     \
            errno = told ? told : EIO;                                                                       \
            return -1;                                                                                       \
        }                                                                                                    \
    } while (0)

#define HALVE(judged, count)                                                                                 \
    do {                                                                                                     \
        int told = (judged);                                                                                 \
        if (told > 0) {                                                                                      \
            errno = told;                                                                                    \
            return -1;                                                                                       \
        }                                                                                                    \
        if (told == 0 && (count) > 8192)                                                                     \
            (count) = ((count) / 2) & ~(size_t)4095;                                                         \
        else if (told == 0 && (count) > 1)                                                                   \
            (count) /= 2;                                                                                    \
    } while (0)

static int mode_of(int flags, va_list *rest) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(*rest, int) : 0;
}

#define OPENS(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                             \
        REAL(#name, int (*)(const char *, int, ...));                                                        \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        int mode = mode_of(flags, &rest);                                                                    \
        va_end(rest);                                                                                        \
        FAIL_IF(judge(OPEN, path, -1, -1, flags));                                                           \
        return real(path, flags, mode);                                                                      \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                                       \
    int name(int at, const char *path, int flags, ...) {                                                     \
        REAL(#name, int (*)(int, const char *, int, ...));                                                   \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        int mode = mode_of(flags, &rest);                                                                    \
        va_end(rest);                                                                                        \
        FAIL_IF(judge(OPEN, path, -1, -1, flags));                                                           \
        return real(at, path, flags, mode);                                                                  \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int fd, const void *data, size_t count) {
    REAL("write", ssize_t(*)(int, const void *, size_t));
    HALVE(judge(WRITE, NULL, fd, -1, 0), count);
    return real(fd, data, count);
}

#define WRITES_AT(name)                                                                                      \
    ssize_t name(int fd, const void *data, size_t count, off_t offset) {                                     \
        REAL(#name, ssize_t (*)(int, const void *, size_t, off_t));                                          \
        HALVE(judge(WRITE, NULL, fd, offset, 0), count);                                                     \
        return real(fd, data, count, offset);                                                                \
    }
WRITES_AT(pwrite)
WRITES_AT(pwrite64)

/* Of several pieces a cut leaves the first, halved. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL("writev", ssize_t(*)(int, const struct iovec *, int));
    int told = judge(WRITE, NULL, fd, -1, 0);
    if (told > 0) {
        errno = told;
        return -1;
    }
    if (told == 0 && count > 0) {
        struct iovec half = {pieces[0].iov_base, pieces[0].iov_len / 2};
        return real(fd, &half, 1);
    }
    return real(fd, pieces, count);
}

#define WRITES_V_AT(name)                                                                                    \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t offset) {                              \
        REAL(#name, ssize_t (*)(int, const struct iovec *, int, off_t));                                     \
        int told = judge(WRITE, NULL, fd, offset, 0);                                                        \
        if (told > 0) {                                                                                      \
            errno = told;                                                                                    \
            return -1;                                                                                       \
        }                                                                                                    \
        if (told == 0 && count > 0) {                                                                        \
            struct iovec half = {pieces[0].iov_base, pieces[0].iov_len / 2};                                 \
            return real(fd, &half, 1, offset);                                                               \
        }                                                                                                    \
        return real(fd, pieces, count, offset);                                                              \
    }
WRITES_V_AT(pwritev)
WRITES_V_AT(pwritev64)

ssize_t read(int fd, void *into, size_t count) {
    REAL("read", ssize_t(*)(int, void *, size_t));
    HALVE(judge(READ, NULL, fd, -1, 0), count);
    return real(fd, into, count);
}

#define READS_AT(name)                                                                                       \
    ssize_t name(int fd, void *into, size_t count, off_t offset) {                                           \
        REAL(#name, ssize_t (*)(int, void *, size_t, off_t));                                                \
        HALVE(judge(READ, NULL, fd, offset, 0), count);                                                      \
        return real(fd, into, count, offset);                                                                \
    }
READS_AT(pread)
READS_AT(pread64)

#define READS_V_AT(name)                                                                                     \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t offset) {                              \
        REAL(#name, ssize_t (*)(int, const struct iovec *, int, off_t));                                     \
        int told = judge(READ, NULL, fd, offset, 0);                                                         \
        if (told > 0) {                                                                                      \
            errno = told;                                                                                    \
            return -1;                                                                                       \
        }                                                                                                    \
        if (told == 0 && count > 0 && pieces[0].iov_len > 8192) {                                            \
            struct iovec half = {pieces[0].iov_base, (pieces[0].iov_len / 2) & ~(size_t)4095};               \
            return real(fd, &half, 1, offset);                                                               \
        }                                                                                                    \
        return real(fd, pieces, count, offset);                                                              \
    }
READS_V_AT(preadv)
READS_V_AT(preadv64)

#define READS_V_AT_WITH(name)                                                                                \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t offset, int flags) {                   \
        REAL(#name, ssize_t (*)(int, const struct iovec *, int, off_t, int));                                \
        int told = judge(READ, NULL, fd, offset, 0);                                                         \
        if (told > 0) {                                                                                      \
            errno = told;                                                                                    \
            return -1;                                                                                       \
        }                                                                                                    \
        if (told == 0 && count > 0 && pieces[0].iov_len > 8192) {                                            \
            struct iovec half = {pieces[0].iov_base, (pieces[0].iov_len / 2) & ~(size_t)4095};               \
            return real(fd, &half, 1, offset, flags);                                                        \
        }                                                                                                    \
        return real(fd, pieces, count, offset, flags);                                                       \
    }
READS_V_AT_WITH(preadv2) /* what CPython calls for os.preadv */
READS_V_AT_WITH(preadv64v2)

#define SYNCS(name, function)                                                                                \
    int name(int fd) {                                                                                       \
        REAL(#name, int (*)(int));                                                                           \
        FAIL_IF(judge(function, NULL, fd, -1, 0));                                                           \
        return real(fd);                                                                                     \
    }
SYNCS(fsync, SYNC)
SYNCS(fdatasync, SYNC)
SYNCS(syncfs, SYNCFS)
SYNCS(dup, DUP)

/* os.dup() is F_DUPFD_CLOEXEC. */
#define CONTROLS(name)                                                                                       \
    int name(int fd, int command, ...) {                                                                     \
        REAL(#name, int (*)(int, int, ...));                                                                 \
        va_list rest;                                                                                        \
        va_start(rest, command);                                                                             \
        void *argument = va_arg(rest, void *);                                                               \
        va_end(rest);                                                                                        \
        if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)                                                \
            FAIL_IF(judge(DUP, NULL, fd, -1, 0));                                                            \
        return real(fd, command, argument);                                                                  \
    }
CONTROLS(fcntl)
CONTROLS(fcntl64)

int rename(const char *from, const char *to) {
    REAL("rename", int (*)(const char *, const char *));
    FAIL_IF(judge(RENAME, to, -1, -1, 0));
    return real(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    REAL("renameat", int (*)(int, const char *, int, const char *));
    FAIL_IF(judge(RENAME, to, -1, -1, 0));
    return real(from_at, from, to_at, to);
}

int link(const char *from, const char *to) {
    REAL("link", int (*)(const char *, const char *));
    FAIL_IF(judge(LINK, to, -1, -1, 0));
    return real(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL("linkat", int (*)(int, const char *, int, const char *, int));
    FAIL_IF(judge(LINK, to, -1, -1, 0));
    return real(from_at, from, to_at, to, flags);
}

int unlink(const char *path) {
    REAL("unlink", int (*)(const char *));
    FAIL_IF(judge(UNLINK, path, -1, -1, 0));
    return real(path);
}

int unlinkat(int at, const char *path, int flags) {
    REAL("unlinkat", int (*)(int, const char *, int));
    FAIL_IF(judge(UNLINK, path, -1, -1, 0));
    return real(at, path, flags);
}

#define TRUNCATES(name)                                                                                      \
    int name(int fd, off_t length) {                                                                         \
        REAL(#name, int (*)(int, off_t));                                                                    \
        FAIL_IF(judge(TRUNCATE, NULL, fd, -1, 0));                                                           \
        return real(fd, length);                                                                             \
    }
TRUNCATES(ftruncate)
TRUNCATES(ftruncate64)

#define ALLOCATES(name)                                                                                      \
    int name(int fd, off_t offset, off_t length) {                                                           \
        REAL(#name, int (*)(int, off_t, off_t));                                                             \
        int told = judge(ALLOCATE, NULL, fd, -1, 0);                                                         \
        return told < 0 ? real(fd, offset, length) : told ? told : EIO;                                      \
    }
ALLOCATES(posix_fallocate)
ALLOCATES(posix_fallocate64)

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    REAL("accept4", int (*)(int, struct sockaddr *, socklen_t *, int));
    FAIL_IF(judge(ACCEPT, NULL, fd, -1, 0));
    return real(fd, address, length, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL("clock_gettime", int (*)(clockid_t, struct timespec *));
    int told = real(clock, now);
    if (told == 0 && plan != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        __sync_fetch_and_add(&plan->clock_calls, 1);
        now->tv_sec += plan->clock_offset_s;
    }
    return told;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL("gettimeofday", int (*)(struct timeval *, void *));
    int told = real(now, zone);
    if (told == 0 && plan != NULL)
        now->tv_sec += plan->clock_offset_s;
    return told;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into != NULL)
        *into = now.tv_sec;
    return now.tv_sec;
}
