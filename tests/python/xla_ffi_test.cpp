// The hand-made declarations of python/src/xla_ffi.h against the headers of a jaxlib: this
// compiles, or it fails.
#include "python/src/xla_ffi.h"

#include <xla/ffi/api/c_api.h>

#include <cstddef>

#include "tests/support/same_function.h"

namespace grkan::xla {
namespace {

// A field of ours lies where theirs does, and is as large.
#define GRKAN_SAME_FIELD(ours, field, theirs, name)                \
  static_assert(offsetof(ours, field) == offsetof(theirs, name) && \
                    sizeof(ours::field) == sizeof(theirs::name),   \
                #ours "::" #field " is declared otherwise in XLA's headers")
#define GRKAN_SAME_HEAD(ours, theirs)                \
  GRKAN_SAME_FIELD(ours, size, theirs, struct_size); \
  GRKAN_SAME_FIELD(ours, extensions, theirs, extension_start)
#define GRKAN_SAME_CALL(ours, field, theirs)                              \
  static_assert(offsetof(ours, field) == offsetof(XLA_FFI_Api, theirs) && \
                    SameFunction<decltype(ours::field), theirs*>::value,  \
                #theirs " is declared otherwise in XLA's headers")

static_assert(kMajor == XLA_FFI_API_MAJOR && kMinor <= XLA_FFI_API_MINOR);

static_assert(sizeof(Extension) == sizeof(XLA_FFI_Extension_Base));
GRKAN_SAME_FIELD(Extension, size, XLA_FFI_Extension_Base, struct_size);
GRKAN_SAME_FIELD(Extension, type, XLA_FFI_Extension_Base, type);
GRKAN_SAME_FIELD(Extension, next, XLA_FFI_Extension_Base, next);
static_assert(kMetadata == XLA_FFI_Extension_Metadata);

static_assert(sizeof(Version) == sizeof(XLA_FFI_Api_Version));
GRKAN_SAME_HEAD(Version, XLA_FFI_Api_Version);
GRKAN_SAME_FIELD(Version, major, XLA_FFI_Api_Version, major_version);
GRKAN_SAME_FIELD(Version, minor, XLA_FFI_Api_Version, minor_version);

GRKAN_SAME_FIELD(Metadata, size, XLA_FFI_Metadata, struct_size);
GRKAN_SAME_FIELD(Metadata, version, XLA_FFI_Metadata, api_version);
GRKAN_SAME_FIELD(Metadata, traits, XLA_FFI_Metadata, traits);
GRKAN_SAME_FIELD(MetadataExtension, metadata, XLA_FFI_Metadata_Extension, metadata);

static_assert(int(DataType::s32) == XLA_FFI_DataType_S32);
static_assert(int(DataType::s64) == XLA_FFI_DataType_S64);
static_assert(int(DataType::f16) == XLA_FFI_DataType_F16);
static_assert(int(DataType::f32) == XLA_FFI_DataType_F32);
static_assert(int(DataType::f64) == XLA_FFI_DataType_F64);
static_assert(int(DataType::bf16) == XLA_FFI_DataType_BF16);
static_assert(kBuffer == XLA_FFI_ArgType_BUFFER && kBuffer == XLA_FFI_RetType_BUFFER);
static_assert(kScalar == XLA_FFI_AttrType_SCALAR);
static_assert(kExecute == XLA_FFI_ExecutionStage_EXECUTE);
static_assert(int(Code::invalid_argument) == XLA_FFI_Error_Code_INVALID_ARGUMENT);
static_assert(int(Code::not_found) == XLA_FFI_Error_Code_NOT_FOUND);
static_assert(int(Code::resource_exhausted) == XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
static_assert(int(Code::unimplemented) == XLA_FFI_Error_Code_UNIMPLEMENTED);
static_assert(int(Code::internal) == XLA_FFI_Error_Code_INTERNAL);

GRKAN_SAME_HEAD(Buffer, XLA_FFI_Buffer);
GRKAN_SAME_FIELD(Buffer, type, XLA_FFI_Buffer, dtype);
GRKAN_SAME_FIELD(Buffer, data, XLA_FFI_Buffer, data);
GRKAN_SAME_FIELD(Buffer, rank, XLA_FFI_Buffer, rank);
GRKAN_SAME_FIELD(Buffer, dims, XLA_FFI_Buffer, dims);
GRKAN_SAME_FIELD(Scalar, type, XLA_FFI_Scalar, dtype);
GRKAN_SAME_FIELD(Scalar, value, XLA_FFI_Scalar, value);
GRKAN_SAME_FIELD(ByteSpan, data, XLA_FFI_ByteSpan, ptr);
GRKAN_SAME_FIELD(ByteSpan, size, XLA_FFI_ByteSpan, len);

static_assert(sizeof(Arrays) == sizeof(XLA_FFI_Args) && sizeof(Arrays) == sizeof(XLA_FFI_Rets));
GRKAN_SAME_HEAD(Arrays, XLA_FFI_Args);
GRKAN_SAME_FIELD(Arrays, count, XLA_FFI_Args, size);
GRKAN_SAME_FIELD(Arrays, types, XLA_FFI_Args, types);
GRKAN_SAME_FIELD(Arrays, values, XLA_FFI_Args, args);
GRKAN_SAME_HEAD(Arrays, XLA_FFI_Rets);
GRKAN_SAME_FIELD(Arrays, count, XLA_FFI_Rets, size);
GRKAN_SAME_FIELD(Arrays, types, XLA_FFI_Rets, types);
GRKAN_SAME_FIELD(Arrays, values, XLA_FFI_Rets, rets);
static_assert(sizeof(Attributes) == sizeof(XLA_FFI_Attrs));
GRKAN_SAME_HEAD(Attributes, XLA_FFI_Attrs);
GRKAN_SAME_FIELD(Attributes, count, XLA_FFI_Attrs, size);
GRKAN_SAME_FIELD(Attributes, types, XLA_FFI_Attrs, types);
GRKAN_SAME_FIELD(Attributes, names, XLA_FFI_Attrs, names);
GRKAN_SAME_FIELD(Attributes, values, XLA_FFI_Attrs, attrs);

GRKAN_SAME_HEAD(ErrorCreate, XLA_FFI_Error_Create_Args);
GRKAN_SAME_FIELD(ErrorCreate, message, XLA_FFI_Error_Create_Args, message);
GRKAN_SAME_FIELD(ErrorCreate, code, XLA_FFI_Error_Create_Args, errc);
GRKAN_SAME_HEAD(ErrorMessage, XLA_FFI_Error_GetMessage_Args);
GRKAN_SAME_FIELD(ErrorMessage, error, XLA_FFI_Error_GetMessage_Args, error);
GRKAN_SAME_FIELD(ErrorMessage, message, XLA_FFI_Error_GetMessage_Args, message);
GRKAN_SAME_HEAD(ErrorDestroy, XLA_FFI_Error_Destroy_Args);
GRKAN_SAME_FIELD(ErrorDestroy, error, XLA_FFI_Error_Destroy_Args, error);
GRKAN_SAME_HEAD(StreamGet, XLA_FFI_Stream_Get_Args);
GRKAN_SAME_FIELD(StreamGet, context, XLA_FFI_Stream_Get_Args, ctx);
GRKAN_SAME_FIELD(StreamGet, stream, XLA_FFI_Stream_Get_Args, stream);
GRKAN_SAME_HEAD(MemoryAllocate, XLA_FFI_DeviceMemory_Allocate_Args);
GRKAN_SAME_FIELD(MemoryAllocate, context, XLA_FFI_DeviceMemory_Allocate_Args, ctx);
GRKAN_SAME_FIELD(MemoryAllocate, bytes, XLA_FFI_DeviceMemory_Allocate_Args, size);
GRKAN_SAME_FIELD(MemoryAllocate, alignment, XLA_FFI_DeviceMemory_Allocate_Args, alignment);
GRKAN_SAME_FIELD(MemoryAllocate, data, XLA_FFI_DeviceMemory_Allocate_Args, data);
GRKAN_SAME_HEAD(MemoryFree, XLA_FFI_DeviceMemory_Free_Args);
GRKAN_SAME_FIELD(MemoryFree, context, XLA_FFI_DeviceMemory_Free_Args, ctx);
GRKAN_SAME_FIELD(MemoryFree, bytes, XLA_FFI_DeviceMemory_Free_Args, size);
GRKAN_SAME_FIELD(MemoryFree, data, XLA_FFI_DeviceMemory_Free_Args, data);
GRKAN_SAME_HEAD(ThreadsSchedule, XLA_FFI_ThreadPool_Schedule_Args);
GRKAN_SAME_FIELD(ThreadsSchedule, context, XLA_FFI_ThreadPool_Schedule_Args, ctx);
GRKAN_SAME_FIELD(ThreadsSchedule, task, XLA_FFI_ThreadPool_Schedule_Args, task);
GRKAN_SAME_FIELD(ThreadsSchedule, data, XLA_FFI_ThreadPool_Schedule_Args, data);
GRKAN_SAME_HEAD(ThreadsCount, XLA_FFI_ThreadPool_NumThreads_Args);
GRKAN_SAME_FIELD(ThreadsCount, context, XLA_FFI_ThreadPool_NumThreads_Args, ctx);
GRKAN_SAME_FIELD(ThreadsCount, count, XLA_FFI_ThreadPool_NumThreads_Args, num_threads);
GRKAN_SAME_HEAD(OrdinalGet, XLA_FFI_DeviceOrdinal_Get_Args);
GRKAN_SAME_FIELD(OrdinalGet, context, XLA_FFI_DeviceOrdinal_Get_Args, ctx);
GRKAN_SAME_FIELD(OrdinalGet, ordinal, XLA_FFI_DeviceOrdinal_Get_Args, device_ordinal);

GRKAN_SAME_HEAD(Api, XLA_FFI_Api);
GRKAN_SAME_FIELD(Api, version, XLA_FFI_Api, api_version);
GRKAN_SAME_CALL(Api, error_create, XLA_FFI_Error_Create);
GRKAN_SAME_CALL(Api, error_message, XLA_FFI_Error_GetMessage);
GRKAN_SAME_CALL(Api, error_destroy, XLA_FFI_Error_Destroy);
GRKAN_SAME_CALL(Api, stream_get, XLA_FFI_Stream_Get);
GRKAN_SAME_CALL(Api, memory_allocate, XLA_FFI_DeviceMemory_Allocate);
GRKAN_SAME_CALL(Api, memory_free, XLA_FFI_DeviceMemory_Free);
GRKAN_SAME_CALL(Api, threads_schedule, XLA_FFI_ThreadPool_Schedule);
GRKAN_SAME_CALL(Api, threads_count, XLA_FFI_ThreadPool_NumThreads);
GRKAN_SAME_CALL(Api, ordinal_get, XLA_FFI_DeviceOrdinal_Get);

GRKAN_SAME_HEAD(CallFrame, XLA_FFI_CallFrame);
GRKAN_SAME_FIELD(CallFrame, api, XLA_FFI_CallFrame, api);
GRKAN_SAME_FIELD(CallFrame, context, XLA_FFI_CallFrame, ctx);
GRKAN_SAME_FIELD(CallFrame, stage, XLA_FFI_CallFrame, stage);
GRKAN_SAME_FIELD(CallFrame, arguments, XLA_FFI_CallFrame, args);
GRKAN_SAME_FIELD(CallFrame, results, XLA_FFI_CallFrame, rets);
GRKAN_SAME_FIELD(CallFrame, attributes, XLA_FFI_CallFrame, attrs);
static_assert(sizeof(CallFrame) <= XLA_FFI_CallFrame_STRUCT_SIZE);

}  // namespace
}  // namespace grkan::xla

int main() { return 0; }
