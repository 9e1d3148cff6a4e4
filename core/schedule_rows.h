// What makes a backend's struct of named ints a Schedule and back: one table, a row for each
// parameter with the field that holds it.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/backend.h"
#include "core/error.h"
#include "core/schedule.h"

namespace grkan {

template <class Fields>
struct ScheduleRow {
  Parameter parameter;
  int Fields::* field;
};

// The rows' parameters. A text without a launch parameter has the struct's own value of it.
template <class Fields, std::size_t N>
constexpr std::array<Parameter, N> parameters_of(const std::array<ScheduleRow<Fields>, N>& rows) {
  static_assert(N <= kMostParameters, "core/schedule.h: a Schedule has no room for so many values");
  std::array<Parameter, N> parameters;
  for (std::size_t i = 0; i < N; ++i) {
    parameters[i] = rows[i].parameter;
    if (!parameters[i].compiled) parameters[i].absent = Fields{}.*rows[i].field;
  }
  return parameters;
}

template <class Fields, std::size_t N>
Schedule schedule_of(const Backend& backend, const std::array<ScheduleRow<Fields>, N>& rows,
                     const Fields& fields) {
  Schedule schedule{.backend = &backend};
  for (std::size_t i = 0; i < N; ++i) schedule.values[i] = fields.*rows[i].field;
  return schedule;
}

template <class Fields, std::size_t N>
Fields fields_of(const Backend& backend, const std::array<ScheduleRow<Fields>, N>& rows,
                 const Schedule& schedule) {
  if (schedule.backend != &backend) {
    fail_argument("schedule {} is for another kind of device than {}", to_string(schedule),
                  backend.name());
  }
  Fields fields;
  for (std::size_t i = 0; i < N; ++i) fields.*rows[i].field = schedule.values[i];
  return fields;
}

}  // namespace grkan
