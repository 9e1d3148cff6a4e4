// The loader of CPU objects: LLVM's own JIT linking as the oracle, and damaged files.
#include <elf.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>

#include <random>

#include "codegen/compiler.h"
#include "core/error.h"
#include "core/sample.h"
#include "cpu/loader.h"
#include "tests/support/cpu_run.h"

namespace grkan {
namespace {

// The entry of an object as LLVM links it; lives as long as the JIT.
class LlvmModule {
 public:
  LlvmModule(const std::string& object, const std::string& symbol) {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    jit_ = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    llvm::cantFail(jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)));
    entry_ = llvm::cantFail(jit_->lookup(symbol)).toPtr<CpuKernel>();
  }
  [[nodiscard]] CpuKernel entry() const { return entry_; }

 private:
  std::unique_ptr<llvm::orc::LLJIT> jit_;
  CpuKernel entry_ = nullptr;
};

class CpuLoader : public testing::Test {
 protected:
  void SetUp() override {
    if (host_target().name.empty()) GTEST_SKIP() << "this processor is below x86-64-v3";
  }
};

Binary compile_text(const char* task, const char* schedule) {
  const Target target = host_target();
  return compile_cpu(parse_task(task), CpuSchedule(parse_schedule(schedule, target)), target);
}

Binary some_kernel() {
  return compile_text("backward.dx.da.db/p5q4-A-c24-g3-bf16-last", "v8_u2_r4_bcast_run32_split_nt");
}

bool same(const SampleBuffer& a, const SampleBuffer& b) {
  return a.bytes() == b.bytes() &&
         (a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

TEST_F(CpuLoader, RunsTheSameBitsAsLlvmsLinking) {
  RandomCases random(7);
  const Target target = host_target();
  for (int i = 0; i < 25; ++i) {
    const Task task = random.task();
    const CpuSchedule schedule = random.schedule(task, target);
    const Binary binary = compile_cpu(task, schedule, target);
    const std::string& symbol = binary.kernels.at(0).symbol;
    const CpuModule ours(binary.code);
    const LlvmModule llvms(binary.code, symbol);
    const bool first = task.problem.layout == Layout::channels_first;
    const SampleOptions options{.rows = 9, .inner = first ? 5 : 1};
    Sample a(task, options);
    Sample b(task, options);
    const Call a_call = a.call();
    const Call b_call = b.call();
    CpuRun(task, schedule, a_call).run(ours.entry(symbol));
    CpuRun(task, schedule, b_call).run(llvms.entry());
    EXPECT_TRUE(same(a.out, b.out) && same(a.da, b.da) && same(a.db, b.db)) << symbol;
  }
}

std::string message_of(std::string_view object) {
  try {
    const CpuModule module(object);
    (void)module.entry("grkan_nothing");
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::io_error);
    return e.what();
  }
  return "no error";
}

TEST_F(CpuLoader, ErrorsSayWhatIsWrong) {
  const Binary binary = some_kernel();
  EXPECT_EQ(message_of(binary.code), "CPU object: it has no function 'grkan_nothing'; it has " +
                                         binary.kernels.at(0).symbol);
  EXPECT_EQ(message_of(""),
            "CPU object: the ELF header at 0 of 64 bytes lies past the end of 0 bytes");
  EXPECT_EQ(message_of(std::string(100, 'x')), "CPU object: it does not begin as ELF");
  const bool x86 = host_target().name != "aarch64";
  const Task task = parse_task("forward/p1q1-A-c8-g1-f32-last");
  const Binary foreign = compile_cpu(task, CpuSchedule{}, Target{x86 ? "aarch64" : "x86-64-v3"});
  EXPECT_NE(message_of(foreign.code).find("it is for machine"), std::string::npos);
}

// The object with one field of its header, of the first section of a type or of the first
// relocation replaced.
template <class Record, class Value>
std::string patched(std::string object, std::uint64_t at, Value Record::* field, Value value) {
  Record record;
  std::memcpy(&record, object.data() + at, sizeof(record));
  record.*field = value;
  std::memcpy(object.data() + at, &record, sizeof(record));
  return object;
}

std::uint64_t section_at(const std::string& object, std::uint32_t type) {
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof(header));
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    const std::uint64_t at = header.e_shoff + i * sizeof(section);
    std::memcpy(&section, object.data() + at, sizeof(section));
    if (section.sh_type == type) return at;
  }
  ADD_FAILURE() << "no section of type " << type;
  return 0;
}

std::uint64_t content_at(const std::string& object, std::uint32_t type) {
  Elf64_Shdr section;
  std::memcpy(&section, object.data() + section_at(object, type), sizeof(section));
  return section.sh_offset;
}

TEST_F(CpuLoader, RefusesWhatNoGeneratedObjectHas) {
  const std::string object = some_kernel().code;
  const std::uint64_t symbols = content_at(object, SHT_SYMTAB);
  const std::uint64_t relocations = content_at(object, SHT_RELA);
  const auto has = [](const std::string& changed, const char* words) {
    const std::string message = message_of(changed);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  // The last symbol is the kernel: global ones come after local ones.
  Elf64_Shdr table;
  std::memcpy(&table, object.data() + section_at(object, SHT_SYMTAB), sizeof(table));
  const std::uint64_t kernel = symbols + table.sh_size - sizeof(Elf64_Sym);
  has(patched(object, kernel, &Elf64_Sym::st_shndx, Elf64_Half{SHN_UNDEF}),
      "symbol 'grkan_bwd_dxdadb_p5q4_A_c24_g3_bf16_last__v8_u2_r4_bcast_run32_split_nt' is "
      "undefined");
  has(patched(object, kernel, &Elf64_Sym::st_value, Elf64_Addr{1} << 40), "no loaded section");
  has(patched(object, kernel, &Elf64_Sym::st_name, Elf64_Word{1} << 30), "past its string table");
  has(patched(object, relocations, &Elf64_Rela::r_offset, Elf64_Addr{1} << 40),
      "lies past its section");
  has(patched(object, relocations, &Elf64_Rela::r_info, Elf64_Xword{0xffff} << 32),
      "names symbol 65535");
  Elf64_Rela relocation;
  std::memcpy(&relocation, object.data() + relocations, sizeof(relocation));
  const Elf64_Xword unknown = relocation.r_info >> 32 << 32 | 255;
  has(patched(object, relocations, &Elf64_Rela::r_info, unknown), "relocation type 255 is unknown");
  const std::uint64_t code = section_at(object, SHT_PROGBITS);
  has(patched(object, code, &Elf64_Shdr::sh_flags, Elf64_Xword{SHF_ALLOC | SHF_WRITE}),
      "is writable");
  has(patched(object, code, &Elf64_Shdr::sh_addralign, Elf64_Xword{3}), "alignment 3");
  has(patched(object, code, &Elf64_Shdr::sh_offset, Elf64_Off{1} << 60), "past the end");
  has(patched(object, 0, &Elf64_Ehdr::e_shoff, Elf64_Off{1} << 60), "past the end");
  has(patched(object, 0, &Elf64_Ehdr::e_shentsize, Elf64_Half{8}), "section headers have 8 bytes");
}

// Loading may succeed or throw io_error; it may do nothing else.
void load_quietly(std::string_view object) {
  try {
    const CpuModule module(object);
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::io_error) << e.what();
  }
}

TEST_F(CpuLoader, DamagedObjectsNeverCrash) {
  const std::string object = some_kernel().code;
  for (std::size_t size = 0; size < object.size(); ++size) load_quietly(object.substr(0, size));
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = object;
    const std::size_t flips = 1 + random() % 8;
    // Half of the flips hit what is structure: the end of the file, where the tables are.
    for (std::size_t f = 0; f < flips; ++f) {
      const std::size_t tail = std::min<std::size_t>(damaged.size(), 1024);
      const std::size_t at =
          random() % 2 == 0 ? random() % damaged.size() : damaged.size() - tail + random() % tail;
      damaged[at] = char(random());
    }
    load_quietly(damaged);
  }
}

TEST_F(CpuLoader, MovesLikeAValue) {
  const Binary binary = some_kernel();
  const std::string& symbol = binary.kernels.at(0).symbol;
  CpuModule first(binary.code);
  const CpuKernel entry = first.entry(symbol);
  CpuModule second(std::move(first));
  EXPECT_EQ(second.entry(symbol), entry);
  CpuModule third(some_kernel().code);
  third = std::move(second);
  EXPECT_EQ(third.entry(symbol), entry);
}

}  // namespace
}  // namespace grkan
