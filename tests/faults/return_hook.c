/*
 * Counts how often some Python functions return, and crashes where one of them does.
 *
 * A profiler's hook in Python makes the imports and the tracing of TensorFlow five times
 * slower; this one is not felt. It is called through ctypes and needs no headers of
 * Python: of the interpreter it uses four functions, which every version has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

extern void *PyFrame_GetCode(void *frame);
extern void PyEval_SetProfile(int (*hook)(void *, void *, int, void *), void *object);
extern void PyErr_SetString(void *type, const char *text);
extern void Py_DecRef(void *object);

#define RETURN 3 /* PyTrace_RETURN */
#define SLOTS 16384

static void *codes[SLOTS];
static long counts[SLOTS];
static void *wanted, *exception;
static long left;
static int status;

static int slot_of(void *code) {
  uintptr_t slot = ((uintptr_t)code >> 4) * 2654435761u % SLOTS;
  while (codes[slot] && codes[slot] != code) slot = (slot + 1) % SLOTS;
  return (int)slot;
}

static int hook(void *object, void *frame, int event, void *value) {
  (void)object;
  if (event != RETURN || !value) return 0; /* no value: left by an exception */
  void *code = PyFrame_GetCode(frame);
  Py_DecRef(code);
  int slot = slot_of(code);
  if (codes[slot]) counts[slot]++;
  if (code != wanted || --left) return 0;
  if (!exception) _exit(status);
  PyErr_SetString(exception, "injected where a function returns");
  return -1;
}

/* Count the returns of a function, by the address of its code. */
void returns_of(void *code) { codes[slot_of(code)] = code; }

long returns_counted(void *code) { return counts[slot_of(code)]; }

/* At the n-th return of a function raise the exception, or exit where there is none. */
void crash_at_return(void *code, long number, void *type, int exit_status) {
  wanted = code;
  left = number;
  exception = type;
  status = exit_status;
}

/* Begin in the thread that calls. */
void watch_returns(void) { PyEval_SetProfile(hook, NULL); }
