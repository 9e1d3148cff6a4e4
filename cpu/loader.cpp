#include "cpu/loader.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "core/error.h"

namespace grkan {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#else
constexpr int kMachine = EM_NONE;  // no object is for it
#endif

// Generated objects have a few KB; the limit keeps sums of offsets far from overflow.
constexpr std::size_t kLargestObject = std::size_t{1} << 28;
constexpr std::size_t kLargestAlignment = 4096;

template <class... Args>
[[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(Status::io_error, "CPU object: " + fmt::format(format, std::forward<Args>(args)...));
}

// The file's bytes, with every read checked. Reads copy: nothing in the file need be aligned.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::string_view range(std::uint64_t offset, std::uint64_t size,
                                       const char* what) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      malformed("{} at {} of {} bytes lies past the end of {} bytes", what, offset, size,
                bytes_.size());
    }
    return bytes_.substr(offset, size);
  }
  template <class T>
  [[nodiscard]] T read(std::uint64_t offset, const char* what) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    const std::string_view content = range(offset, sizeof(T), what);
    std::memcpy(&value, content.data(), content.size());
    return value;
  }
  template <class T>
  [[nodiscard]] std::vector<T> table(const Elf64_Shdr& section, const char* what) const {
    if (section.sh_size % sizeof(T) != 0) {
      malformed("{} has {} bytes, which is not a multiple of {}", what, section.sh_size, sizeof(T));
    }
    const std::string_view content = range(section.sh_offset, section.sh_size, what);
    std::vector<T> entries(content.size() / sizeof(T));
    if (!entries.empty()) std::memcpy(entries.data(), content.data(), content.size());
    return entries;
  }

 private:
  std::string_view bytes_;
};

// A name in a string table: it ends at a zero within the table.
std::string_view name_at(std::string_view names, std::uint64_t offset) {
  const std::size_t end = offset < names.size() ? names.find('\0', offset) : std::string_view::npos;
  if (end == std::string_view::npos) malformed("a name at {} lies past its string table", offset);
  return names.substr(offset, end - offset);
}

// One object being loaded.
class Loader {
 public:
  explicit Loader(std::string_view bytes);

  [[nodiscard]] std::size_t memory_bytes() const { return code_bytes_ + data_bytes_; }
  [[nodiscard]] std::size_t code_bytes() const { return code_bytes_; }
  // Copies and relocates into memory_bytes() of zeroed, writable, page-aligned memory.
  void place(std::span<std::byte> memory) const;
  [[nodiscard]] std::vector<std::pair<std::string, CpuKernel>> functions(std::byte* memory) const;

 private:
  void read_sections();
  void read_symbols();
  void lay_out();
  std::size_t lay_out(bool code, std::size_t begin);
  [[nodiscard]] bool placed(std::size_t section) const {
    return section < sections_.size() && (sections_[section].sh_flags & SHF_ALLOC) != 0;
  }
  [[nodiscard]] std::uint64_t symbol_offset(std::uint64_t symbol) const;
  void relocate(std::span<std::byte> memory, const Elf64_Shdr& section) const;

  Reader reader_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<std::size_t> offsets_;  // in memory, of each section that is placed
  std::vector<Elf64_Sym> symbols_;
  std::string_view symbol_names_;
  std::size_t code_bytes_ = 0;  // whole pages: code first, then data
  std::size_t data_bytes_ = 0;
};

std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

std::size_t page_bytes() {
  static const auto bytes = std::size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

Loader::Loader(std::string_view bytes) : reader_(bytes) {
  if (bytes.size() > kLargestObject) {
    malformed("{} bytes are more than the limit of {}", bytes.size(), kLargestObject);
  }
  read_sections();
  read_symbols();
  lay_out();
}

void Loader::read_sections() {
  const auto header = reader_.read<Elf64_Ehdr>(0, "the ELF header");
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) malformed("it does not begin as ELF");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_type != ET_REL) {
    malformed("class {}, byte order {}, type {}; expected a 64-bit little-endian relocatable file",
              header.e_ident[EI_CLASS], header.e_ident[EI_DATA], header.e_type);
  }
  if (header.e_machine != kMachine) {
    malformed("it is for machine {}; this one is {}", header.e_machine, kMachine);
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr)) {
    malformed("section headers have {} bytes; expected {}", header.e_shentsize, sizeof(Elf64_Shdr));
  }
  Elf64_Shdr table{};
  table.sh_offset = header.e_shoff;
  table.sh_size = std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr);
  sections_ = reader_.table<Elf64_Shdr>(table, "the section table");
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != SHT_NOBITS) {
      (void)reader_.range(section.sh_offset, section.sh_size, "a section");
    }
  }
}

void Loader::read_symbols() {
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != SHT_SYMTAB) continue;
    if (!symbols_.empty()) malformed("it has two symbol tables");
    symbols_ = reader_.table<Elf64_Sym>(section, "the symbol table");
    if (section.sh_link >= sections_.size() || sections_[section.sh_link].sh_type != SHT_STRTAB) {
      malformed("the symbol table's names are in section {}, which is no string table",
                section.sh_link);
    }
    const Elf64_Shdr& names = sections_[section.sh_link];
    symbol_names_ = reader_.range(names.sh_offset, names.sh_size, "the symbols' names");
  }
  for (std::size_t i = 1; i < symbols_.size(); ++i) {
    if (symbols_[i].st_shndx == SHN_UNDEF) {
      malformed("symbol '{}' is undefined; generated kernels call nothing",
                name_at(symbol_names_, symbols_[i].st_name));
    }
  }
}

// Code and data get pages of their own, so that no page is both written to and run.
void Loader::lay_out() {
  offsets_.assign(sections_.size(), 0);
  code_bytes_ = lay_out(true, 0);
  data_bytes_ = lay_out(false, code_bytes_) - code_bytes_;
  if (code_bytes_ == 0) malformed("it has no code");
}

std::size_t Loader::lay_out(bool code, std::size_t begin) {
  std::size_t end = begin;
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const Elf64_Shdr& section = sections_[i];
    if (!placed(i) || ((section.sh_flags & SHF_EXECINSTR) != 0) != code) continue;
    if ((section.sh_flags & (SHF_WRITE | SHF_TLS)) != 0 || section.sh_type == SHT_NOBITS) {
      malformed("section {} is writable (flags {:#x}); generated kernels have no such data", i,
                section.sh_flags);
    }
    const std::size_t alignment = std::max<std::size_t>(1, section.sh_addralign);
    if (alignment > kLargestAlignment || (alignment & (alignment - 1)) != 0) {
      malformed("section {} has alignment {}; expected a power of two up to {}", i, alignment,
                kLargestAlignment);
    }
    offsets_[i] = round_up(end, alignment);
    end = offsets_[i] + section.sh_size;
    if (end > kLargestObject) malformed("its sections need more than {} bytes", kLargestObject);
  }
  return round_up(end, page_bytes());
}

void Loader::place(std::span<std::byte> memory) const {
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    if (!placed(i)) continue;
    const Elf64_Shdr& section = sections_[i];
    const std::string_view content =
        reader_.range(section.sh_offset, section.sh_size, "a section's content");
    if (!content.empty()) std::memcpy(&memory[offsets_[i]], content.data(), content.size());
  }
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type == SHT_REL && placed(section.sh_info)) {
      malformed("it has relocations without addends; expected RELA");
    }
    if (section.sh_type == SHT_RELA && placed(section.sh_info)) relocate(memory, section);
  }
}

// Where a symbol lies, from the begin of the memory.
std::uint64_t Loader::symbol_offset(std::uint64_t symbol) const {
  if (symbol >= symbols_.size()) {
    malformed("a relocation names symbol {} of {}", symbol, symbols_.size());
  }
  const Elf64_Sym& s = symbols_[symbol];
  if (!placed(s.st_shndx) || s.st_value > sections_[s.st_shndx].sh_size) {
    malformed("symbol '{}' lies in no loaded section", name_at(symbol_names_, s.st_name));
  }
  return offsets_[s.st_shndx] + s.st_value;
}

// The bits of an AArch64 instruction at `place` that a relocation fills.
void set_bits(std::byte* place, std::uint32_t mask, std::uint32_t bits) {
  std::uint32_t word = 0;
  std::memcpy(&word, place, sizeof(word));
  word = (word & ~mask) | (bits & mask);
  std::memcpy(place, &word, sizeof(word));
}

template <class T>
void write_as(std::byte* place, std::int64_t value, std::uint32_t type) {
  const auto narrow = static_cast<T>(value);
  if (static_cast<std::int64_t>(narrow) != value) {
    malformed("a relocation of type {} overflows with {}", type, value);
  }
  std::memcpy(place, &narrow, sizeof(T));
}

// S + A for the absolute kinds, S + A - P for the relative ones (System V ABI of each machine).
void apply_x86_64(std::byte* place, std::size_t room, std::uint32_t type, std::uint64_t target) {
  const auto absolute = std::int64_t(target);
  const auto relative = std::int64_t(target - reinterpret_cast<std::uint64_t>(place));
  const std::size_t size = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
  if (type == R_X86_64_NONE) return;
  if (room < size) malformed("a relocation of {} bytes crosses the end of its section", size);
  switch (type) {
    case R_X86_64_64:
      return write_as<std::int64_t>(place, absolute, type);
    case R_X86_64_PC64:
      return write_as<std::int64_t>(place, relative, type);
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
      return write_as<std::int32_t>(place, relative, type);
    case R_X86_64_32:
      return write_as<std::uint32_t>(place, absolute, type);
    case R_X86_64_32S:
      return write_as<std::int32_t>(place, absolute, type);
    default:
      malformed("relocation type {} is unknown", type);
  }
}

void apply_aarch64(std::byte* place, std::size_t room, std::uint32_t type, std::uint64_t target) {
  const auto at = reinterpret_cast<std::uint64_t>(place);
  const auto relative = std::int64_t(target - at);
  const std::size_t size = type == R_AARCH64_ABS64 || type == R_AARCH64_PREL64 ? 8 : 4;
  if (type == R_AARCH64_NONE) return;
  if (room < size) malformed("a relocation of {} bytes crosses the end of its section", size);
  // The low 12 bits of an address, in units of the access, at bit 10.
  const auto low = [&](unsigned shift) {
    set_bits(place, 0xfffU << 10, std::uint32_t((target & 0xfff) >> shift) << 10);
  };
  switch (type) {
    case R_AARCH64_ABS64:
      return write_as<std::int64_t>(place, std::int64_t(target), type);
    case R_AARCH64_PREL64:
      return write_as<std::int64_t>(place, relative, type);
    case R_AARCH64_PREL32:
      return write_as<std::int32_t>(place, relative, type);
    case R_AARCH64_ADR_PREL_PG_HI21: {
      const std::int64_t pages = (std::int64_t(target) >> 12) - (std::int64_t(at) >> 12);
      if (pages < -(1 << 20) || pages >= (1 << 20)) malformed("a page is out of reach");
      const auto bits = std::uint32_t(pages);
      return set_bits(place, (3U << 29) | (0x7ffffU << 5),
                      ((bits & 3) << 29) | (((bits >> 2) & 0x7ffff) << 5));
    }
    case R_AARCH64_ADD_ABS_LO12_NC:
    case R_AARCH64_LDST8_ABS_LO12_NC:
      return low(0);
    case R_AARCH64_LDST16_ABS_LO12_NC:
      return low(1);
    case R_AARCH64_LDST32_ABS_LO12_NC:
      return low(2);
    case R_AARCH64_LDST64_ABS_LO12_NC:
      return low(3);
    case R_AARCH64_LDST128_ABS_LO12_NC:
      return low(4);
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26: {
      const std::int64_t words = relative >> 2;
      if (words < -(1 << 25) || words >= (1 << 25)) malformed("a call is out of reach");
      return set_bits(place, 0x3ffffffU, std::uint32_t(words));
    }
    default:
      malformed("relocation type {} is unknown", type);
  }
}

void Loader::relocate(std::span<std::byte> memory, const Elf64_Shdr& section) const {
  const Elf64_Shdr& patched = sections_[section.sh_info];
  for (const Elf64_Rela& r : reader_.table<Elf64_Rela>(section, "a relocation table")) {
    if (r.r_offset > patched.sh_size) {
      malformed("a relocation at {} lies past its section of {} bytes", r.r_offset,
                patched.sh_size);
    }
    const std::size_t room = patched.sh_size - r.r_offset;
    if (room == 0) malformed("a relocation lies at the end of its section");
    const std::uint64_t target = reinterpret_cast<std::uint64_t>(memory.data()) +
                                 symbol_offset(ELF64_R_SYM(r.r_info)) + std::uint64_t(r.r_addend);
    const auto apply = kMachine == EM_AARCH64 ? apply_aarch64 : apply_x86_64;
    apply(&memory[offsets_[section.sh_info] + r.r_offset], room,
          std::uint32_t(ELF64_R_TYPE(r.r_info)), target);
  }
}

std::vector<std::pair<std::string, CpuKernel>> Loader::functions(std::byte* memory) const {
  std::vector<std::pair<std::string, CpuKernel>> found;
  for (std::size_t i = 1; i < symbols_.size(); ++i) {
    const Elf64_Sym& s = symbols_[i];
    if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || ELF64_ST_BIND(s.st_info) != STB_GLOBAL) continue;
    const std::uint64_t offset = symbol_offset(i);
    const bool code = (sections_[s.st_shndx].sh_flags & SHF_EXECINSTR) != 0;
    if (!code || s.st_value == sections_[s.st_shndx].sh_size) {
      malformed("function '{}' lies in no code", name_at(symbol_names_, s.st_name));
    }
    // The bytes are a function of this type by the generator's contract.
    found.emplace_back(name_at(symbol_names_, s.st_name),
                       reinterpret_cast<CpuKernel>(memory + offset));
  }
  return found;
}

}  // namespace

CpuModule::CpuModule(std::string_view object) {
  const Loader loader(object);
  const std::size_t size = loader.memory_bytes();
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail(Status::out_of_memory, "a CPU kernel needs {} bytes: mmap: {}", size,
         std::strerror(errno));
  }
  // A constructor that throws runs no destructor: until the end this owns the memory.
  CpuModule owner(std::move(*this));
  owner.memory_ = memory;
  owner.size_ = size;
  auto* bytes = static_cast<std::byte*>(memory);
  loader.place({bytes, size});
  owner.functions_ = loader.functions(bytes);
  __builtin___clear_cache(reinterpret_cast<char*>(bytes),
                          reinterpret_cast<char*>(bytes + loader.code_bytes()));
  if (mprotect(bytes, loader.code_bytes(), PROT_READ | PROT_EXEC) != 0 ||
      (size > loader.code_bytes() &&
       mprotect(bytes + loader.code_bytes(), size - loader.code_bytes(), PROT_READ) != 0)) {
    fail(Status::io_error, "a CPU kernel's memory cannot be made executable: mprotect: {}",
         std::strerror(errno));
  }
  *this = std::move(owner);
}

CpuModule::~CpuModule() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

CpuModule::CpuModule(CpuModule&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      functions_(std::move(other.functions_)) {}

CpuModule& CpuModule::operator=(CpuModule&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(functions_, other.functions_);
  return *this;
}

CpuKernel CpuModule::entry(std::string_view symbol) const {
  for (const auto& [name, kernel] : functions_) {
    if (name == symbol) return kernel;
  }
  malformed("it has no function '{}'; it has {}", symbol,
            functions_.empty() ? "none" : functions_.front().first);
}

}  // namespace grkan
