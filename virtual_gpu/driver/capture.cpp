// Stream capture: work kept as nodes of a graph, and what a capture forbids.
#include <algorithm>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr int kNotCapturing = 0;
constexpr int kCapturing = 1;
constexpr int kInvalidated = 2;

CaptureMode& thread_mode() {
  thread_local CaptureMode mode = CaptureMode::global;
  return mode;
}

// Whether a capture keeps this thread from calls that may be unsafe in one
// (cuThreadExchangeStreamCaptureMode).
bool forbids(const Capture& capture) {
  if (thread_mode() == CaptureMode::relaxed || capture.mode == CaptureMode::relaxed) return false;
  if (capture.owner == std::this_thread::get_id()) return true;
  return thread_mode() == CaptureMode::global && capture.mode == CaptureMode::global;
}

template <class Condition>
Result invalidate(const Condition& condition, Result code) {
  Result result = Result::success;
  for (const auto& capture : state().captures) {
    if (!condition(*capture)) continue;
    capture->invalid = true;
    result = code;
  }
  return result;
}

std::size_t add_node(StreamState& stream, Work work) {
  Node node{.work = std::move(work),
            .handle = reinterpret_cast<GraphNode>(next_handle()),
            .dependencies = stream.frontier};
  auto& nodes = stream.capture->graph->nodes;
  nodes.push_back(std::move(node));
  stream.frontier = {nodes.size() - 1};
  return nodes.size() - 1;
}

// Whether all that was captured comes before the end of the stream.
bool all_joined(const StreamState& stream) {
  const auto& nodes = stream.capture->graph->nodes;
  std::vector<bool> reached(nodes.size());
  std::vector<std::size_t> open = stream.frontier;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    open.insert(open.end(), nodes[node].dependencies.begin(), nodes[node].dependencies.end());
  }
  return std::ranges::all_of(reached, [](bool r) { return r; });
}

Result end(StreamState& stream, Graph* graph) {
  const std::shared_ptr<Capture> capture = stream.capture;
  if (capture == nullptr) return Result::illegal_state;
  if (capture->origin != &stream) {
    capture->invalid = true;
    return Result::stream_capture_unmatched;
  }
  if (capture->mode != CaptureMode::relaxed && capture->owner != std::this_thread::get_id()) {
    return Result::stream_capture_wrong_thread;
  }
  Result result = Result::success;
  if (capture->invalid) {
    result = Result::stream_capture_invalidated;
  } else if (!all_joined(stream)) {
    result = Result::stream_capture_unjoined;
  }
  end_capture_of(stream);
  if (result != Result::success) {
    if (capture->handle != nullptr) state().graphs.remove(capture->handle);
    return result;
  }
  *graph = capture->handle != nullptr ? capture->handle : state().graphs.add(capture->graph);
  return Result::success;
}

int status_of(const StreamState& stream) {
  if (stream.capture == nullptr) return kNotCapturing;
  return stream.capture->invalid ? kInvalidated : kCapturing;
}

}  // namespace

void end_capture_of(StreamState& stream) {
  const std::shared_ptr<Capture> capture = stream.capture;
  const auto leave = [&](StreamState& other) {
    if (other.capture != capture) return;
    other.capture = nullptr;
    other.frontier.clear();
  };
  state().streams.for_each(leave);
  for (const auto& context : state().contexts) leave(*context->per_thread);
  leave(stream);
  std::erase(state().captures, capture);
}

Result submit(StreamState& stream, Work work) {
  if (stream.legacy) {
    const Result refused = refuse_beside_legacy(*stream.context);
    if (refused != Result::success) return refused;
  }
  if (stream.capture == nullptr) return work.run();
  if (stream.capture->invalid) return Result::stream_capture_invalidated;
  add_node(stream, std::move(work));
  return Result::success;
}

Result refuse_in_capture() {
  return invalidate([](const Capture& c) { return forbids(c); },
                    Result::stream_capture_unsupported);
}

Result refuse_captures_of(const ContextState& context) {
  return invalidate([&](const Capture& c) { return c.origin->context == &context; },
                    Result::stream_capture_unsupported);
}

Result refuse_beside_legacy(const ContextState& context) {
  return invalidate(
      [&](const Capture& c) {
        return c.origin->context == &context && (c.origin->flags & kNonBlocking) == 0;
      },
      Result::stream_capture_implicit);
}

Result cuStreamBeginCapture_v2(Stream stream, int mode) {
  return with_stream(stream, [&](StreamState& found) {
    if (mode < 0 || mode > 2) return Result::invalid_value;
    if (found.legacy) return Result::stream_capture_unsupported;
    if (found.capture != nullptr) return Result::illegal_state;
    auto capture = std::make_shared<Capture>();
    capture->id = next_handle();
    capture->origin = &found;
    capture->mode = CaptureMode(mode);
    capture->owner = std::this_thread::get_id();
    found.capture = capture;
    found.frontier.clear();
    state().captures.push_back(std::move(capture));
    return Result::success;
  });
}

Result cuStreamEndCapture(Stream stream, Graph* graph) {
  if (graph != nullptr) *graph = nullptr;
  return with_stream(stream, [&](StreamState& found) {
    return graph == nullptr ? Result::invalid_value : end(found, graph);
  });
}

Result cuStreamIsCapturing(Stream stream, int* status) {
  return with_stream(stream, [&](StreamState& found) {
    if (status == nullptr) return Result::invalid_value;
    if (found.legacy) {
      const Result refused = refuse_beside_legacy(*found.context);
      if (refused != Result::success) return refused;
    }
    *status = status_of(found);
    return Result::success;
  });
}

Result cuStreamGetCaptureInfo_v2(Stream stream, int* status, std::uint64_t* id, Graph* graph,
                                 const GraphNode** nodes, std::size_t* count) {
  return with_stream(stream, [&](StreamState& found) {
    if (status == nullptr) return Result::invalid_value;
    *status = status_of(found);
    if (*status != kCapturing) return Result::success;
    if (id != nullptr) *id = found.capture->id;
    if (graph != nullptr) {
      Capture& capture = *found.capture;
      if (capture.handle == nullptr) capture.handle = state().graphs.add(capture.graph);
      *graph = capture.handle;
    }
    // The nodes that the next one will depend on; valid until this thread asks again.
    thread_local std::vector<GraphNode> handles;
    handles.clear();
    for (const std::size_t node : found.frontier) {
      handles.push_back(found.capture->graph->nodes[node].handle);
    }
    if (nodes != nullptr) *nodes = handles.data();
    if (count != nullptr) *count = handles.size();
    return Result::success;
  });
}

Result cuStreamGetCaptureInfo_v3(Stream stream, int* status, std::uint64_t* id, Graph* graph,
                                 const GraphNode** nodes, const void** edges, std::size_t* count) {
  if (edges != nullptr) *edges = nullptr;  // plain edges, all of them
  return cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, count);
}

Result cuThreadExchangeStreamCaptureMode(int* mode) {
  return guarded([&] {
    if (mode == nullptr || *mode < 0 || *mode > 2) return Result::invalid_value;
    const CaptureMode before = thread_mode();
    thread_mode() = CaptureMode(*mode);
    *mode = int(before);
    return Result::success;
  });
}

}  // namespace grkan::vgpu::driver
