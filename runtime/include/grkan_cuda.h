/* grkan_cuda.h: memory, streams and graphs of a CUDA device, real or virtual, for a program that
 * has no cuda.h. It opens the driver at run time and takes a few functions from it. A program that
 * has CUDA needs none of this; one without a GPU tries a CUDA plan on "virtual:h200" with it:
 *
 *     grkan_cuda gpu;
 *     void *x, *y;
 *     if (grkan_cuda_open(&gpu, "virtual:h200") != 0) puts(gpu.error);
 *     gpu.allocate(&x, bytes);
 *     gpu.allocate(&y, bytes);
 *     gpu.copy_in(x, from, bytes);
 *     grkan_forward(plan, ...);      with x, y, a, b and workspace of the device
 *     gpu.copy_out(to, y, bytes);
 *     puts(gpu.report());            what was executed, with counts and findings
 *
 * examples/cuda_layer.c is a whole program, with a stream and a graph. Functions return CUresult, 0
 * for success; CUDA's documentation of the driver API tells what each does.
 *
 * The driver: for "cuda:N" what GRKAN_CUDA_DRIVER names, else libcuda.so.1; for "virtual:MODEL"
 * libgrkan_virtual_cuda.so, which is open once a plan on such a device was made, and is otherwise
 * looked for where the loader looks. */
#ifndef GRKAN_CUDA_H_
#define GRKAN_CUDA_H_

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NOLINTBEGIN: C, whatever it is included in */
typedef struct grkan_cuda {
  /* cuMemAlloc, cuMemFree, cuMemcpyHtoD, cuMemcpyDtoH */
  int (*allocate)(void** memory, size_t bytes);
  int (*free)(void* memory);
  int (*copy_in)(void* memory, const void* from, size_t bytes);
  int (*copy_out)(void* to, const void* memory, size_t bytes);

  /* cuStreamCreate (flags 1: apart from stream NULL), cuStreamSynchronize, cuStreamDestroy */
  int (*stream_create)(void** stream, unsigned flags);
  int (*stream_synchronize)(void* stream);
  int (*stream_destroy)(void* stream);

  /* cuStreamBeginCapture (mode 1: of this thread's calls), cuStreamEndCapture,
   * cuGraphInstantiateWithFlags, cuGraphLaunch, cuGraphExecDestroy, cuGraphDestroy */
  int (*capture_begin)(void* stream, int mode);
  int (*capture_end)(void* stream, void** graph);
  int (*graph_instantiate)(void** executable, void* graph, unsigned long long flags);
  int (*graph_launch)(void* executable, void* stream);
  int (*executable_destroy)(void* executable);
  int (*graph_destroy)(void* graph);

  /* cuGetErrorString */
  int (*error_text)(int result, const char** text);

  /* Of a virtual GPU, else NULL: JSON of what was launched since the last reset
   * (docs/virtual-gpu.md). */
  const char* (*report)(void);
  void (*reset)(void);

  /* cuCtxSetCurrent: other threads than the one that opened the device begin with it. */
  int (*set_current)(void* context);
  void* context; /* the device's primary one */

  int device;                 /* CUdevice */
  int (*release)(int device); /* cuDevicePrimaryCtxRelease, for grkan_cuda_close */
  char error[256];            /* why grkan_cuda_open failed */
} grkan_cuda;

/* Sets a function pointer; where the library lacks the function, says so. */
static inline void grkan_cuda_find(grkan_cuda* cuda, void* library, const char* name,
                                   void* function) {
  void* symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  if (symbol == NULL) snprintf(cuda->error, sizeof cuda->error, "the driver has no %s", name);
}

/* Opens the driver of `device` ("cuda:0", "virtual:h200") and makes its primary context current in
 * this thread. 0, or -1 with the reason in cuda->error. */
static inline int grkan_cuda_open(grkan_cuda* cuda, const char* device) {
  int (*init)(unsigned) = NULL;
  int (*get)(int*, int) = NULL;
  int (*model)(const char*) = NULL;
  int (*retain)(void**, int) = NULL;
  const int is_virtual = strncmp(device, "virtual:", 8) == 0;
  const char* path = is_virtual ? NULL : getenv("GRKAN_CUDA_DRIVER");
  if (path == NULL || *path == '\0') {
    path = is_virtual ? "libgrkan_virtual_cuda.so" : "libcuda.so.1";
  }
  memset(cuda, 0, sizeof *cuda);
  if (!is_virtual && strncmp(device, "cuda:", 5) != 0) {
    snprintf(cuda->error, sizeof cuda->error, "expected cuda:N or virtual:MODEL, not %.99s",
             device);
    return -1;
  }
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(cuda->error, sizeof cuda->error, "%s%s", dlerror(),
             is_virtual ? "; make a plan on the device first, which opens it" : "");
    return -1;
  }
  grkan_cuda_find(cuda, library, "cuMemAlloc_v2", &cuda->allocate);
  grkan_cuda_find(cuda, library, "cuMemFree_v2", &cuda->free);
  grkan_cuda_find(cuda, library, "cuMemcpyHtoD_v2", &cuda->copy_in);
  grkan_cuda_find(cuda, library, "cuMemcpyDtoH_v2", &cuda->copy_out);
  grkan_cuda_find(cuda, library, "cuStreamCreate", &cuda->stream_create);
  grkan_cuda_find(cuda, library, "cuStreamSynchronize", &cuda->stream_synchronize);
  grkan_cuda_find(cuda, library, "cuStreamDestroy_v2", &cuda->stream_destroy);
  grkan_cuda_find(cuda, library, "cuStreamBeginCapture_v2", &cuda->capture_begin);
  grkan_cuda_find(cuda, library, "cuStreamEndCapture", &cuda->capture_end);
  grkan_cuda_find(cuda, library, "cuGraphInstantiateWithFlags", &cuda->graph_instantiate);
  grkan_cuda_find(cuda, library, "cuGraphLaunch", &cuda->graph_launch);
  grkan_cuda_find(cuda, library, "cuGraphExecDestroy", &cuda->executable_destroy);
  grkan_cuda_find(cuda, library, "cuGraphDestroy", &cuda->graph_destroy);
  grkan_cuda_find(cuda, library, "cuGetErrorString", &cuda->error_text);
  grkan_cuda_find(cuda, library, "cuInit", &init);
  grkan_cuda_find(cuda, library, "cuDeviceGet", &get);
  grkan_cuda_find(cuda, library, "cuDevicePrimaryCtxRetain", &retain);
  grkan_cuda_find(cuda, library, "cuCtxSetCurrent", &cuda->set_current);
  grkan_cuda_find(cuda, library, "cuDevicePrimaryCtxRelease_v2", &cuda->release);
  if (is_virtual) {
    grkan_cuda_find(cuda, library, "grkan_virtual_device", &model);
    grkan_cuda_find(cuda, library, "grkan_virtual_report", &cuda->report);
    grkan_cuda_find(cuda, library, "grkan_virtual_reset", &cuda->reset);
  }
  if (cuda->error[0] != '\0') return -1;

  int result = init(0);
  const int ordinal = is_virtual && result == 0 ? model(device + 8) : atoi(device + 5);
  if (result == 0) result = get(&cuda->device, ordinal);
  if (result == 0) result = retain(&cuda->context, cuda->device);
  if (result == 0) result = cuda->set_current(cuda->context);
  if (result != 0) {
    const char* text = NULL;
    cuda->error_text(result, &text);
    snprintf(cuda->error, sizeof cuda->error, "%.99s: %.99s (%d)", device,
             text == NULL ? "unknown error" : text, result);
    return -1;
  }
  return 0;
}

/* Gives the primary context back, after the memory was freed. The driver stays open. */
static inline void grkan_cuda_close(grkan_cuda* cuda) {
  cuda->set_current(NULL);
  cuda->release(cuda->device);
}
/* NOLINTEND */

#endif /* GRKAN_CUDA_H_ */
