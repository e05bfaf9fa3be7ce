/* Stands between a process and the files below $FAULTY_DISK: while $FAULTY_DISK.fault says `full`, `read-only`,
 * `unsynced` or `directories` (which cannot be synced there), the calls that the kernel would fail then fail with what it would say. Preloaded (LD_PRELOAD), so it needs no
 * rights, no mount and no change of what is tested; every byte still goes through the real file system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The first letter of what is wrong with the disk; 0 for nothing. */
static char fault(void) {
  char path[4096], word = 0;
  const char *disk = getenv("FAULTY_DISK");
  if (!disk) return 0;
  snprintf(path, sizeof path, "%s.fault", disk);
  int (*really)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  int saved = errno, file = really(path, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, &word, 1) != 1) word = 0;
    close(file);
  }
  errno = saved;
  return word;
}

static int below(const char *path) {
  const char *disk = getenv("FAULTY_DISK");
  return disk && !strncmp(path, disk, strlen(disk)) && path[strlen(disk)] == '/';
}

static int is_on_disk(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

/* What a write up to this offset fails with. A full disk still takes what lies within a file. */
static int refusal(int file, off_t end) {
  struct stat found;
  char word = fault();
  if (!word || !is_on_disk(file)) return 0;
  if (word == 'r') return EROFS;
  if (word == 'f' && !fstat(file, &found) && end > found.st_size) return ENOSPC;
  return 0;
}

#define REFUSE(error) do { int why = (error); if (why) { errno = why; return -1; } } while (0)
#define REAL(name, ...) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)

ssize_t write(int file, const void *bytes, size_t count) {
  off_t at = lseek(file, 0, SEEK_CUR);
  if (at >= 0) REFUSE(refusal(file, at + (off_t)count));
  return REAL(write, file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  REFUSE(refusal(file, at + (off_t)count));
  return REAL(pwrite, file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  REFUSE(refusal(file, at + (off_t)count));
  return REAL(pwrite64, file, bytes, count, at);
}

int ftruncate(int file, off_t length) {
  REFUSE(refusal(file, length));
  return REAL(ftruncate, file, length);
}

int ftruncate64(int file, off64_t length) {
  REFUSE(refusal(file, length));
  return REAL(ftruncate64, file, length);
}

int fsync(int file) {
  struct stat found;
  char word = fault();
  REFUSE(word == 'u' && is_on_disk(file) ? EIO : 0);
  REFUSE(word == 'd' && !fstat(file, &found) && S_ISDIR(found.st_mode) && is_on_disk(file) ? EINVAL : 0);
  return REAL(fsync, file);
}

int fdatasync(int file) {
  REFUSE(fault() == 'u' && is_on_disk(file) ? EIO : 0);
  return REAL(fdatasync, file);
}

/* A file of a read-only disk is not opened to be written, and none is made; none is made on a full one. */
static int refusal_to_open(const char *path, int flags) {
  char word = below(path) ? fault() : 0;
  if (word == 'r' && (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))) return EROFS;
  if (word == 'f' && (flags & O_CREAT) && access(path, F_OK)) return ENOSPC;
  return 0;
}

#define OPEN(name)                                                   \
  int name(const char *path, int flags, ...) {                       \
    va_list rest;                                                    \
    va_start(rest, flags);                                           \
    mode_t mode = va_arg(rest, mode_t);                              \
    va_end(rest);                                                    \
    REFUSE(refusal_to_open(path, flags));                            \
    return REAL(name, path, flags, mode);                            \
  }
OPEN(open)
OPEN(open64)
