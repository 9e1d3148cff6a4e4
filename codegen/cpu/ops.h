// Small vocabulary of the CPU kernels: integers, loops, addresses, and tensor elements as values of
// the arithmetic's type. A "width" is a number of adjacent elements: 1 is a scalar, more a vector.
#pragma once

#include <mlir/IR/Builders.h>
#include <mlir/IR/Value.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "core/problem.h"

namespace grkan {

class CpuOps {
 public:
  explicit CpuOps(mlir::OpBuilder& builder) : builder_(builder) {}

  [[nodiscard]] mlir::OpBuilder& builder() const { return builder_; }

  // 64-bit integers; operations on constants fold at once.
  mlir::Value integer(std::int64_t value);
  static std::optional<std::int64_t> constant_of(mlir::Value value);
  mlir::Value add(mlir::Value a, mlir::Value b, std::string_view name);
  mlir::Value sub(mlir::Value a, mlir::Value b, std::string_view name);
  mlir::Value mul(mlir::Value a, mlir::Value b, std::string_view name);
  mlir::Value min(mlir::Value a, mlir::Value b, std::string_view name);
  mlir::Value divide(mlir::Value a, std::int64_t b, std::string_view name);      // a >= 0, b > 0
  mlir::Value round_down(mlir::Value a, std::int64_t b, std::string_view name);  // a >= 0, b > 0

  // for (i = begin; i < end; i += step) carried = body(i, carried); gives the last carried.
  using Values = std::vector<mlir::Value>;
  Values loop(mlir::Value begin, mlir::Value end, std::int64_t step, const Values& carried,
              const std::function<Values(mlir::Value, const Values&)>& body, std::string_view name);
  void loop(mlir::Value begin, mlir::Value end, std::int64_t step,
            const std::function<void(mlir::Value)>& body, std::string_view name);

  // A field of a struct in memory.
  mlir::Value pointer_field(mlir::Value base, std::size_t offset, std::string_view name);
  mlir::Value integer_field(mlir::Value base, std::size_t offset, std::string_view name);

  // base + index elements of `type`.
  mlir::Value address(mlir::Value base, Type type, mlir::Value index, std::string_view name);

  // The arithmetic's type for `type` tensors, `width` elements.
  mlir::Type math_type(Type type, int width);
  mlir::Value zero(Type type, int width);
  // The same value in `width` lanes.
  mlir::Value broadcast(mlir::Value scalar, int width);

  // Elements of a tensor, converted from and to the arithmetic's type (f16 and bf16: f32). The
  // address is aligned to one element, unless a store says that it is to more bytes.
  mlir::Value load(mlir::Value address, Type type, int width, std::string_view name);
  void store(mlir::Value value, mlir::Value address, Type type, int width, unsigned alignment,
             bool nontemporal);

  // Asks for the cache line that holds the address; never faults.
  void prefetch(mlir::Value address);

  // [0] += value; for f64, compensated: [0] + [1] += value. The sums are double[2][lanes].
  void add_to_sums(mlir::Value value, mlir::Value sums, Type type, int width, int lanes);

 private:
  [[nodiscard]] mlir::Location location(std::string_view name) const;
  [[nodiscard]] mlir::Type wide(mlir::Type element, int width) const;
  mlir::Value splat(mlir::Type type, std::int64_t bits);

  mlir::Value from_bf16(mlir::Value bits, int width, std::string_view name);
  mlir::Value to_bf16(mlir::Value value, int width);

  mlir::OpBuilder& builder_;
};

}  // namespace grkan
