// Streams and events. Work is done when it is submitted: a stream is always idle, and an event
// complete once recorded.
#include <algorithm>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr unsigned kDisableTiming = 2;
constexpr unsigned kInterprocess = 4;

// An event that exists, last recorded outside of captures.
Result usable_event(Event event, std::shared_ptr<EventState>& found) {
  found = state().events.find(event);
  if (found == nullptr) return Result::invalid_handle;
  if (found->context->fault != Result::success) return found->context->fault;
  if (found->capture == nullptr) return Result::success;
  found->capture->invalid = true;
  return Result::captured_event;
}

Result record(EventState& event, StreamState& stream) {
  if (event.context != stream.context) return Result::invalid_handle;
  if (stream.capture != nullptr) {
    if (stream.capture->invalid) return Result::stream_capture_invalidated;
    event.capture = stream.capture;
    event.nodes = stream.frontier;
    return Result::success;
  }
  return submit(stream, {NodeKind::empty, [&event] {
                           event.capture = nullptr;
                           event.nodes.clear();
                           event.recorded = true;
                           event.time = std::chrono::steady_clock::now();
                           return Result::success;
                         }});
}

// Waits and queries: what a captured stream forbids.
Result idle(StreamState& stream) {
  if (stream.capture != nullptr) {
    stream.capture->invalid = true;
    return Result::stream_capture_unsupported;
  }
  return stream.legacy ? refuse_beside_legacy(*stream.context) : Result::success;
}

// The stream takes part in the event's capture from now on.
Result join(StreamState& stream, const EventState& event) {
  if (event.capture->invalid) return Result::stream_capture_invalidated;
  if (stream.legacy) {
    event.capture->invalid = true;
    return Result::stream_capture_implicit;
  }
  if (stream.capture == nullptr) {
    stream.capture = event.capture;
    stream.frontier.clear();
  }
  if (stream.capture != event.capture) {
    stream.capture->invalid = event.capture->invalid = true;
    return Result::stream_capture_merge;
  }
  for (const std::size_t node : event.nodes) {
    if (std::find(stream.frontier.begin(), stream.frontier.end(), node) == stream.frontier.end()) {
      stream.frontier.push_back(node);
    }
  }
  return Result::success;
}

}  // namespace

Result cuStreamCreate(Stream* stream, unsigned flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

Result cuStreamCreateWithPriority(Stream* stream, unsigned flags, int priority) {
  return with_context([&](ContextState& context) {
    if (stream == nullptr || (flags & ~kNonBlocking) != 0) return Result::invalid_value;
    if (context.fault != Result::success) return context.fault;
    auto made = std::make_shared<StreamState>();
    made->context = &context;
    made->flags = flags;
    made->priority = std::clamp(priority, kGreatestPriority, 0);
    *stream = state().streams.add(std::move(made));
    return Result::success;
  });
}

Result cuStreamDestroy_v2(Stream stream) {
  return guarded([&] {
    const auto found = state().streams.find(stream);
    if (found == nullptr) return Result::invalid_handle;
    if (found->capture != nullptr) {
      found->capture->invalid = true;
      end_capture_of(*found);
    }
    state().streams.remove(stream);
    return Result::success;
  });
}

Result cuStreamSynchronize(Stream stream) {
  return with_stream(stream, [&](StreamState& found) { return idle(found); });
}

Result cuStreamQuery(Stream stream) {
  return with_stream(stream, [&](StreamState& found) { return idle(found); });
}

Result cuStreamWaitEvent(Stream stream, Event event, unsigned flags) {
  return with_stream(stream, [&](StreamState& found) {
    const auto waited = state().events.find(event);
    if (waited == nullptr) return Result::invalid_handle;
    if (flags > 1) return Result::invalid_value;
    if (waited->capture != nullptr) return join(found, *waited);
    if (found.capture == nullptr || !waited->recorded) return Result::success;
    found.capture->invalid = true;
    return Result::stream_capture_isolation;
  });
}

Result cuStreamGetCtx(Stream stream, Context* context) {
  return with_stream(stream, [&](StreamState& found) {
    if (context == nullptr) return Result::invalid_value;
    *context = found.context->handle;
    return Result::success;
  });
}

Result cuStreamGetFlags(Stream stream, unsigned* flags) {
  return with_stream(stream, [&](StreamState& found) {
    if (flags == nullptr) return Result::invalid_value;
    *flags = found.flags;
    return Result::success;
  });
}

Result cuStreamGetPriority(Stream stream, int* priority) {
  return with_stream(stream, [&](StreamState& found) {
    if (priority == nullptr) return Result::invalid_value;
    *priority = found.priority;
    return Result::success;
  });
}

Result cuEventCreate(Event* event, unsigned flags) {
  return with_context([&](ContextState& context) {
    const bool shared = (flags & kInterprocess) != 0;
    if (event == nullptr || flags > 7 || (shared && (flags & kDisableTiming) == 0)) {
      return Result::invalid_value;
    }
    if (shared) return Result::not_supported;
    if (context.fault != Result::success) return context.fault;
    auto made = std::make_shared<EventState>();
    made->context = &context;
    made->flags = flags;
    *event = state().events.add(std::move(made));
    return Result::success;
  });
}

Result cuEventDestroy_v2(Event event) {
  return guarded(
      [&] { return state().events.remove(event) ? Result::success : Result::invalid_handle; });
}

Result cuEventRecord(Event event, Stream stream) {
  return cuEventRecordWithFlags(event, stream, 0);
}

Result cuEventRecordWithFlags(Event event, Stream stream, unsigned flags) {
  return with_stream(stream, [&](StreamState& found) {
    const auto recorded = state().events.find(event);
    if (recorded == nullptr) return Result::invalid_handle;
    // 1: an event node of its own in a graph.
    if (flags > 1) return Result::invalid_value;
    if (flags == 1 && found.capture != nullptr) return Result::not_supported;
    return record(*recorded, found);
  });
}

Result cuEventQuery(Event event) {
  return guarded([&] {
    std::shared_ptr<EventState> found;
    return usable_event(event, found);
  });
}

Result cuEventSynchronize(Event event) { return cuEventQuery(event); }

Result cuEventElapsedTime(float* milliseconds, Event start, Event end) {
  return guarded([&] {
    if (milliseconds == nullptr) return Result::invalid_value;
    std::shared_ptr<EventState> first;
    std::shared_ptr<EventState> last;
    Result result = usable_event(start, first);
    if (result == Result::success) result = usable_event(end, last);
    if (result != Result::success) return result;
    const bool timed = ((first->flags | last->flags) & kDisableTiming) == 0;
    if (!timed || !first->recorded || !last->recorded || first->context != last->context) {
      return Result::invalid_handle;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(last->time - first->time).count();
    return Result::success;
  });
}

Result cuEventElapsedTime_v2(float* milliseconds, Event start, Event end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

}  // namespace grkan::vgpu::driver
