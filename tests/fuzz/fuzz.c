/* Python in a libFuzzer process: what LLVM calls, and the helper of target.pyx. */
#include <Python.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

PyMODINIT_FUNC PyInit__book(void);
PyMODINIT_FUNC PyInit__message(void);
PyMODINIT_FUNC PyInit_target(void);
int fuzz_one(const uint8_t *data, size_t size);
void fuzz_end(void);

/* Python never frees what it keeps for good. A deep quarantine costs more than all the rest. */
const char *__asan_default_options(void) {
    return "detect_leaks=0:quarantine_size_mb=8:malloc_context_size=6";
}

const char *__ubsan_default_options(void) { return "print_stacktrace=1"; }

static void give_up(const char *what) {
    if (PyErr_Occurred()) PyErr_Print();
    fprintf(stderr, "==== %s\n", what);
    abort();
}

/* The core and the target are linked into this program, so that both are instrumented; the core
 * still has to be found as a part of its package, whichever copy of that is installed. */
static const char FIND_BUILTIN[] =
    "import sys\n"
    "from importlib.machinery import BuiltinImporter\n"
    "from importlib.util import spec_from_loader\n"
    "class Finder:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name in ('coincall_fast._book', 'coincall_fast._message'):\n"
    "            return spec_from_loader(name, BuiltinImporter)\n"
    "sys.meta_path.insert(0, Finder())\n";

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    PyImport_AppendInittab("coincall_fast._book", PyInit__book);
    PyImport_AppendInittab("coincall_fast._message", PyInit__message);
    PyImport_AppendInittab("target", PyInit_target);
    Py_InitializeEx(0);
    if (PyRun_SimpleString(FIND_BUILTIN) || !PyImport_ImportModule("target"))
        give_up("cannot import the core (is PYTHONPATH as ./run sets it?)");
    atexit(fuzz_end);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (fuzz_one(data, size) < 0) give_up("FINDING: an error that nothing may raise");
    return 0;
}

size_t heap_bytes(void) { return __sanitizer_get_current_allocated_bytes(); }

void fence(uint8_t *buffer, size_t room, size_t n) {
    static struct { uint8_t *buffer; size_t n; } known[4];
    size_t i = 0;
    while (known[i].buffer && known[i].buffer != buffer) i++;
    if (!known[i].buffer) {
        known[i].buffer = buffer;
        known[i].n = room;
    }
    ASAN_UNPOISON_MEMORY_REGION(buffer, n);
    if (n < known[i].n) ASAN_POISON_MEMORY_REGION(buffer + n, known[i].n - n);
    known[i].n = n;
}
