// Report: what all launches did and what was found, as JSON and as lines on stderr.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "virtual_gpu/machine/launch.h"

namespace grkan::vgpu {

struct LaunchRecord {
  int device = 0;
  std::string model;  // of the device: "h200"
  std::string kernel;
  Dim3 grid, block;
  int registers = 0;  // of a thread
  bool registers_estimated = false;
  std::size_t shared_bytes = 0;  // of a block, static and dynamic
  std::size_t local_bytes = 0;   // of a thread
  int resident_blocks = 0;       // that a multiprocessor holds at once
  double occupancy = 0;          // their warps, of those that it can hold
  LaunchResult result;
};

class Report {
 public:
  // Prints each finding of a place (check, kernel, line) on stderr when it is seen first.
  void add(LaunchRecord record);
  // {"launches": [{"kernel": ..., "counts": {...}, "findings": [...], "trap": ""}], "dropped": 0},
  // launches in order; `dropped` counts those beyond the 100,000 that are kept.
  [[nodiscard]] std::string json() const;
  void clear();

 private:
  std::vector<LaunchRecord> launches_;
  std::size_t dropped_ = 0;
  std::set<std::tuple<Check, std::string, int>> printed_;
};

}  // namespace grkan::vgpu
