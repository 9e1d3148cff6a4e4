// In the place of kernel-builder's header of this name: the same macros, but operators that are
// registered for CUDA tensors get those of the CPU, whose memory host_tensors.cpp takes to the
// virtual GPU and back.
#pragma once

#include <Python.h>

#define GRKAN_TEST_JOIN_(a, b) a##b
#define GRKAN_TEST_JOIN(a, b) GRKAN_TEST_JOIN_(a, b)
#define GRKAN_TEST_TEXT_(text) #text
#define GRKAN_TEST_TEXT(text) GRKAN_TEST_TEXT_(text)

#define STABLE_TORCH_LIBRARY_EXPAND(name, ops) STABLE_TORCH_LIBRARY(name, ops)
#define STABLE_TORCH_LIBRARY_IMPL_EXPAND(name, key, ops) STABLE_TORCH_LIBRARY_IMPL_##key(name, ops)
#define STABLE_TORCH_LIBRARY_IMPL_CUDA(name, ops) GRKAN_TEST_IMPL(name, CPU, ops)
#define GRKAN_TEST_IMPL(name, key, ops) STABLE_TORCH_LIBRARY_IMPL(name, key, ops)

#define REGISTER_EXTENSION(name)                        \
  PyMODINIT_FUNC GRKAN_TEST_JOIN(PyInit_, name)() {     \
    static PyModuleDef module = {PyModuleDef_HEAD_INIT, \
                                 GRKAN_TEST_TEXT(name), \
                                 nullptr,               \
                                 0,                     \
                                 nullptr,               \
                                 nullptr,               \
                                 nullptr,               \
                                 nullptr,               \
                                 nullptr};              \
    return PyModule_Create(&module);                    \
  }
