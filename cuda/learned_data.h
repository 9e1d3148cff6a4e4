// What was learnt from times of GPUs: by the counts of compiled code, cuda/learned.txt, and by what
// is estimated of a schedule alone, cuda/learned_estimated.txt. bench/lab/learn/train.py writes
// them (core/learned.h has their form).
#pragma once

#include <string_view>

namespace grkan {

std::string_view cuda_learned_data();
std::string_view cuda_learned_estimated_data();

}  // namespace grkan
