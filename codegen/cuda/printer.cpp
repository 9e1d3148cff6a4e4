#include "codegen/cuda/printer.h"

#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/Func/IR/FuncOps.h>
#include <mlir/Dialect/Math/IR/Math.h>
#include <mlir/IR/BuiltinOps.h>
#include <mlir/IR/MLIRContext.h>
#include <mlir/Parser/Parser.h>
#include <mlir/Pass/PassManager.h>
#include <mlir/Transforms/Passes.h>

#include <cctype>
#include <map>
#include <set>

#include "codegen/rational.h"
#include "core/error.h"

namespace grkan {
namespace {

using mlir::Operation;
using mlir::Value;

// Prints one function's body. Constants, signs and bit casts are written into their uses; every
// other operation is a statement.
class BodyPrinter {
 public:
  std::string print(mlir::func::FuncOp function, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& results) {
    used_ = {"c", "sum"};
    used_.insert(arguments.begin(), arguments.end());
    used_.insert(results.begin(), results.end());
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      expressions_[key(function.getArgument(unsigned(i)))] = arguments[i];
    }
    for (Operation& op : function.getBody().front()) {
      if (auto end = mlir::dyn_cast<mlir::func::ReturnOp>(op)) {
        print_results(end.getOperands(), results);
      } else {
        print_operation(op);
      }
    }
    return std::move(text_);
  }

 private:
  static const void* key(Value value) { return value.getAsOpaquePointer(); }

  const std::string& expression(Value value) const {
    const auto found = expressions_.find(key(value));
    if (found == expressions_.end()) fail(Status::internal, "a value is used before it is made");
    return found->second;
  }

  static std::string type_name(mlir::Type type) {
    if (type.isF32()) return "float";
    if (type.isF64()) return "double";
    if (type.isInteger(32)) return "unsigned";
    if (type.isInteger(64)) return "unsigned long long";
    if (const auto pair = mlir::dyn_cast<mlir::VectorType>(type);
        pair && pair.getNumElements() == 2) {
      if (pair.getElementType().isF32()) return "float2";
      if (pair.getElementType().isInteger(32)) return "uint2";
    }
    fail(Status::internal, "a type of {} has no CUDA form", printed(type));
  }

  template <class T>
  static std::string printed(T thing) {
    std::string text;
    llvm::raw_string_ostream(text) << thing;
    return text;
  }

  static bool is_pair(mlir::Type type) { return mlir::isa<mlir::VectorType>(type); }

  static std::string constant(mlir::arith::ConstantOp op) {
    const mlir::Attribute value = op.getValue();
    if (const auto both = mlir::dyn_cast<mlir::SplatElementsAttr>(value)) {
      const std::string half = constant(both.getSplatValue<mlir::Attribute>());
      return fmt::format("make_{}({}, {})", type_name(op.getType()), half, half);
    }
    return constant(value);
  }

  static std::string constant(mlir::Attribute value) {
    if (const auto number = mlir::dyn_cast<mlir::FloatAttr>(value)) {
      const bool single = number.getType().isF32();
      type_name(number.getType());
      std::string text = single ? fmt::format("{}", number.getValue().convertToFloat())
                                : fmt::format("{}", number.getValue().convertToDouble());
      if (text.find_first_of("ni") != std::string::npos) {
        fail(Status::internal, "a constant {} has no CUDA form", text);
      }
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      return single ? text + "f" : text;
    }
    if (const auto number = mlir::dyn_cast<mlir::IntegerAttr>(value)) {
      type_name(number.getType());
      const std::string suffix = number.getType().isInteger(32) ? "u" : "ull";
      return fmt::format("{:#x}{}", number.getValue().getZExtValue(), suffix);
    }
    fail(Status::internal, "a constant {} has no CUDA form", printed(value));
  }

  std::string bitcast(mlir::arith::BitcastOp op) const {
    const mlir::Type from = op.getIn().getType();
    const mlir::Type to = op.getOut().getType();
    const std::string& in = expression(op.getIn());
    if (from.isF32() && to.isInteger(32)) return fmt::format("__float_as_uint({})", in);
    if (from.isInteger(32) && to.isF32()) return fmt::format("__uint_as_float({})", in);
    // There is no unsigned form of these two.
    if (from.isF64() && to.isInteger(64)) {
      return fmt::format("static_cast<unsigned long long>(__double_as_longlong({}))", in);
    }
    if (from.isInteger(64) && to.isF64()) {
      return fmt::format("__longlong_as_double(static_cast<long long>({}))", in);
    }
    if (is_pair(from)) {
      return fmt::format("{}({})", type_name(to) == "uint2" ? "bits_of" : "floats_of", in);
    }
    fail(Status::internal, "a bit cast from {} to {} has no CUDA form", printed(from), printed(to));
  }

  void print_operation(Operation& op) {
    namespace arith = mlir::arith;
    namespace math = mlir::math;
    if (auto constant_op = mlir::dyn_cast<arith::ConstantOp>(op)) {
      expressions_[key(op.getResult(0))] = constant(constant_op);
    } else if (auto cast = mlir::dyn_cast<arith::BitcastOp>(op)) {
      expressions_[key(op.getResult(0))] = bitcast(cast);
    } else if (is_pair(op.getResult(0).getType())) {
      print_pair_operation(op);
    } else if (mlir::isa<arith::NegFOp>(op) && op.getResult(0).hasOneUse()) {
      expressions_[key(op.getResult(0))] = negative(operand(op, 0));
    } else if (mlir::isa<arith::NegFOp>(op)) {
      statement(op, negative(operand(op, 0)));
    } else if (mlir::isa<arith::AddFOp>(op)) {
      statement(op, operand(op, 0) + " + " + operand(op, 1));
    } else if (mlir::isa<arith::SubFOp>(op)) {
      statement(op, operand(op, 0) + " - " + operand(op, 1));
    } else if (mlir::isa<arith::MulFOp>(op)) {
      statement(op, operand(op, 0) + " * " + operand(op, 1));
    } else if (mlir::isa<arith::DivFOp>(op)) {
      statement(op, operand(op, 0) + " / " + operand(op, 1));
    } else if (mlir::isa<arith::AndIOp>(op)) {
      statement(op, operand(op, 0) + " & " + operand(op, 1));
    } else if (mlir::isa<arith::XOrIOp>(op)) {
      statement(op, operand(op, 0) + " ^ " + operand(op, 1));
    } else if (mlir::isa<math::AbsFOp>(op)) {
      statement(op, call(op, "fabs"));
    } else if (mlir::isa<math::FmaOp>(op)) {
      statement(op, call(op, "fma"));
    } else if (auto callee = mlir::dyn_cast<mlir::func::CallOp>(op);
               callee && callee.getCallee() == kReciprocalFunction &&
               op.getResult(0).getType().isF32()) {
      statement(op, fmt::format("rcp({})", operand(op, 0)));
    } else {
      fail(Status::internal, "the operation {} has no CUDA form",
           op.getName().getStringRef().str());
    }
  }

  // Operations on two f32 at once: the three that the hardware has, and templates/packed.cu's.
  void print_pair_operation(Operation& op) {
    namespace arith = mlir::arith;
    namespace math = mlir::math;
    std::string_view function;
    if (mlir::isa<math::FmaOp>(op)) function = "__ffma2_rn";
    if (mlir::isa<arith::MulFOp>(op)) function = "__fmul2_rn";
    if (mlir::isa<arith::AddFOp>(op)) function = "__fadd2_rn";
    if (mlir::isa<arith::NegFOp>(op)) function = "minus";
    if (mlir::isa<arith::DivFOp>(op)) function = "divided";
    if (mlir::isa<math::AbsFOp>(op)) function = "magnitude";
    if (mlir::isa<arith::AndIOp>(op)) function = "bits_and";
    if (mlir::isa<arith::XOrIOp>(op)) function = "bits_xor";
    if (auto callee = mlir::dyn_cast<mlir::func::CallOp>(op);
        callee && callee.getCallee() == kReciprocalFunction) {
      function = "minus_rcp";
    }
    if (function.empty()) {
      fail(Status::internal, "the operation {} has no CUDA form for pairs",
           op.getName().getStringRef().str());
    }
    std::vector<std::string> operands;
    for (const Value value : op.getOperands()) operands.push_back(expression(value));
    statement(op, fmt::format("{}({})", function, fmt::join(operands, ", ")));
  }

  // Two minus signs side by side would be a decrement.
  static std::string negative(const std::string& value) {
    return value.starts_with('-') ? fmt::format("-({})", value) : "-" + value;
  }

  std::string operand(Operation& op, unsigned i) const { return expression(op.getOperand(i)); }

  // A call of a function whose f32 form ends in f.
  std::string call(Operation& op, std::string_view function) const {
    std::vector<std::string> operands;
    for (const Value value : op.getOperands()) operands.push_back(expression(value));
    const bool single = op.getResult(0).getType().isF32();
    return fmt::format("{}{}({})", function, single ? "f" : "", fmt::join(operands, ", "));
  }

  // The name that the operation's location gives, made an identifier of its own.
  std::string name_of(Operation& op) {
    std::string name = "value";
    if (const auto location = mlir::dyn_cast<mlir::NameLoc>(op.getLoc())) {
      name = location.getName().str();
    }
    for (char& c : name) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    }
    std::string unique = name;
    for (int i = 2; !used_.insert(unique).second; ++i) unique = fmt::format("{}_{}", name, i);
    return unique;
  }

  void statement(Operation& op, const std::string& value) {
    const std::string name = name_of(op);
    text_ +=
        fmt::format("  const {} {} = {};\n", type_name(op.getResult(0).getType()), name, value);
    expressions_[key(op.getResult(0))] = name;
  }

  void print_results(mlir::OperandRange values, const std::vector<std::string>& results) {
    if (values.size() != results.size()) {
      fail(Status::internal, "a function has {} results where {} are named", values.size(),
           results.size());
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::string& value = expression(values[unsigned(i)]);
      text_ += results[i] == "return" ? fmt::format("  return {};\n", value)
                                      : fmt::format("  {} = {};\n", results[i], value);
    }
  }

  std::map<const void*, std::string> expressions_;
  std::set<std::string> used_;
  std::string text_;
};

void load_dialects(mlir::MLIRContext& context) {
  context.disableMultithreading();
  context
      .loadDialect<mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::func::FuncDialect>();
}

void simplify(mlir::ModuleOp module) {
  mlir::PassManager passes(module.getContext());
  passes.addNestedPass<mlir::func::FuncOp>(mlir::createCanonicalizerPass());
  passes.addNestedPass<mlir::func::FuncOp>(mlir::createCSEPass());
  if (mlir::failed(passes.run(module))) {
    fail(Status::internal, "MLIR refuses the module of a scalar function");
  }
}

// A function under construction: arguments and results with their names in CUDA.
class FunctionBuilder {
 public:
  // packed: on two adjacent columns at once.
  FunctionBuilder(const Task& task, bool packed) : builder_(&context_) {
    load_dialects(context_);
    builder_ = mlir::OpBuilder(&context_);
    type_ = task.problem.math_type() == Type::f64 ? mlir::Type(builder_.getF64Type())
                                                  : mlir::Type(builder_.getF32Type());
    if (packed) type_ = mlir::VectorType::get({2}, type_);
    module_ = mlir::ModuleOp::create(builder_.getUnknownLoc());
    builder_.setInsertionPointToEnd(module_->getBody());
    auto reciprocal =
        mlir::func::FuncOp::create(builder_, builder_.getUnknownLoc(), kReciprocalFunction,
                                   builder_.getFunctionType({type_}, {type_}));
    reciprocal.setPrivate();
    function_ = mlir::func::FuncOp::create(builder_, builder_.getUnknownLoc(), "scalar",
                                           builder_.getFunctionType({}, {}));
    builder_.setInsertionPointToStart(function_.addEntryBlock());
  }

  mlir::OpBuilder& builder() { return builder_; }

  Value argument(const std::string& name) {
    arguments_.push_back(name);
    return function_.getBody().front().addArgument(type_, builder_.getUnknownLoc());
  }
  std::vector<Value> arguments(std::string_view array, int count) {
    std::vector<Value> values;
    for (int i = 0; i < count; ++i) values.push_back(argument(fmt::format("{}[{}]", array, i)));
    return values;
  }
  void result(Value value, const std::string& name) {
    values_.push_back(value);
    results_.push_back(name);
  }

  std::string print() {
    mlir::func::ReturnOp::create(builder_, builder_.getUnknownLoc(), values_);
    const std::vector<mlir::Type> inputs(arguments_.size(), type_);
    const std::vector<mlir::Type> outputs(values_.size(), type_);
    function_.setType(builder_.getFunctionType(inputs, outputs));
    simplify(*module_);
    return BodyPrinter().print(function_, arguments_, results_);
  }

 private:
  mlir::MLIRContext context_;
  mlir::OpBuilder builder_;
  mlir::Type type_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  mlir::func::FuncOp function_;
  std::vector<std::string> arguments_;
  std::vector<std::string> results_;
  std::vector<Value> values_;
};

Coefficients coefficient_arguments(FunctionBuilder& function, const Problem& problem) {
  return {function.arguments("c.a", problem.numerator_terms()),
          function.arguments("c.b", problem.denominator_terms())};
}

Scheme scheme_of(const CudaSchedule& schedule) {
  Scheme scheme;
  if (schedule.division == CudaSchedule::newton) scheme.division = DivisionScheme::newton;
  if (schedule.division == CudaSchedule::approximate) {
    scheme.division = DivisionScheme::approximate;
  }
  if (schedule.polynomial == CudaSchedule::powers) scheme.polynomial = PolynomialScheme::powers;
  if (schedule.polynomial == CudaSchedule::estrin) scheme.polynomial = PolynomialScheme::estrin;
  scheme.minus = schedule.packed != 0;
  return scheme;
}

// The functions of one task and schedule.
class Functions {
 public:
  Functions(const Task& task, const CudaSchedule& schedule)
      : task_(task), packed_(schedule.packed != 0), scheme_(scheme_of(schedule)) {
    type_ = packed_ ? "float2" : task.problem.math_type() == Type::f64 ? "double" : "float";
  }

  [[nodiscard]] std::string prepare() const {
    FunctionBuilder function(task_, packed_);
    const Coefficients raw = coefficient_arguments(function, task_.problem);
    const Coefficients prepared =
        prepare_coefficients(function.builder(), task_.problem, scheme_, raw.a, raw.b);
    const auto give = [&](const std::vector<Value>& before, const std::vector<Value>& after,
                          std::string_view name) {
      for (std::size_t i = 0; i < after.size(); ++i) {
        if (after[i] != before[i]) function.result(after[i], fmt::format("{}[{}]", name, i));
      }
    };
    give(raw.a, prepared.a, "c.a");
    give(raw.b, prepared.b, "c.b");
    return fmt::format("__device__ __forceinline__ void prepare(Coefficients& c) {{\n{}}}\n\n",
                       function.print());
  }

  [[nodiscard]] std::string rational() const {
    FunctionBuilder function(task_, packed_);
    const Coefficients c = coefficient_arguments(function, task_.problem);
    const Value x = function.argument("x");
    function.result(build_forward(function.builder(), task_.problem, scheme_, c, x), "return");
    return fmt::format(
        "__device__ __forceinline__ {0} rational(const Coefficients& c, {0} x) {{\n{1}}}\n\n",
        type_, function.print());
  }

  [[nodiscard]] std::string gradient() const {
    FunctionBuilder function(task_, packed_);
    const Coefficients c = coefficient_arguments(function, task_.problem);
    const Value x = function.argument("x");
    const Value dy = function.argument("dy");
    const std::vector<Value> sums = function.arguments("sum", task_.sum_terms());
    const ElementGradient gradient = build_backward(function.builder(), task_, scheme_, c, x, dy);
    const std::vector<Value> added =
        build_sums(function.builder(), task_, x, gradient.w, gradient.v, sums);
    std::string parameters;
    if (task_.gradients.dx) {
      parameters += fmt::format(", {}& result", type_);
      function.result(gradient.dx, "result");
    }
    if (task_.sum_terms() > 0) parameters += fmt::format(", {} (&sum)[kTerms]", type_);
    for (std::size_t i = 0; i < added.size(); ++i) {
      function.result(added[i], fmt::format("sum[{}]", i));
    }
    return fmt::format(
        "__device__ __forceinline__ void gradient(const Coefficients& c, {0} x, {0} dy{1}) {{\n"
        "{2}}}\n\n",
        type_, parameters, function.print());
  }

 private:
  const Task& task_;
  const bool packed_;
  const Scheme scheme_;
  std::string_view type_;
};

}  // namespace

std::string print_cuda_functions(const Task& task, const CudaSchedule& schedule) {
  const Functions functions(task, schedule);
  std::string text;
  if (cuda_prepares(task.problem, schedule)) text += functions.prepare();
  return text + (task.backward() ? functions.gradient() : functions.rational());
}

bool cuda_prepares(const Problem& problem, const CudaSchedule& schedule) {
  const bool magnitudes = problem.denominator().absolute_terms() && problem.denominator_terms() > 0;
  return magnitudes || schedule.packed != 0;
}

std::string print_cuda_body(std::string_view mlir, const std::vector<std::string>& arguments,
                            const std::vector<std::string>& results) {
  mlir::MLIRContext context;
  load_dialects(context);
  context.allowUnregisteredDialects();
  std::string message;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic& diagnostic) { message += diagnostic.str(); });
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceString<mlir::ModuleOp>(llvm::StringRef(mlir.data(), mlir.size()), &context);
  if (!module) fail(Status::internal, "not a module of MLIR: {}", message);
  for (auto function : module->getOps<mlir::func::FuncOp>()) {
    if (function.isExternal()) continue;
    if (function.getNumArguments() != arguments.size()) {
      fail(Status::internal, "a function has {} arguments where {} are named",
           function.getNumArguments(), arguments.size());
    }
    return BodyPrinter().print(function, arguments, results);
  }
  fail(Status::internal, "the module has no function with a body");
}

}  // namespace grkan
