#include "virtual_gpu/ptx/cubin.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string_view>

namespace grkan::vgpu {
namespace {

constexpr std::string_view kInfo = ".nv.info";
constexpr std::string_view kCode = ".text.";
constexpr std::string_view kShared = ".nv.shared.";
// Where it stands, the system's part of a block's shared memory is counted in the kernels' own.
constexpr std::string_view kReservedShared = ".nv.shared.reserved.0";
constexpr std::size_t kReservedBytes = 1024;

// Attributes of .nv.info: a format, a number, and for this format the size of the value behind it.
constexpr std::uint8_t kSizedValue = 4;
constexpr std::uint8_t kFrameSize = 0x11;
constexpr std::uint8_t kRegisterCount = 0x2f;

template <class T>
T read(const std::byte* at) {
  T value{};
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct Section {
  std::string_view name;
  Elf64_Shdr header{};
};

class Cubin {
 public:
  explicit Cubin(const std::byte* image) : image_(image) {
    const auto header = read<Elf64_Ehdr>(image);
    if (header.e_machine != EM_CUDA || header.e_shstrndx >= header.e_shnum) return;
    const std::byte* table = image + header.e_shoff;
    const auto section = [&](std::size_t i) {
      return read<Elf64_Shdr>(table + i * sizeof(Elf64_Shdr));
    };
    const std::size_t names = section(header.e_shstrndx).sh_offset;
    for (std::size_t i = 0; i < header.e_shnum; ++i) {
      const Elf64_Shdr s = section(i);
      sections_.push_back({text(names + s.sh_name), s});
    }
  }

  [[nodiscard]] std::vector<CubinKernel> kernels() const {
    const auto registers = values(kRegisterCount);
    const auto frames = values(kFrameSize);
    const std::size_t reserved = find(kReservedShared) == nullptr ? 0 : kReservedBytes;
    std::vector<CubinKernel> kernels;
    for (const Section& section : sections_) {
      if (!section.name.starts_with(kCode)) continue;
      CubinKernel kernel;
      kernel.name = section.name.substr(kCode.size());
      const auto count = registers.find(kernel.name);
      if (count == registers.end()) continue;
      kernel.registers = int(count->second);
      if (const auto frame = frames.find(kernel.name); frame != frames.end()) {
        kernel.local_bytes = frame->second;
      }
      const Section* shared = find(std::string(kShared) + kernel.name);
      if (shared != nullptr && shared->header.sh_size > reserved) {
        kernel.shared_bytes = shared->header.sh_size - reserved;
      }
      kernels.push_back(std::move(kernel));
    }
    return kernels;
  }

 private:
  [[nodiscard]] std::string_view text(std::size_t offset) const {
    return reinterpret_cast<const char*>(image_ + offset);
  }

  [[nodiscard]] const Section* find(std::string_view name) const {
    for (const Section& section : sections_) {
      if (section.name == name) return &section;
    }
    return nullptr;
  }

  // An attribute's values by the function that each is of.
  [[nodiscard]] std::map<std::string, std::uint32_t, std::less<>> values(
      std::uint8_t attribute) const {
    std::map<std::string, std::uint32_t, std::less<>> found;
    const Section* info = find(kInfo);
    if (info == nullptr || info->header.sh_link >= sections_.size()) return found;
    const Elf64_Shdr& symbols = sections_[info->header.sh_link].header;
    if (symbols.sh_link >= sections_.size()) return found;
    const std::size_t names = sections_[symbols.sh_link].header.sh_offset;
    const std::byte* const data = image_ + info->header.sh_offset;
    for (std::size_t at = 0; at + 4 <= info->header.sh_size;) {
      const auto format = read<std::uint8_t>(data + at);
      const auto number = read<std::uint8_t>(data + at + 1);
      const auto size = read<std::uint16_t>(data + at + 2);
      const std::byte* const value = data + at + 4;
      at += 4;
      if (format != kSizedValue) continue;
      at += size;
      if (number != attribute || size < 8 || at > info->header.sh_size) continue;
      const auto index = read<std::uint32_t>(value);
      if ((index + 1) * sizeof(Elf64_Sym) > symbols.sh_size) continue;
      const auto symbol = read<Elf64_Sym>(image_ + symbols.sh_offset + index * sizeof(Elf64_Sym));
      found.emplace(text(names + symbol.st_name), read<std::uint32_t>(value + 4));
    }
    return found;
  }

  const std::byte* image_;
  std::vector<Section> sections_;
};

}  // namespace

std::vector<CubinKernel> read_cubin(const void* image) {
  // Byte by byte: what is no cubin may be shorter than a header.
  constexpr unsigned char kBegin[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
                                      ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
  const auto* const bytes = static_cast<const unsigned char*>(image);
  for (std::size_t i = 0; i < sizeof kBegin; ++i) {
    if (bytes[i] != kBegin[i]) return {};
  }
  return Cubin(static_cast<const std::byte*>(image)).kernels();
}

}  // namespace grkan::vgpu
