/* A stand-in for libcudart, for the runner that loads it with ctypes: GPU memory is host memory, all is done at once. */
#include <stdlib.h>
#include <string.h>

static int live = 0;

static int make(void **out, size_t size) {
    const char *limit = getenv("FAKE_CUDART_ALLOCATIONS");
    if (limit && live >= atoi(limit)) return 2;
    *out = calloc(size ? size : 1, 1);
    live++;
    return *out ? 0 : 2;
}
static int drop(void *pointer) { free(pointer); live--; return 0; }

const char *cudaGetErrorName(int error) { return error == 2 ? "cudaErrorMemoryAllocation" : "cudaErrorUnknown"; }
int cudaMalloc(void **out, size_t size) { return make(out, size); }
int cudaFree(void *pointer) { return drop(pointer); }
int cudaHostAlloc(void **out, size_t size, unsigned flags) { (void)flags; return make(out, size); }
int cudaFreeHost(void *pointer) { return drop(pointer); }
int cudaStreamCreateWithFlags(void **out, unsigned flags) { (void)flags; return make(out, 1); }
int cudaStreamDestroy(void *pointer) { return drop(pointer); }
int cudaStreamSynchronize(void *stream) { (void)stream; return 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t count, int kind, void *stream) {
    (void)kind; (void)stream;
    memcpy(to, from, count);
    return 0;
}
