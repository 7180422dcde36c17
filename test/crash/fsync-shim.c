/*
 * Simulates a disk that loses power, for one process: an LD_PRELOAD shim over libc's file calls.
 *
 * kill -9 alone proves nothing about fsync: the kernel's page cache still has what a dead process wrote, and
 * the next process reads it. (Measured: with synchronous=NORMAL, SIGKILL loses no row either.) So this shim
 * keeps a second directory, the shadow, which holds only what was synced of every watched file. To cut the
 * power: SIGKILL the process, replace the data directory with the shadow, start again.
 *
 *   cc -shared -fPIC -O2 -o fsync-shim.so fsync-shim.c
 *   FSYNC_SHIM_WATCH=/inbox/data FSYNC_SHIM_SHADOW=/shadow LD_PRELOAD=./fsync-shim.so hookonce serve /inbox
 *
 *   FSYNC_SHIM_WATCH      the directory whose files are watched (absolute, without symbolic links)
 *   FSYNC_SHIM_SHADOW     the directory for durable data. A file that exists when it is first opened but is
 *                         missing here counts as durable with its current content
 *   FSYNC_SHIM_DELAY_US   how long a sync waits before any of its data is durable. A few hundred µs, as on an
 *                         ordinary SSD, are enough to catch an answer given too early
 *   FSYNC_SHIM_WRITEBACK  the percentage of writes that reach the disk without a sync, in random order, as
 *                         with the kernel's write-back. The default is 0
 *   FSYNC_SHIM_SEED       the seed for choosing these writes
 *   FSYNC_SHIM_FAIL       NAME:N: the Nth sync of the file whose path ends with NAME fails with EIO. As on Linux, what
 *                         it should have made durable counts as clean afterwards: reads find it, later syncs succeed
 *                         without it, and a power cut loses it unless it is written again
 *
 * The model and its limits:
 *   - A file's writes and truncations become durable at an fsync or fdatasync of that file, through any
 *     descriptor. close() makes nothing durable. The real sync is not called, because the simulated disk does
 *     not need it.
 *   - A sync is not atomic: a kill during a sync leaves part of it in the shadow, as a power cut would. Until
 *     the sync has returned, any subset of the writes may be on a disk.
 *   - A created file is durable, including its name, from its first sync (or write-back) on. This is how
 *     ext4, xfs and btrfs behave; POSIX also requires a sync of the directory. Unlinks and renames are
 *     durable from the next sync of any watched file or directory on, because these file systems keep their
 *     metadata in order.
 *   - SQLite's -shm file is shared memory and never durable. It is left out.
 *   - Only the calls that SQLite uses are watched: no dup, no O_SYNC, no msync, no sync_file_range, no openat
 *     relative to a directory descriptor. Plain write() is watched: its file is copied whole at the next
 *     sync.
 *   - Reads go through the descriptor that the caller syncs. The shim must never open a database file itself,
 *     because closing it would drop the POSIX locks that SQLite holds on it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_RANGES 65536 /* with more writes since the last sync, the file is copied whole */
#define SHADOW_UNOPENED (-1)

typedef struct range {
  off_t start;
  off_t end;
} range;

/* A file under the watched directory, by name. It outlives its descriptors, as its unsynced pages do. */
typedef struct file {
  struct file *next;
  char *path;
  int is_directory;
  int is_unlinked; /* has no name: a power cut loses what is written to it */
  int shadow_fd;
  int copy_whole;
  off_t truncated_to; /* smallest size since the last sync, -1 if it never shrank */
  range *ranges;      /* written since the last sync */
  size_t range_count, range_capacity;
} file;

/* An unlink (to == NULL) or a rename that is not durable yet. */
typedef struct name_change {
  struct name_change *next;
  char *from;
  char *to;
} name_change;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_rename)(const char *, const char *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static file *files;
static file *file_of_fd[MAX_FD];
static name_change *name_changes;
static char watch[PATH_MAX], shadow[PATH_MAX];
static size_t watch_length;
static useconds_t sync_delay_us;
static unsigned writeback_percent;
static unsigned random_state = 1;
static char failing[PATH_MAX];
static long syncs_until_failure;
static char copy_buffer[1 << 20];

__attribute__((constructor)) static void start(void) {
  real_open = dlsym(RTLD_NEXT, "open");
  real_openat = dlsym(RTLD_NEXT, "openat");
  real_close = dlsym(RTLD_NEXT, "close");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");

  const char *w = getenv("FSYNC_SHIM_WATCH"), *s = getenv("FSYNC_SHIM_SHADOW");
  if (w == NULL || s == NULL || strlen(w) >= PATH_MAX || strlen(s) >= PATH_MAX) return;
  strcpy(watch, w);
  strcpy(shadow, s);
  const char *delay = getenv("FSYNC_SHIM_DELAY_US"), *percent = getenv("FSYNC_SHIM_WRITEBACK");
  const char *seed = getenv("FSYNC_SHIM_SEED"), *failure = getenv("FSYNC_SHIM_FAIL");
  if (delay != NULL) sync_delay_us = (useconds_t)atoi(delay);
  if (percent != NULL) writeback_percent = (unsigned)atoi(percent);
  if (seed != NULL) random_state = (unsigned)atoi(seed) | 1u;
  if (failure != NULL && strrchr(failure, ':') != NULL && strlen(failure) < PATH_MAX) {
    strcpy(failing, failure);
    syncs_until_failure = atol(strrchr(failing, ':') + 1);
    *strrchr(failing, ':') = 0;
  }
  watch_length = strlen(watch); /* must come last: this turns the shim on */
}

static void fail(const char *what, const char *path) {
  fprintf(stderr, "fsync-shim: %s %s: %s\n", what, path, strerror(errno));
  abort(); /* a test must not pass with a wrong shadow */
}

/* ---- names ---- */

/* Writes the absolute name of `path` to `out`, with its directory resolved. False if it is not watched. */
static int watched_path(const char *path, char out[PATH_MAX]) {
  if (watch_length == 0 || path == NULL) return 0;
  char copy[PATH_MAX], directory[PATH_MAX];
  if (strlen(path) >= PATH_MAX) return 0;
  strcpy(copy, path);
  char *slash = strrchr(copy, '/');
  const char *base = slash == NULL ? copy : slash + 1;
  if (slash == copy) {
    strcpy(directory, "/");
  } else {
    if (slash != NULL) *slash = 0;
    if (realpath(slash == NULL ? "." : copy, directory) == NULL) return 0;
  }
  int length = snprintf(out, PATH_MAX, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, base);
  if (length >= PATH_MAX || strncmp(out, watch, watch_length) != 0) return 0;
  if (out[watch_length] != 0 && out[watch_length] != '/') return 0;
  return length < 4 || strcmp(out + length - 4, "-shm") != 0;
}

static void shadow_path(const char *path, char out[PATH_MAX]) {
  if (snprintf(out, PATH_MAX, "%s%s", shadow, path + watch_length) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    fail("name", path);
  }
}

static int open_shadow(const char *path) {
  char name[PATH_MAX];
  shadow_path(path, name);
  for (char *p = name + strlen(shadow) + 1; (p = strchr(p, '/')) != NULL; p++) {
    *p = 0;
    if (mkdir(name, 0755) != 0 && errno != EEXIST) fail("mkdir", name);
    *p = '/';
  }
  int fd = real_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) fail("open", name);
  return fd;
}

static file *find_file(const char *path) {
  for (file *f = files; f != NULL; f = f->next)
    if (!f->is_unlinked && strcmp(f->path, path) == 0) return f;
  return NULL;
}

static void forget_name(const char *path) {
  file *f = find_file(path);
  if (f != NULL) f->is_unlinked = 1;
}

static void add_name_change(const char *from, const char *to) {
  name_change *change = calloc(1, sizeof *change), **end = &name_changes;
  change->from = strdup(from);
  change->to = to == NULL ? NULL : strdup(to);
  while (*end != NULL) end = &(*end)->next;
  *end = change;
}

static void make_names_durable(void) {
  while (name_changes != NULL) {
    name_change *change = name_changes;
    char from[PATH_MAX], to[PATH_MAX];
    shadow_path(change->from, from);
    if (change->to == NULL) {
      if (real_unlink(from) != 0 && errno != ENOENT) fail("unlink", from);
    } else {
      /* A file that was renamed but never synced is empty after a power cut. */
      shadow_path(change->to, to);
      if (real_rename(from, to) != 0) {
        if (errno != ENOENT) fail("rename", from);
        int fd = open_shadow(change->to);
        real_ftruncate(fd, 0);
        real_close(fd);
      }
    }
    name_changes = change->next;
    free(change->from);
    free(change->to);
    free(change);
  }
}

/* ---- content ---- */

static void copy_range(int from, file *f, off_t start, off_t end) {
  while (start < end) {
    size_t want = end - start > (off_t)sizeof copy_buffer ? sizeof copy_buffer : (size_t)(end - start);
    ssize_t got = pread(from, copy_buffer, want, start);
    if (got < 0) fail("read", f->path);
    if (got == 0) return;
    for (ssize_t done = 0; done < got;) {
      ssize_t put = real_pwrite(f->shadow_fd, copy_buffer + done, (size_t)(got - done), start + done);
      if (put <= 0) fail("write shadow of", f->path);
      done += put;
    }
    start += got;
  }
}

static void make_content_durable(int fd, file *f) {
  struct stat st;
  if (fstat(fd, &st) != 0) fail("stat", f->path);
  if (f->shadow_fd == SHADOW_UNOPENED) f->shadow_fd = open_shadow(f->path);
  if (f->copy_whole) {
    copy_range(fd, f, 0, st.st_size);
  } else {
    /* A range that grew again after a truncation reads as zeros, not as the old content. */
    if (f->truncated_to >= 0 && real_ftruncate(f->shadow_fd, f->truncated_to) != 0) fail("truncate shadow of", f->path);
    for (size_t i = 0; i < f->range_count; i++) copy_range(fd, f, f->ranges[i].start, f->ranges[i].end);
  }
  if (real_ftruncate(f->shadow_fd, st.st_size) != 0) fail("truncate shadow of", f->path);
  f->copy_whole = 0;
  f->truncated_to = -1;
  f->range_count = 0;
}

static int written_back(void) {
  if (writeback_percent == 0) return 0;
  random_state = random_state * 1103515245u + 12345u;
  return (random_state >> 16) % 100 < writeback_percent;
}

static void note_write(int fd, file *f, off_t start, off_t end) {
  if (f->is_unlinked) return;
  if (written_back()) {
    make_names_durable();
    if (f->shadow_fd == SHADOW_UNOPENED) f->shadow_fd = open_shadow(f->path);
    copy_range(fd, f, start, end);
  }
  if (f->copy_whole) return;
  if (f->range_count > 0 && f->ranges[f->range_count - 1].end == start) {
    f->ranges[f->range_count - 1].end = end;
    return;
  }
  if (f->range_count == MAX_RANGES) {
    f->copy_whole = 1;
    return;
  }
  if (f->range_count == f->range_capacity) {
    f->range_capacity = f->range_capacity == 0 ? 256 : f->range_capacity * 2;
    f->ranges = realloc(f->ranges, f->range_capacity * sizeof *f->ranges);
    if (f->ranges == NULL) fail("memory for", f->path);
  }
  f->ranges[f->range_count++] = (range){start, end};
}

static void note_truncation(file *f, off_t size) {
  if (f->truncated_to < 0 || size < f->truncated_to) f->truncated_to = size;
}

/* ---- descriptors ---- */

static file *file_behind(int fd) { return fd >= 0 && fd < MAX_FD ? file_of_fd[fd] : NULL; }

static void note_open(int fd, const char *path, int flags, int existed) {
  if (fd >= MAX_FD) return;
  file *f = find_file(path);
  if (f == NULL) {
    struct stat st;
    f = calloc(1, sizeof *f);
    f->path = strdup(path);
    f->shadow_fd = SHADOW_UNOPENED;
    f->truncated_to = -1;
    f->is_directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    f->next = files;
    files = f;
    if (!f->is_directory) {
      char name[PATH_MAX];
      shadow_path(path, name);
      if (!existed) {
        f->copy_whole = 1;
      } else if (access(name, F_OK) == 0) {
        f->shadow_fd = open_shadow(path);
      } else if ((flags & O_ACCMODE) != O_WRONLY) {
        f->copy_whole = 1;
        make_content_durable(fd, f);
      }
    }
  }
  if (flags & O_TRUNC) note_truncation(f, 0);
  file_of_fd[fd] = f;
}

static int open_and_follow(int directory, const char *path, int flags, mode_t mode) {
  char name[PATH_MAX];
  int is_watched = (directory == AT_FDCWD || path[0] == '/') && watched_path(path, name);
  if (!is_watched) return real_openat(directory, path, flags, mode);
  pthread_mutex_lock(&lock);
  int existed = access(name, F_OK) == 0;
  int fd = real_openat(directory, path, flags, mode);
  int error = errno;
  if (fd >= 0) note_open(fd, name, flags, existed);
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

static mode_t mode_argument(int flags, va_list arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN_CALL(name)                                                    \
  int name(const char *path, int flags, ...) {                             \
    va_list arguments;                                                     \
    va_start(arguments, flags);                                            \
    mode_t mode = mode_argument(flags, arguments);                         \
    va_end(arguments);                                                     \
    return open_and_follow(AT_FDCWD, path, flags, mode);                   \
  }
#define OPENAT_CALL(name)                                                  \
  int name(int directory, const char *path, int flags, ...) {              \
    va_list arguments;                                                     \
    va_start(arguments, flags);                                            \
    mode_t mode = mode_argument(flags, arguments);                         \
    va_end(arguments);                                                     \
    return open_and_follow(directory, path, flags, mode);                  \
  }
OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)

int close(int fd) {
  if (file_behind(fd) != NULL) {
    pthread_mutex_lock(&lock);
    file_of_fd[fd] = NULL;
    pthread_mutex_unlock(&lock);
  }
  return real_close(fd);
}

/* ---- the calls that change a file ---- */

static ssize_t write_and_note(int fd, const void *bytes, size_t count, off_t offset) {
  file *f = file_behind(fd);
  if (f == NULL) return real_pwrite(fd, bytes, count, offset);
  pthread_mutex_lock(&lock);
  ssize_t written = real_pwrite(fd, bytes, count, offset);
  int error = errno;
  if (written > 0) note_write(fd, f, offset, offset + written);
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return write_and_note(fd, bytes, count, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return write_and_note(fd, bytes, count, offset); }

ssize_t write(int fd, const void *bytes, size_t count) {
  file *f = file_behind(fd);
  if (f != NULL) f->copy_whole = 1;
  return real_write(fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  file *f = file_behind(fd);
  if (f != NULL) f->copy_whole = 1;
  return real_writev(fd, parts, count);
}

static int truncate_and_note(int fd, off_t size) {
  file *f = file_behind(fd);
  if (f == NULL) return real_ftruncate(fd, size);
  pthread_mutex_lock(&lock);
  int result = real_ftruncate(fd, size);
  int error = errno;
  if (result == 0) {
    note_truncation(f, size);
    if (!f->is_unlinked && f->shadow_fd != SHADOW_UNOPENED && written_back()) real_ftruncate(f->shadow_fd, size);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate(int fd, off_t size) { return truncate_and_note(fd, size); }
int ftruncate64(int fd, off_t size) { return truncate_and_note(fd, size); }

int unlink(const char *path) {
  char name[PATH_MAX];
  if (!watched_path(path, name)) return real_unlink(path);
  pthread_mutex_lock(&lock);
  int result = real_unlink(path);
  int error = errno;
  if (result == 0) {
    forget_name(name);
    add_name_change(name, NULL);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int unlinkat(int directory, const char *path, int flags) {
  if (flags == 0 && (directory == AT_FDCWD || path[0] == '/')) return unlink(path);
  return real_unlinkat(directory, path, flags);
}

int rename(const char *from, const char *to) {
  char old_name[PATH_MAX], new_name[PATH_MAX];
  if (!watched_path(from, old_name) || !watched_path(to, new_name)) return real_rename(from, to);
  pthread_mutex_lock(&lock);
  int result = real_rename(from, to);
  int error = errno;
  if (result == 0) {
    forget_name(new_name);
    file *f = find_file(old_name);
    if (f != NULL) {
      free(f->path);
      f->path = strdup(new_name);
    }
    add_name_change(old_name, new_name);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

/* ---- the sync ---- */

static int fails_now(const file *f) {
  size_t length = strlen(f->path), suffix = strlen(failing);
  if (syncs_until_failure == 0 || length < suffix || strcmp(f->path + length - suffix, failing) != 0) return 0;
  return --syncs_until_failure == 0;
}

static int sync_to_shadow(int fd, int (*real_sync)(int)) {
  file *f = file_behind(fd);
  if (f == NULL) return real_sync(fd);
  if (sync_delay_us > 0) usleep(sync_delay_us);
  pthread_mutex_lock(&lock);
  int fails = fails_now(f);
  make_names_durable();
  if (fails) {
    f->copy_whole = 0;
    f->truncated_to = -1;
    f->range_count = 0;
  } else if (!f->is_directory && !f->is_unlinked) {
    make_content_durable(fd, f);
  }
  pthread_mutex_unlock(&lock);
  if (!fails) return 0;
  errno = EIO;
  return -1;
}
int fsync(int fd) { return sync_to_shadow(fd, real_fsync); }
int fdatasync(int fd) { return sync_to_shadow(fd, real_fdatasync); }
