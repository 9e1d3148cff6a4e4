// What the driver keeps: devices, contexts and the objects behind handles, all under one mutex.
// Work of a stream is done at once, by the thread that submits it, so that every stream is always
// idle; a launch keeps the mutex until it ends.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "virtual_gpu/driver/api.h"
#include "virtual_gpu/driver/configuration.h"
#include "virtual_gpu/machine/memory.h"
#include "virtual_gpu/machine/module.h"
#include "virtual_gpu/machine/report.h"
#include "virtual_gpu/ptx/cubin.h"

namespace grkan::vgpu::driver {

#define GRKAN_VIRTUAL_DECLARE(name, parameters) \
  extern "C" __attribute__((visibility("default"))) Result name parameters;
GRKAN_VIRTUAL_FUNCTIONS(GRKAN_VIRTUAL_DECLARE)
#undef GRKAN_VIRTUAL_DECLARE

// What the virtual GPU has beyond the driver API.
extern "C" {
// Takes the text of GRKAN_VIRTUAL from the program; what it names wins over the environment. After
// cuInit it adds the devices that are missing and changes the options of later launches. 0, or 1
// (CUDA_ERROR_INVALID_VALUE) with a line on stderr.
__attribute__((visibility("default"))) int grkan_virtual_configure(const char* text);
// The ordinal of the first device of a model, "h200"; where there is none it is added (after
// cuInit). -1 with a line on stderr: there is no such model.
__attribute__((visibility("default"))) int grkan_virtual_device(const char* model);
// JSON of all launches since the last reset (report.h); it stays until this thread's next call.
__attribute__((visibility("default"))) const char* grkan_virtual_report();
// Forgets launches and findings, and the fault that a launch left in its context.
__attribute__((visibility("default"))) void grkan_virtual_reset();
}

inline constexpr int kVersion = 13000;
inline constexpr int kGreatestPriority = -5;

// A new handle of any kind: no number comes twice in a process.
std::uintptr_t next_handle();

template <class Handle, class Object>
class Registry {
 public:
  Handle add(std::shared_ptr<Object> object) {
    auto handle = reinterpret_cast<Handle>(next_handle());
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  // Null: none.
  [[nodiscard]] std::shared_ptr<Object> find(Handle handle) const {
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  bool remove(Handle handle) { return objects_.erase(handle) != 0; }
  template <class Condition>
  void remove_if(const Condition& condition) {
    std::erase_if(objects_, [&](const auto& entry) { return condition(*entry.second); });
  }
  template <class Body>
  void for_each(const Body& body) {
    for (auto& [handle, object] : objects_) body(*object);
  }

 private:
  std::unordered_map<Handle, std::shared_ptr<Object>> objects_;
};

struct ContextState;
struct StreamState;

struct DeviceState {
  Device ordinal = 0;
  const GpuModel* model = nullptr;
  std::unique_ptr<Memory> memory;
  Pool pool = nullptr;
  std::set<Pointer> pooled;
  std::uint64_t release_threshold = 0;  // kept for who asks; a pool holds nothing back
  ContextState* primary = nullptr;
  int retained = 0;
  unsigned primary_flags = 0;
};

enum class NodeKind : int { kernel = 0, memcpy = 1, memset = 2, graph = 4, empty = 5 };

// A piece of work with its parameters copied; run at once or kept in a graph.
struct Work {
  NodeKind kind = NodeKind::empty;
  std::function<Result()> run;
};
struct Node {
  Work work;
  GraphNode handle = nullptr;
  std::vector<std::size_t> dependencies;  // of the same graph
};
struct GraphState {
  std::vector<Node> nodes;  // each after those that it depends on
};

enum class CaptureMode : int { global = 0, thread_local_ = 1, relaxed = 2 };
struct Capture {
  std::uint64_t id = 0;
  StreamState* origin = nullptr;
  CaptureMode mode = CaptureMode::global;
  std::thread::id owner;
  bool invalid = false;
  std::shared_ptr<GraphState> graph = std::make_shared<GraphState>();
  Graph handle = nullptr;  // once something asked for it
};

struct StreamState {
  ContextState* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  bool legacy = false;
  std::shared_ptr<Capture> capture;
  std::vector<std::size_t> frontier;  // nodes that the next one depends on
};

struct EventState {
  ContextState* context = nullptr;
  unsigned flags = 0;
  bool recorded = false;
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<Capture> capture;  // where it was last recorded in one
  std::vector<std::size_t> nodes;
};

struct ContextState {
  Context handle = nullptr;
  DeviceState* device = nullptr;
  bool primary = false;
  bool alive = true;
  unsigned flags = 0;
  // What a launch did wrong; as on a GPU every later call returns it.
  Result fault = Result::success;
  std::map<int, std::size_t> limits;
  std::set<Pointer> allocations;
  std::shared_ptr<StreamState> legacy;
  std::shared_ptr<StreamState> per_thread;
};

// How code came: what the program asked of the compiler and, where this thread was refused a cubin
// right before, what that tells of its kernels.
struct Build {
  int most_registers = 0;  // 0: not asked for
  std::vector<CubinKernel> cubin;
};

struct ModuleState {
  ContextState* context = nullptr;
  Module handle = nullptr;
  std::unique_ptr<vgpu::Module> code;
  Build build;
  std::map<std::string, Function, std::less<>> functions;
};

// What a program set of a kernel.
struct Settings {
  std::size_t most_dynamic_shared = 0;
  int carveout = -1;
};
struct FunctionState {
  std::shared_ptr<ModuleState> module;
  const ModuleKernel* kernel = nullptr;
  bool loaded = false;  // drivers load kernels when they are first asked for
  std::shared_ptr<Settings> settings;
};

struct LibraryState {
  std::string ptx;
  Build build;
  std::unique_ptr<Memory> scratch;     // for the variables of `code`
  std::unique_ptr<vgpu::Module> code;  // names and sizes; a context runs its own
  std::map<ContextState*, std::shared_ptr<ModuleState>> modules;
  std::map<std::string, CudaKernel, std::less<>> kernels;
};
struct KernelState {
  std::shared_ptr<LibraryState> library;
  const ModuleKernel* kernel = nullptr;
  std::map<Device, std::shared_ptr<Settings>> settings;
};

struct State {
  std::mutex mutex;
  bool initialised = false;
  std::string program_text;  // of grkan_virtual_configure before cuInit
  LaunchOptions options;
  std::vector<std::unique_ptr<DeviceState>> devices;
  std::vector<std::unique_ptr<ContextState>> contexts;  // destroyed ones too: threads may hold them
  Registry<Stream, StreamState> streams;
  Registry<Event, EventState> events;
  Registry<Module, ModuleState> modules;
  Registry<Function, FunctionState> functions;
  Registry<Library, LibraryState> libraries;
  Registry<CudaKernel, KernelState> kernels;
  Registry<Graph, GraphState> graphs;
  Registry<GraphExec, GraphState> executables;
  std::vector<std::shared_ptr<Capture>> captures;  // that go on
  std::map<void*, std::size_t> host_allocations;
  std::set<std::string> printed;  // why modules were refused
  Report report;
};
State& state();

// Adds a device for every model that `models` has more often than there are devices of it.
void add_devices(const std::vector<const GpuModel*>& models);

// Null: none.
DeviceState* find_device(Device device);
ContextState* find_context(Context context);
// This thread's contexts, the current one last.
std::vector<ContextState*>& context_stack();
ContextState* create_context(DeviceState& device, unsigned flags, bool primary);
// Frees what was made in it; its handle is stale then (a primary one comes to life again).
void end_context(ContextState& context);

// The stream behind a handle, 0, 1 and 2 for the current context's own; null: none.
std::shared_ptr<StreamState> find_stream(Stream stream);

// The device whose memory an address lies in; null for addresses of the host.
DeviceState* device_of(Pointer pointer);

// `body` under the mutex once cuInit was called; what it throws as a code.
Result guarded_body(const std::function<Result()>& body);
template <class Body>
Result guarded(const Body& body) {
  return guarded_body(body);
}

// As above with this thread's context: `body(ContextState&)`.
Result current_context(ContextState*& context);
template <class Body>
Result with_context(const Body& body) {
  return guarded([&] {
    ContextState* context = nullptr;
    const Result result = current_context(context);
    return result == Result::success ? body(*context) : result;
  });
}

template <class Body>
Result with_device(Device device, const Body& body) {
  return guarded([&] {
    DeviceState* found = find_device(device);
    return found == nullptr ? Result::invalid_device : body(*found);
  });
}

// `body(StreamState&)`, unless its context has a fault.
Result usable_stream(Stream stream, std::shared_ptr<StreamState>& found);
template <class Body>
Result with_stream(Stream stream, const Body& body) {
  return guarded([&] {
    std::shared_ptr<StreamState> found;
    const Result result = usable_stream(stream, found);
    return result == Result::success ? body(*found) : result;
  });
}

// Takes every stream out of the stream's capture, which is over.
void end_capture_of(StreamState& stream);
// Runs the work, or keeps it where the stream is captured.
Result submit(StreamState& stream, Work work);
// The code for a call that captures forbid, which then are invalid; success where it may go on.
Result refuse_in_capture();
// As above for a call that waits for all work of `context`.
Result refuse_captures_of(const ContextState& context);
// As above for a call that works on the legacy stream at once.
Result refuse_beside_legacy(const ContextState& context);

}  // namespace grkan::vgpu::driver
