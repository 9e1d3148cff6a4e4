// A Binary as bytes: back again, and anything else is an error, never a crash.
#include "core/binary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace grkan {
namespace {

Binary example() {
  Binary b;
  b.task = parse_task("backward.dx.da.db/p5q4-A-c768-g1x8-f32:bf16-last");
  b.compiled_schedule = "v4_r2_x24_y10_newton_run16_twopass";
  b.target = parse_target("sm_90");
  b.compiler = "nvrtc 13.0.88";
  b.source_hash = "0123456789abcdef";
  b.code = std::string(
      "\x7F"
      "ELF\n\0\n{}\xFF",
      10);
  b.ptx = ".version 9.0\n";
  b.kernels = {{"grkan_bwd", 56, 0, 10240, 4096}, {"grkan_bwd_second_pass", 20, {}, {}, {}}};
  return b;
}

// The message of the io_error that these bytes give.
std::string failure(std::string_view bytes) {
  try {
    parse_binary(bytes);
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::io_error) << e.what();
    return e.what();
  }
  return "no error";
}

TEST(Binary, ComesBackEqual) {
  EXPECT_EQ(parse_binary(serialize(example())), example());
  Binary cpu = example();
  cpu.target = parse_target("x86-64-v3");
  cpu.ptx.clear();
  cpu.kernels = {{"grkan_fwd", {}, {}, {}, 1234}};
  EXPECT_EQ(parse_binary(serialize(cpu)), cpu);
  cpu.code.clear();
  cpu.kernels.clear();
  EXPECT_EQ(parse_binary(serialize(cpu)), cpu);
}

TEST(Binary, EveryTruncationIsAnError) {
  const std::string bytes = serialize(example());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_NE(failure(bytes.substr(0, length)), "no error") << length;
  }
  EXPECT_NE(failure(bytes + "x").find("bytes follow its end"), std::string::npos);
}

TEST(Binary, AChangedByteIsAnErrorOrAnotherBinary) {
  const std::string bytes = serialize(example());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const char change : {'\x01', '\x20', '\x7F', '\x80'}) {
      std::string changed = bytes;
      changed[at] = char(changed[at] ^ change);
      try {
        EXPECT_NE(parse_binary(changed), example()) << at;
      } catch (const Error& e) {
        EXPECT_EQ(e.status(), Status::io_error) << e.what();
      }
    }
  }
}

TEST(Binary, EveryFieldIsChecked) {
  const std::string bytes = serialize(example());
  const std::size_t line = bytes.find('\n');
  const auto header = nlohmann::json::parse(bytes.substr(0, line));
  const std::string payload = bytes.substr(line);
  using nlohmann::json;
  for (const auto& [name, value] : header.items()) {
    json changed = header;
    changed.erase(name);
    EXPECT_NE(failure(changed.dump() + payload).find("no field " + name), std::string::npos);
    for (const json& wrong : {json(), json(-1), json(1e300), json("x"), json::array({1}),
                              json::object(), json(std::uint64_t(-1))}) {
      const bool text = name == "schedule" || name == "compiler" || name == "source_hash";
      if (text && wrong.is_string()) continue;
      changed[name] = wrong;
      EXPECT_NE(failure(changed.dump() + payload), "no error") << name << " " << wrong;
    }
  }
  json changed = header;
  changed["kernels"][0]["registers"] = std::uint64_t{1} << 40;
  EXPECT_NE(failure(changed.dump() + payload).find("registers is not a count"), std::string::npos);
  changed = header;
  changed["kernels"].clear();
  EXPECT_NE(failure(changed.dump() + payload).find("it names no kernel"), std::string::npos);
  EXPECT_EQ(failure("not json\n"),
            "a stored binary is malformed (its first line is not a JSON object); it has to be "
            "compiled again");
  EXPECT_NE(failure(std::string(100000, '[') + "\n"), "no error");
}

}  // namespace
}  // namespace grkan
