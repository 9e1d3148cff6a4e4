// The part of XLA's typed FFI, version 0.1, that a handler needs: how JAX calls it, and what it may
// ask for. Declared by hand, so that neither JAX nor its headers are needed to build: a handler
// gets all of it through its argument. tests/python/xla_ffi_test.cpp holds the declarations against
// the headers of a jaxlib.
//
// Versions up to 0.3 (jax 0.10) only add to it; each struct tells its size, which is looked at
// before what was added is read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grkan::xla {

inline constexpr int kMajor = 0;
inline constexpr int kMinor = 1;

struct Error;    // XLA_FFI_Error
struct Context;  // XLA_FFI_ExecutionContext

struct Extension {  // XLA_FFI_Extension_Base
  std::size_t size;
  std::int32_t type;  // kMetadata
  Extension* next;
};
inline constexpr std::int32_t kMetadata = 1;

struct Version {  // XLA_FFI_Api_Version
  std::size_t size;
  Extension* extensions;
  int major;
  int minor;
};

struct Metadata {  // XLA_FFI_Metadata
  std::size_t size;
  Version version;
  std::uint32_t traits;
};

struct MetadataExtension {  // XLA_FFI_Metadata_Extension
  Extension base;
  Metadata* metadata;
};

// XLA_FFI_DataType_
enum class DataType : std::int32_t {
  invalid = 0,
  s32 = 4,
  s64 = 5,
  f16 = 10,
  f32 = 11,
  f64 = 12,
  bf16 = 16
};

struct Buffer {  // XLA_FFI_Buffer
  std::size_t size;
  Extension* extensions;
  DataType type;
  void* data;
  std::int64_t rank;
  std::int64_t* dims;
};

struct Scalar {  // XLA_FFI_Scalar
  DataType type;
  void* value;
};

struct ByteSpan {  // XLA_FFI_ByteSpan
  const char* data;
  std::size_t size;
};

inline constexpr std::int32_t kBuffer = 1;  // XLA_FFI_ArgType_BUFFER, XLA_FFI_RetType_BUFFER
inline constexpr std::int32_t kScalar = 3;  // XLA_FFI_AttrType_SCALAR

struct Arrays {  // XLA_FFI_Args, XLA_FFI_Rets
  std::size_t size;
  Extension* extensions;
  std::int64_t count;
  std::int32_t* types;
  void** values;
};

struct Attributes {  // XLA_FFI_Attrs, sorted by name
  std::size_t size;
  Extension* extensions;
  std::int64_t count;
  std::int32_t* types;
  ByteSpan** names;
  void** values;
};

// XLA_FFI_Error_Code_
enum class Code : std::int32_t {
  ok = 0,
  invalid_argument = 3,
  not_found = 5,
  resource_exhausted = 8,
  unimplemented = 12,
  internal = 13
};

struct ErrorCreate {  // XLA_FFI_Error_Create_Args
  std::size_t size;
  Extension* extensions;
  const char* message;
  Code code;
};

struct ErrorMessage {  // XLA_FFI_Error_GetMessage_Args
  std::size_t size;
  Extension* extensions;
  Error* error;
  const char* message;
};

struct ErrorDestroy {  // XLA_FFI_Error_Destroy_Args
  std::size_t size;
  Extension* extensions;
  Error* error;
};

struct StreamGet {  // XLA_FFI_Stream_Get_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  void* stream;
};

struct MemoryAllocate {  // XLA_FFI_DeviceMemory_Allocate_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  std::size_t bytes;
  std::size_t alignment;
  void* data;
};

struct MemoryFree {  // XLA_FFI_DeviceMemory_Free_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  std::size_t bytes;
  void* data;
};

struct ThreadsSchedule {  // XLA_FFI_ThreadPool_Schedule_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  void (*task)(void* data);
  void* data;
};

struct ThreadsCount {  // XLA_FFI_ThreadPool_NumThreads_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  std::int64_t* count;
};

struct OrdinalGet {  // XLA_FFI_DeviceOrdinal_Get_Args
  std::size_t size;
  Extension* extensions;
  Context* context;
  std::int32_t ordinal;
};

using Unused = void (*)();

struct Api {  // XLA_FFI_Api
  std::size_t size;
  Extension* extensions;
  Version version;
  const void* internal;
  Error* (*error_create)(ErrorCreate*);
  void (*error_message)(ErrorMessage*);
  void (*error_destroy)(ErrorDestroy*);
  Unused handler_register;
  Error* (*stream_get)(StreamGet*);
  Unused type_register, context_get, state_set, state_get;
  Error* (*memory_allocate)(MemoryAllocate*);
  Error* (*memory_free)(MemoryFree*);
  Error* (*threads_schedule)(ThreadsSchedule*);
  Error* (*threads_count)(ThreadsCount*);
  Unused future_create, future_set_available, future_set_error, run_id_get;
  Error* (*ordinal_get)(OrdinalGet*);  // from jax 0.6 on
};

inline constexpr std::int32_t kExecute = 3;  // XLA_FFI_ExecutionStage_EXECUTE

struct CallFrame {  // XLA_FFI_CallFrame
  std::size_t size;
  Extension* extensions;
  const Api* api;
  Context* context;
  std::int32_t stage;
  Arrays arguments;
  Arrays results;
  Attributes attributes;
};

}  // namespace grkan::xla
