/*
 * Storage that fails on purpose, for the tests in this folder.
 *
 * Preloaded into a process (LD_PRELOAD), it stands between that process and libc where
 * files are opened, read, written, renamed and removed. It counts the calls on files
 * below one folder, and at a chosen call it fails, is slow, does half of the work, or
 * kills the process. A wrapper in Python would miss what TensorFlow, HDF5 and Arrow
 * write by themselves.
 *
 * Nothing happens until the process calls faults_arm. A plan is made of lines
 *
 *     OPERATION FIRST COUNT ACTION PATTERN
 *
 * where OPERATION is a name of `names` below, FIRST the number of the first call that
 * is met, COUNT how many calls are met from there on, ACTION one of EIO, ENOSPC, EPERM,
 * EROFS, short, slow, late (the work is done and then an error is told, as a network
 * share does on a lost answer), before and after (SIGKILL before or after the work),
 * and PATTERN a part of the path, or * for all. Calls are counted by operation and
 * pattern. `change` stands for every operation that changes what is on the disk.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, READ, CREATE, WRITE, RENAME, REMOVE, FOLDER, SYNC, LIST, CHANGE, NAMES };
static const char *names[NAMES] = {"open",   "read", "create", "write", "rename",
                                   "remove", "mkdir", "sync",  "list",  "change"};

enum { FAIL, SHORT, SLOW, LATE, BEFORE, AFTER };

struct rule {
  int operation, action, error;
  long first, count, seen;
  char pattern[256];
};

#define RULES 16
#define FILES 4096
static struct rule rules[RULES];
static int rule_count;
static char prefix[PATH_MAX];
static volatile int armed;
static long counts[NAMES];
static long met;
/* The path of each file that is open below the prefix; written once an open. */
static char *paths[FILES];

#define REAL(result, name, ...)                                \
  static result (*real)(__VA_ARGS__);                          \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

/* Fill in the absolute path of a name below a folder; 0 where it is not ours. */
static int place(int folder, const char *name, char *full) {
  if (!armed || !name) return 0;
  if (name[0] == '/') {
    snprintf(full, PATH_MAX, "%s", name);
  } else {
    char base[PATH_MAX] = "";
    if (folder == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return 0;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return 0;
      base[length] = 0;
    }
    if (snprintf(full, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
  }
  return !strncmp(full, prefix, strlen(prefix));
}

/* Return the action of the rule that a call meets, or -1. */
static int meet(int operation, const char *path, int *error) {
  int changes = operation != OPEN && operation != READ && operation != LIST;
  int action = -1;
  __atomic_add_fetch(&counts[operation], 1, __ATOMIC_RELAXED);
  if (changes) __atomic_add_fetch(&counts[CHANGE], 1, __ATOMIC_RELAXED);
  for (int i = 0; i < rule_count; i++) {
    struct rule *rule = &rules[i];
    if (rule->operation != operation && !(rule->operation == CHANGE && changes))
      continue;
    if (strcmp(rule->pattern, "*") && !strstr(path, rule->pattern)) continue;
    long number = __atomic_add_fetch(&rule->seen, 1, __ATOMIC_RELAXED);
    if (number < rule->first || number >= rule->first + rule->count) continue;
    action = rule->action;
    *error = rule->error;
    __atomic_add_fetch(&met, 1, __ATOMIC_RELAXED);
    if (action == BEFORE) kill(getpid(), SIGKILL);
    if (action == SLOW) usleep(100000);
  }
  return action;
}

#define FAILED(value)   \
  do {                  \
    errno = error;      \
    return value;       \
  } while (0)

/* After the work: die, or tell of an error that did not happen. */
#define DONE(result, value)                        \
  do {                                             \
    if (action == AFTER) kill(getpid(), SIGKILL);  \
    if (action == LATE) FAILED(value);             \
    return result;                                 \
  } while (0)

static void keep(int file, const char *path) {
  if (file < 0 || file >= FILES) return;
  char *old = __atomic_exchange_n(&paths[file], path ? strdup(path) : NULL,
                                  __ATOMIC_ACQ_REL);
  free(old);
}

static const char *kept(int file) {
  return armed && file >= 0 && file < FILES ? paths[file] : NULL;
}

static int open_any(int folder, const char *name, int flags, mode_t mode) {
  REAL(int, "openat64", int, const char *, int, mode_t);
  char full[PATH_MAX];
  int error = 0, action = -1;
  int ours = place(folder, name, full) && !(flags & O_DIRECTORY);
  int writes = (flags & O_ACCMODE) != O_RDONLY;
  if (ours) action = meet(writes ? CREATE : OPEN, full, &error);
  if (action == FAIL) FAILED(-1);
  int file = real(folder, name, flags, mode);
  if (file >= 0) keep(file, ours ? full : NULL);
  if (action == LATE) action = -1;
  DONE(file, -1);
}

#define MODE(mode)                     \
  mode_t mode = 0;                     \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list rest;                      \
    va_start(rest, flags);             \
    mode = va_arg(rest, mode_t);       \
    va_end(rest);                      \
  }

int open(const char *name, int flags, ...) {
  MODE(mode);
  return open_any(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
  MODE(mode);
  return open_any(AT_FDCWD, name, flags, mode);
}
int openat(int folder, const char *name, int flags, ...) {
  MODE(mode);
  return open_any(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
  MODE(mode);
  return open_any(folder, name, flags, mode);
}
int creat(const char *name, mode_t mode) {
  return open_any(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int file) {
  REAL(int, "close", int);
  if (kept(file)) keep(file, NULL);
  return real(file);
}

static FILE *open_stream(const char *name, const char *mode) {
  REAL(FILE *, "fopen64", const char *, const char *);
  char full[PATH_MAX];
  int error = 0, action = -1, ours = place(AT_FDCWD, name, full);
  int writes = strpbrk(mode, "wa+") != NULL;
  if (ours) action = meet(writes ? CREATE : OPEN, full, &error);
  if (action == FAIL) FAILED(NULL);
  FILE *stream = real(name, mode);
  if (stream) keep(fileno(stream), ours ? full : NULL);
  if (action == LATE) action = -1;
  DONE(stream, NULL);
}
FILE *fopen(const char *name, const char *mode) { return open_stream(name, mode); }
FILE *fopen64(const char *name, const char *mode) { return open_stream(name, mode); }

int fclose(FILE *stream) {
  REAL(int, "fclose", FILE *);
  int file = fileno(stream);
  if (kept(file)) keep(file, NULL);
  return real(stream);
}

size_t fwrite(const void *data, size_t size, size_t number, FILE *stream) {
  REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
  int error = 0, action = -1;
  const char *path = kept(fileno(stream));
  if (path) action = meet(WRITE, path, &error);
  if (action == FAIL) FAILED(0);
  size_t done = real(data, size, number, stream);
  DONE(done, 0);
}

/* What reads and writes have in common; SHORT does half of the work, as libc may. */
#define TRANSFER(operation, file, length, call)                   \
  int error = 0, action = -1;                                     \
  const char *path = kept(file);                                  \
  if (path) action = meet(operation, path, &error);               \
  if (action == FAIL) FAILED(-1);                                 \
  if (action == SHORT && length > 1) length = (length + 1) / 2;   \
  ssize_t done = call;                                            \
  DONE(done, -1)

ssize_t read(int file, void *data, size_t length) {
  REAL(ssize_t, "read", int, void *, size_t);
  TRANSFER(READ, file, length, real(file, data, length));
}
ssize_t pread(int file, void *data, size_t length, off_t at) {
  REAL(ssize_t, "pread64", int, void *, size_t, off_t);
  TRANSFER(READ, file, length, real(file, data, length, at));
}
ssize_t pread64(int file, void *data, size_t length, off64_t at) {
  REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
  TRANSFER(READ, file, length, real(file, data, length, at));
}
ssize_t write(int file, const void *data, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  TRANSFER(WRITE, file, length, real(file, data, length));
}
ssize_t pwrite(int file, const void *data, size_t length, off_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
  TRANSFER(WRITE, file, length, real(file, data, length, at));
}
ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  TRANSFER(WRITE, file, length, real(file, data, length, at));
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  TRANSFER(WRITE, file, count, real(file, parts, count));
}

/* What takes one path, or two of which the last one is judged. */
#define CHANGE_OF(operation, folder, name, call)                 \
  char full[PATH_MAX];                                           \
  int error = 0, action = -1;                                    \
  if (place(folder, name, full)) action = meet(operation, full, &error); \
  if (action == FAIL) FAILED(-1);                                \
  int done = call;                                               \
  DONE(done, -1)

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  CHANGE_OF(RENAME, AT_FDCWD, to, real(from, to));
}
int renameat(int a, const char *from, int b, const char *to) {
  REAL(int, "renameat", int, const char *, int, const char *);
  CHANGE_OF(RENAME, b, to, real(a, from, b, to));
}
int unlink(const char *name) {
  REAL(int, "unlink", const char *);
  CHANGE_OF(REMOVE, AT_FDCWD, name, real(name));
}
int unlinkat(int folder, const char *name, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  CHANGE_OF(REMOVE, folder, name, real(folder, name, flags));
}
int rmdir(const char *name) {
  REAL(int, "rmdir", const char *);
  CHANGE_OF(REMOVE, AT_FDCWD, name, real(name));
}
int mkdir(const char *name, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  CHANGE_OF(FOLDER, AT_FDCWD, name, real(name, mode));
}
int fsync(int file) {
  REAL(int, "fsync", int);
  TRANSFER(SYNC, file, error, real(file));
}
DIR *opendir(const char *name) {
  REAL(DIR *, "opendir", const char *);
  char full[PATH_MAX];
  int error = 0, action = -1;
  if (place(AT_FDCWD, name, full)) action = meet(LIST, full, &error);
  if (action == FAIL) FAILED(NULL);
  return real(name);
}

/* Begin: what is below the folder is counted, and fails as the plan says. */
int faults_arm(const char *folder, const char *plan) {
  snprintf(prefix, sizeof prefix, "%s", folder);
  memset(counts, 0, sizeof counts);
  rule_count = 0;
  met = 0;
  while (plan && *plan && rule_count < RULES) {
    struct rule *rule = &rules[rule_count];
    char operation[16], action[16];
    memset(rule, 0, sizeof *rule);
    if (sscanf(plan, "%15s %ld %ld %15s %255s", operation, &rule->first, &rule->count,
               action, rule->pattern) != 5)
      return -1;
    rule->operation = -1;
    for (int i = 0; i < NAMES; i++)
      if (!strcmp(names[i], operation)) rule->operation = i;
    static const struct {
      const char *name;
      int action, error;
    } actions[] = {{"EIO", FAIL, EIO},     {"ENOSPC", FAIL, ENOSPC},
                   {"EPERM", FAIL, EPERM}, {"EROFS", FAIL, EROFS},
                   {"short", SHORT, 0},    {"slow", SLOW, 0},
                   {"late", LATE, EIO},    {"before", BEFORE, 0},
                   {"after", AFTER, 0}};
    rule->action = -1;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
      if (!strcmp(actions[i].name, action)) {
        rule->action = actions[i].action;
        rule->error = actions[i].error;
      }
    if (rule->operation < 0 || rule->action < 0) return -1;
    rule_count++;
    plan = strchr(plan, '\n');
    if (plan) plan++;
  }
  armed = 1;
  return 0;
}

void faults_disarm(void) { armed = 0; }

/* Return how many calls of an operation there were; those that met a rule for "met". */
long faults_count(const char *operation) {
  for (int i = 0; i < NAMES; i++)
    if (!strcmp(names[i], operation)) return counts[i];
  return met;
}
