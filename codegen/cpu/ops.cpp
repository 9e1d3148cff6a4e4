#include "codegen/cpu/ops.h"

#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/LLVMIR/LLVMDialect.h>
#include <mlir/Dialect/SCF/IR/SCF.h>
#include <mlir/Dialect/Vector/IR/VectorOps.h>
#include <mlir/IR/Matchers.h>

namespace grkan {
namespace arith = mlir::arith;
namespace llvmir = mlir::LLVM;
using mlir::Value;

std::optional<std::int64_t> CpuOps::constant_of(Value value) {
  llvm::APInt constant;
  if (!mlir::matchPattern(value, mlir::m_ConstantInt(&constant))) return std::nullopt;
  return constant.getSExtValue();
}

mlir::Location CpuOps::location(std::string_view name) const {
  return mlir::NameLoc::get(builder_.getStringAttr(llvm::StringRef(name.data(), name.size())));
}

mlir::Type CpuOps::wide(mlir::Type element, int width) const {
  if (width == 1) return element;
  return mlir::VectorType::get({width}, element);
}

Value CpuOps::integer(std::int64_t value) {
  return arith::ConstantOp::create(builder_, location("c" + std::to_string(value)),
                                   builder_.getI64IntegerAttr(value));
}

Value CpuOps::add(Value a, Value b, std::string_view name) {
  const auto ca = constant_of(a);
  const auto cb = constant_of(b);
  if (ca && cb) return integer(*ca + *cb);
  if (ca == 0) return b;
  if (cb == 0) return a;
  return arith::AddIOp::create(builder_, location(name), a, b);
}

Value CpuOps::sub(Value a, Value b, std::string_view name) {
  const auto ca = constant_of(a);
  const auto cb = constant_of(b);
  if (ca && cb) return integer(*ca - *cb);
  if (cb == 0) return a;
  return arith::SubIOp::create(builder_, location(name), a, b);
}

Value CpuOps::mul(Value a, Value b, std::string_view name) {
  const auto ca = constant_of(a);
  const auto cb = constant_of(b);
  if (ca && cb) return integer(*ca * *cb);
  if (ca == 1) return b;
  if (cb == 1) return a;
  return arith::MulIOp::create(builder_, location(name), a, b);
}

Value CpuOps::min(Value a, Value b, std::string_view name) {
  const auto ca = constant_of(a);
  const auto cb = constant_of(b);
  if (ca && cb) return integer(std::min(*ca, *cb));
  return arith::MinSIOp::create(builder_, location(name), a, b);
}

Value CpuOps::divide(Value a, std::int64_t b, std::string_view name) {
  if (b == 1) return a;
  if (const auto ca = constant_of(a)) return integer(*ca / b);
  return arith::DivUIOp::create(builder_, location(name), a, integer(b));
}

Value CpuOps::round_down(Value a, std::int64_t b, std::string_view name) {
  return mul(divide(a, b, name), integer(b), name);
}

CpuOps::Values CpuOps::loop(Value begin, Value end, std::int64_t step, const Values& carried,
                            const std::function<Values(Value, const Values&)>& body,
                            std::string_view name) {
  const auto first = constant_of(begin);
  const auto last = constant_of(end);
  if (first && last && *first >= *last) return carried;
  if (first && last && *last - *first <= step) return body(begin, carried);
  auto op = mlir::scf::ForOp::create(builder_, location(name), begin, end, integer(step), carried);
  const mlir::OpBuilder::InsertionGuard guard(builder_);
  builder_.setInsertionPointToStart(op.getBody());
  op.getInductionVar().setLoc(location(name));
  const Values results = body(op.getInductionVar(),
                              Values(op.getRegionIterArgs().begin(), op.getRegionIterArgs().end()));
  // A loop that carries nothing comes with its terminator.
  if (!carried.empty()) mlir::scf::YieldOp::create(builder_, location(name), results);
  return Values(op.getResults().begin(), op.getResults().end());
}

void CpuOps::loop(Value begin, Value end, std::int64_t step, const std::function<void(Value)>& body,
                  std::string_view name) {
  loop(
      begin, end, step, {},
      [&](Value i, const Values&) {
        body(i);
        return Values();
      },
      name);
}

Value CpuOps::pointer_field(Value base, std::size_t offset, std::string_view name) {
  const mlir::Type pointer = llvmir::LLVMPointerType::get(builder_.getContext());
  const Value at =
      llvmir::GEPOp::create(builder_, location(name), pointer, builder_.getI8Type(), base,
                            mlir::ArrayRef<llvmir::GEPArg>{std::int32_t(offset)});
  return llvmir::LoadOp::create(builder_, location(name), pointer, at);
}

Value CpuOps::integer_field(Value base, std::size_t offset, std::string_view name) {
  const mlir::Type pointer = llvmir::LLVMPointerType::get(builder_.getContext());
  const Value at =
      llvmir::GEPOp::create(builder_, location(name), pointer, builder_.getI8Type(), base,
                            mlir::ArrayRef<llvmir::GEPArg>{std::int32_t(offset)});
  return llvmir::LoadOp::create(builder_, location(name), builder_.getI64Type(), at);
}

Value CpuOps::address(Value base, Type type, Value index, std::string_view name) {
  if (constant_of(index) == 0) return base;
  const mlir::Type element = type == Type::f64   ? builder_.getF64Type()
                             : type == Type::f32 ? mlir::Type(builder_.getF32Type())
                                                 : mlir::Type(builder_.getI16Type());
  return llvmir::GEPOp::create(builder_, location(name), base.getType(), element, base,
                               mlir::ArrayRef<llvmir::GEPArg>{index});
}

mlir::Type CpuOps::math_type(Type type, int width) {
  return wide(type == Type::f64 ? mlir::Type(builder_.getF64Type()) : builder_.getF32Type(), width);
}

Value CpuOps::splat(mlir::Type type, std::int64_t bits) {
  const mlir::Type element = mlir::getElementTypeOrSelf(type);
  mlir::TypedAttr attribute = builder_.getIntegerAttr(element, bits);
  if (const auto vector = mlir::dyn_cast<mlir::VectorType>(type)) {
    attribute = mlir::DenseElementsAttr::get(vector, mlir::ArrayRef<mlir::Attribute>{attribute});
  }
  return arith::ConstantOp::create(builder_, location("k"), attribute);
}

Value CpuOps::zero(Type type, int width) {
  return arith::ConstantOp::create(builder_, location("zero"),
                                   builder_.getZeroAttr(math_type(type, width)));
}

Value CpuOps::broadcast(Value scalar, int width) {
  if (width == 1) return scalar;
  return mlir::vector::BroadcastOp::create(builder_, scalar.getLoc(), wide(scalar.getType(), width),
                                           scalar);
}

Value CpuOps::load(Value address, Type type, int width, std::string_view name) {
  const auto alignment = unsigned(size_of(type));
  const auto load_as = [&](mlir::Type element) -> Value {
    return llvmir::LoadOp::create(builder_, location(name), wide(element, width), address,
                                  alignment);
  };
  switch (type) {
    case Type::f64:
      return load_as(builder_.getF64Type());
    case Type::f32:
      return load_as(builder_.getF32Type());
    case Type::f16:
      return arith::ExtFOp::create(builder_, location(name), math_type(type, width),
                                   load_as(builder_.getF16Type()));
    case Type::bf16:
      return from_bf16(load_as(builder_.getI16Type()), width, name);
  }
  return {};
}

void CpuOps::prefetch(Value address) {
  constexpr std::uint32_t kRead = 0;
  constexpr std::uint32_t kKeep = 3;  // in all levels
  constexpr std::uint32_t kData = 1;
  llvmir::Prefetch::create(builder_, location("ahead"), address, kRead, kKeep, kData);
}

void CpuOps::store(Value value, Value address, Type type, int width, unsigned alignment,
                   bool nontemporal) {
  if (type == Type::f16) {
    value = arith::TruncFOp::create(builder_, location("half"), wide(builder_.getF16Type(), width),
                                    value);
  } else if (type == Type::bf16) {
    value = to_bf16(value, width);
  }
  llvmir::StoreOp::create(builder_, location("store"), value, address, alignment,
                          /*isVolatile=*/false, nontemporal);
}

Value CpuOps::from_bf16(Value bits, int width, std::string_view name) {
  const mlir::Type i32 = wide(builder_.getI32Type(), width);
  const Value extended = arith::ExtUIOp::create(builder_, location(name), i32, bits);
  const Value shifted = arith::ShLIOp::create(builder_, location(name), extended, splat(i32, 16));
  return arith::BitcastOp::create(builder_, location(name), math_type(Type::f32, width), shifted);
}

// Round to nearest, ties to even, on the bits: LLVM's own conversion is a library call on most
// processors. The carry out of a NaN's payload could reach infinity, so a NaN is made quiet
// instead.
Value CpuOps::to_bf16(Value value, int width) {
  const mlir::Location at = location("bf16");
  const mlir::Type i32 = wide(builder_.getI32Type(), width);
  const Value bits = arith::BitcastOp::create(builder_, at, i32, value);
  const Value high = arith::ShRUIOp::create(builder_, at, bits, splat(i32, 16));
  const Value odd = arith::AndIOp::create(builder_, at, high, splat(i32, 1));
  const Value half = arith::AddIOp::create(builder_, at, odd, splat(i32, 0x7fff));
  const Value sum = arith::AddIOp::create(builder_, at, bits, half);
  const Value rounded = arith::ShRUIOp::create(builder_, at, sum, splat(i32, 16));
  const Value quiet = arith::OrIOp::create(builder_, at, high, splat(i32, 0x40));
  const Value nan = arith::CmpFOp::create(builder_, at, arith::CmpFPredicate::UNO, value, value);
  const Value chosen = arith::SelectOp::create(builder_, at, nan, quiet, rounded);
  return arith::TruncIOp::create(builder_, at, wide(builder_.getI16Type(), width), chosen);
}

void CpuOps::add_to_sums(Value value, Value sums, Type type, int width, int lanes) {
  const mlir::Location at = location("sum");
  const Value old = load(sums, Type::f64, width, "sum");
  constexpr unsigned kAlignment = sizeof(double);
  if (type != Type::f64) {
    const Value term = arith::ExtFOp::create(builder_, at, math_type(Type::f64, width), value);
    const Value sum = arith::AddFOp::create(builder_, at, old, term);
    store(sum, sums, Type::f64, width, kAlignment, false);
    return;
  }
  // Knuth's two_sum: the rounding error of old + value, exactly.
  const auto add = [&](Value a, Value b) { return arith::AddFOp::create(builder_, at, a, b); };
  const auto sub = [&](Value a, Value b) { return arith::SubFOp::create(builder_, at, a, b); };
  const Value sum = add(old, value);
  const Value part = sub(sum, old);
  const Value error = add(sub(old, sub(sum, part)), sub(value, part));
  const Value error_at = address(sums, Type::f64, integer(lanes), "sum_error");
  const Value old_error = load(error_at, Type::f64, width, "sum_error");
  store(sum, sums, Type::f64, width, kAlignment, false);
  store(add(old_error, error), error_at, Type::f64, width, kAlignment, false);
}

}  // namespace grkan
