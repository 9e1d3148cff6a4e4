// What was learnt from times of CPUs: cpu/learned.txt, which bench/lab/learn/train.py writes
// (core/learned.h has its form).
#pragma once

#include <string_view>

namespace grkan {

std::string_view cpu_learned_data();

}  // namespace grkan
