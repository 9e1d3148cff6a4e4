#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <mlir/Conversion/ArithToLLVM/ArithToLLVM.h>
#include <mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h>
#include <mlir/Conversion/LLVMCommon/ConversionTarget.h>
#include <mlir/Conversion/LLVMCommon/TypeConverter.h>
#include <mlir/Conversion/MathToLLVM/MathToLLVM.h>
#include <mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h>
#include <mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h>
#include <mlir/IR/BuiltinOps.h>
#include <mlir/IR/MLIRContext.h>
#include <mlir/IR/Verifier.h>
#include <mlir/Pass/PassManager.h>
#include <mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h>
#include <mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h>
#include <mlir/Target/LLVMIR/Export.h>
#include <mlir/Transforms/DialectConversion.h>
#include <mlir/Transforms/Passes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <memory>
#include <mutex>

#include "codegen/compiler.h"
#include "codegen/cpu/kernel.h"
#include "core/error.h"

namespace grkan {
namespace {

// One compilation on its way down: the context, the module, and what MLIR complains of.
class CpuCompilation {
 public:
  CpuCompilation(const Task& task, const CpuSchedule& schedule, const Target& target);

  [[nodiscard]] std::string mlir_text();
  // The MLIR module becomes LLVM IR, optimised. Once.
  void lower();
  [[nodiscard]] std::string llvm_text() const;
  [[nodiscard]] std::string machine_code(llvm::CodeGenFileType type);
  [[nodiscard]] const std::string& options() const { return options_; }

 private:
  void lower_mlir();
  void translate();
  void optimise();
  [[noreturn]] void refuse(std::string_view step) const;

  const Target target_;
  const std::string name_;
  std::string options_;
  std::unique_ptr<llvm::TargetMachine> machine_;
  mlir::MLIRContext context_;
  std::string diagnostics_;
  mlir::ScopedDiagnosticHandler handler_;
  mlir::OwningOpRef<mlir::ModuleOp> mlir_;
  llvm::LLVMContext llvm_context_;
  std::unique_ptr<llvm::Module> llvm_;
};

void initialise_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
}

const mlir::DialectRegistry& translations() {
  static const mlir::DialectRegistry registry = [] {
    mlir::DialectRegistry r;
    mlir::registerBuiltinDialectTranslation(r);
    mlir::registerLLVMDialectTranslation(r);
    return r;
  }();
  return registry;
}

struct LlvmTarget {
  std::string triple;
  std::string cpu;
};

LlvmTarget llvm_target(const Target& target) {
  if (target.name == "aarch64") return {"aarch64-unknown-linux-gnu", "generic"};
  return {"x86_64-unknown-linux-gnu", target.name};
}

std::unique_ptr<llvm::TargetMachine> make_machine(const Target& target) {
  initialise_llvm();
  const LlvmTarget names = llvm_target(target);
  const llvm::Triple triple(names.triple);
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (found == nullptr) {
    fail(Status::unsupported, "LLVM has no target for {}: {}", target.name, error);
  }
  llvm::TargetOptions options;
  // Only what the IR calls fma is one.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(triple, names.cpu, /*Features=*/"", options, llvm::Reloc::PIC_,
                                 llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  if (!machine) fail(Status::unsupported, "LLVM cannot generate code for {}", target.name);
  return machine;
}

CpuCompilation::CpuCompilation(const Task& task, const CpuSchedule& schedule, const Target& target)
    : target_(target),
      name_(kernel_symbol(task, compiled_text(schedule))),
      machine_(make_machine(target)),
      context_(translations(), mlir::MLIRContext::Threading::DISABLED),
      handler_(&context_,
               [this](mlir::Diagnostic& diagnostic) {
                 diagnostics_ += diagnostic.str() + "\n";
                 return mlir::success();
               }),
      mlir_(build_cpu_kernel(context_, task, schedule, target)) {
  options_ =
      fmt::format("{} pic small no-builtins vector-width={}", target.name, target.vector_bits());
  if (mlir::failed(mlir::verify(*mlir_))) refuse("verification");
}

void CpuCompilation::refuse(std::string_view step) const {
  fail(Status::compile_failed, "{} for {}: {} failed: {}", name_, target_.name, step, diagnostics_);
}

std::string CpuCompilation::mlir_text() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  mlir::OpPrintingFlags flags;
  flags.printNameLocAsPrefix();
  mlir_->print(stream, flags);
  return text;
}

void CpuCompilation::lower_mlir() {
  mlir::PassManager passes(&context_, mlir::ModuleOp::getOperationName());
  passes.enableVerifier(false);
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
  passes.addPass(mlir::createLoopInvariantCodeMotionPass());
  passes.addPass(mlir::createSCFToControlFlowPass());
  if (mlir::failed(passes.run(*mlir_))) refuse("simplification");

  mlir::LLVMTypeConverter converter(&context_);
  mlir::RewritePatternSet patterns(&context_);
  mlir::arith::populateArithToLLVMConversionPatterns(converter, patterns);
  mlir::populateMathToLLVMConversionPatterns(converter, patterns);
  mlir::cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  mlir::populateVectorToLLVMConversionPatterns(converter, patterns);
  mlir::LLVMConversionTarget target(context_);
  target.addLegalOp<mlir::ModuleOp>();
  if (mlir::failed(mlir::applyFullConversion(*mlir_, target, std::move(patterns)))) {
    refuse("lowering to the LLVM dialect");
  }
}

void CpuCompilation::translate() {
  llvm_ = mlir::translateModuleToLLVMIR(*mlir_, llvm_context_, name_);
  if (!llvm_) refuse("translation to LLVM IR");
  llvm_->setTargetTriple(machine_->getTargetTriple());
  llvm_->setDataLayout(machine_->createDataLayout());
  const std::string width = std::to_string(target_.vector_bits());
  for (llvm::Function& function : *llvm_) {
    if (function.isDeclaration()) continue;
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("no-builtins");
    function.addFnAttr("target-cpu", machine_->getTargetCPU());
    // Vectors of the schedule's width stay whole, also where LLVM would prefer narrower ones.
    function.addFnAttr("prefer-vector-width", width);
    function.addFnAttr("min-legal-vector-width", width);
  }
}

// Enough for code that is already in its loops; O2 takes twice the time and gives the same speed.
void CpuCompilation::optimise() {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine_.get());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()),
                                                       /*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : *llvm_) {
    if (!function.isDeclaration()) passes.run(function, functions);
  }
}

void CpuCompilation::lower() {
  lower_mlir();
  translate();
  optimise();
}

std::string CpuCompilation::llvm_text() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm_->print(stream, nullptr);
  return text;
}

std::string CpuCompilation::machine_code(llvm::CodeGenFileType type) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine_->addPassesToEmitFile(passes, stream, nullptr, type)) {
    fail(Status::unsupported, "LLVM cannot write an object for {}", target_.name);
  }
  passes.run(*llvm_);
  return std::string(bytes);
}

std::string hash_text(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

int code_bytes(std::string_view object) {
  const llvm::MemoryBufferRef buffer(llvm::StringRef(object.data(), object.size()), "object");
  auto file = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!file) {
    fail(Status::internal, "LLVM cannot read its own object: {}", llvm::toString(file.takeError()));
  }
  std::uint64_t bytes = 0;
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    if (section.isText()) bytes += section.getSize();
  }
  return int(bytes);
}

void require_legal(const Task& task, const Schedule& schedule, const Target& target) {
  validate(task);
  if (target.cuda()) fail_argument("target {} is not a CPU", target.name);
  if (const std::string why = why_illegal(task, schedule, target); !why.empty()) {
    fail_argument("schedule {} is illegal for {}: {}", to_string(schedule), to_string(task), why);
  }
}

}  // namespace

Binary compile_cpu(const Task& task, const Schedule& schedule, const Target& target) {
  require_legal(task, schedule, target);
  CpuCompilation compilation(task, CpuSchedule(schedule), target);
  Binary binary;
  binary.task = task;
  binary.compiled_schedule = compiled_text(schedule);
  binary.target = target;
  binary.compiler = compiler_of(target);
  binary.source_hash = hash_text(compilation.mlir_text() + compilation.options());
  compilation.lower();
  binary.code = compilation.machine_code(llvm::CodeGenFileType::ObjectFile);
  KernelResources kernel;
  kernel.symbol = kernel_symbol(task, binary.compiled_schedule);
  kernel.code_bytes = code_bytes(binary.code);
  binary.kernels.push_back(kernel);
  return binary;
}

std::string emit_cpu(const Task& task, const Schedule& schedule, const Target& target,
                     std::string_view stage) {
  require_legal(task, schedule, target);
  if (stage == "schedule") return to_string(schedule) + "\n";
  CpuCompilation compilation(task, CpuSchedule(schedule), target);
  if (stage == "mlir") return compilation.mlir_text();
  compilation.lower();
  if (stage == "llvm") return compilation.llvm_text();
  if (stage == "asm") return compilation.machine_code(llvm::CodeGenFileType::AssemblyFile);
  fail_argument("unknown stage '{}' of a CPU kernel; use mlir, llvm, asm or schedule", stage);
}

}  // namespace grkan
