// Graphs: what a capture kept, run again.
#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

// In the order of the capture, in which every node comes after those that it depends on.
Result run(const GraphState& graph) {
  for (const Node& node : graph.nodes) {
    const Result result = node.work.run();
    if (result != Result::success) return result;
  }
  return Result::success;
}

}  // namespace

Result cuGraphCreate(Graph* graph, unsigned flags) {
  return guarded([&] {
    if (graph == nullptr || flags != 0) return Result::invalid_value;
    *graph = state().graphs.add(std::make_shared<GraphState>());
    return Result::success;
  });
}

Result cuGraphDestroy(Graph graph) {
  return guarded(
      [&] { return state().graphs.remove(graph) ? Result::success : Result::invalid_value; });
}

Result cuGraphGetNodes(Graph graph, GraphNode* nodes, std::size_t* count) {
  return guarded([&] {
    const auto found = state().graphs.find(graph);
    if (found == nullptr || count == nullptr) return Result::invalid_value;
    if (nodes != nullptr) {
      for (std::size_t i = 0; i < *count; ++i) {
        nodes[i] = i < found->nodes.size() ? found->nodes[i].handle : nullptr;
      }
    }
    *count = nodes == nullptr ? found->nodes.size() : std::min(*count, found->nodes.size());
    return Result::success;
  });
}

Result cuGraphNodeGetType(GraphNode node, int* type) {
  return guarded([&] {
    if (type == nullptr) return Result::invalid_value;
    Result result = Result::invalid_value;
    state().graphs.for_each([&](const GraphState& graph) {
      for (const Node& candidate : graph.nodes) {
        if (candidate.handle != node) continue;
        *type = int(candidate.work.kind);
        result = Result::success;
      }
    });
    return result;
  });
}

Result cuGraphInstantiateWithFlags(GraphExec* exec, Graph graph, unsigned long long flags) {
  return guarded([&] {
    const auto found = state().graphs.find(graph);
    // 1: what a graph allocates is freed at its next launch; 2: uploaded when instantiated.
    if (exec == nullptr || found == nullptr || flags > 3) return Result::invalid_value;
    *exec = state().executables.add(std::make_shared<GraphState>(*found));
    return Result::success;
  });
}

Result cuGraphUpload(GraphExec exec, Stream stream) {
  return with_stream(stream, [&](StreamState&) {
    return state().executables.find(exec) == nullptr ? Result::invalid_value : Result::success;
  });
}

Result cuGraphLaunch(GraphExec exec, Stream stream) {
  return with_stream(stream, [&](StreamState& found) {
    const auto graph = state().executables.find(exec);
    if (graph == nullptr) return Result::invalid_value;
    return submit(found, {NodeKind::graph, [graph] { return run(*graph); }});
  });
}

Result cuGraphExecDestroy(GraphExec exec) {
  return guarded(
      [&] { return state().executables.remove(exec) ? Result::success : Result::invalid_value; });
}

}  // namespace grkan::vgpu::driver
