// CpuSchedule: how a CPU kernel computes a task, with a name for each value of a Schedule.
#pragma once

#include "core/backend.h"
#include "core/schedule.h"

namespace grkan {

// Fields are ints so that one table (schedule.cpp), which says what each does, can read and set
// them; 0 means "does not apply".
struct CpuSchedule {
  enum Coefficients { broadcast = 1, expanded = 2 };
  enum Backward { split = 1, fused = 2 };
  enum Stores { cached = 1, nontemporal = 2 };

  // compiled in
  int vector = 8;
  int unroll = 1;
  int rows = 4;
  int coefficients = broadcast;
  int run = 0;       // backward with da or db
  int backward = 0;  // likewise
  int stores = cached;
  int prefetch = 0;
  // launched with
  int slice_rows = 256;

  bool operator==(const CpuSchedule&) const = default;

  operator Schedule() const;  // NOLINT(google-explicit-constructor): the same value
  static CpuSchedule from(const Schedule& schedule);
};

const Backend& cpu_backend();

}  // namespace grkan
