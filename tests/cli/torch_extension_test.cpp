// grkan emit --torch-extension: what it writes and refuses, and its kernels, compiled by nvcc and
// launched by the folder's own launcher on the virtual GPU, against the reference in double.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "core/check.h"
#include "core/gpu_models.h"
#include "core/sample.h"
#include "core/virtual_report.h"
#include "templates/torch_extension/launch.h"
#include "tests/cli/cli_command.h"
#include "tests/cli/json_doc.h"

namespace grkan {
namespace {

namespace ext = grkan_extension;

constexpr const char* kForward = "forward/p5q4-A-c32-g1x8-f32-last";
constexpr const char* kBackward = "backward.dx.da.db/p5q4-A-c32-g1x8-f32-last";

class TorchExtension : public ::testing::Test {
 protected:
  TorchExtension() : root_(make_root()), command_(root_ / "command") {
    setenv("GRKAN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);  // no GPU, on every machine
  }
  ~TorchExtension() override { fs::remove_all(root_); }
  TorchExtension(const TorchExtension&) = delete;
  TorchExtension& operator=(const TorchExtension&) = delete;

  [[nodiscard]] fs::path folder() const { return root_ / "made"; }
  [[nodiscard]] fs::path list(const std::string& lines) const {
    write(root_ / "list.jsonl", lines);
    return root_ / "list.jsonl";
  }
  Result emit(const std::string& lines, const Words& more = {"--gpu", "h200"}) {
    Words words = {"emit",       "--torch-extension",  folder().string(),
                   "--problems", list(lines).string(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return command_.run(words);
  }
  static void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  // All files of the folder, by their paths in it.
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder())) {
      if (entry.is_regular_file()) found.insert(fs::relative(entry.path(), folder()).string());
    }
    return found;
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    return read_file(folder() / path);
  }

  // A measured winner on an H200, as a tuning would store it.
  void store_winner(const char* task, const char* schedule, Range rows, Range inner = {1, 1},
                    Determinism determinism = Determinism::run_to_run) {
    const GpuModel& h200 = gpu_model("h200");
    Winner winner;
    winner.task = parse_task(task);
    winner.device = {.kind = "cuda",
                     .architecture = "sm_90",
                     .name = "an H200",
                     .features = "",
                     .units = std::int64_t(h200.multiprocessors.value),
                     .memory_bytes = std::int64_t(h200.memory_bytes.value),
                     .cache_bytes = 0};
    winner.determinism = determinism;
    winner.rows = rows;
    winner.inner = inner;
    winner.tuned_rows = rows.high;
    winner.tuned_inner = inner.high;
    winner.schedule = schedule;
    winner.time = TimeNs{.median = 1000, .p10 = 990, .p90 = 1010, .samples = 24};
    winner.date = "2026-01-01T00:00:00Z";
    Cache cache({.folder = command_.cache().string(), .prebuilt = {}, .warn = {}});
    ASSERT_TRUE(cache.store_winner(winner));
  }

  fs::path root_;
  Command command_;

 private:
  static fs::path make_root() {
    std::string name = ::testing::TempDir() + "grkan_extension_XXXXXX";
    return mkdtemp(name.data()) != nullptr ? name : "";
  }
};

std::string line_of(const std::string& problem, const std::string& rest) {
  return R"({"problem": ")" + problem + R"(", )" + rest + "}\n";
}
const std::string kList = line_of("p5q4-A-c32-g1x8-f32-last", R"("rows": "1..4096")");

TEST_F(TorchExtension, WritesAFolderForKernelBuilder) {
  const Result result = emit(kList, {"--gpu", "h200,a100-80", "--name", "my-kernels"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json document = result.json();
  Documented("emit").hold(document);
  EXPECT_EQ(document["results"].size(), 4U);

  std::set<std::string> expected = {"grkan.json"};
  for (const Json& path : document["files"]) expected.insert(path.get<std::string>());
  EXPECT_EQ(files(), expected);
  for (const char* path : {"README.md", "LICENSE", "build.toml", "flake.nix", "problems.jsonl",
                           "torch-ext/torch_binding.cpp", "torch-ext/my_kernels/__init__.py",
                           "torch-ext/my_kernels/layers.py", "torch-ext/my_kernels/tasks.py"}) {
    EXPECT_TRUE(expected.contains(path)) << path;
  }
  // What is built is there, and all that is there to be built is.
  const std::string build = text("build.toml");
  for (const std::string& path : expected) {
    const bool source = path.starts_with("csrc/") || path.starts_with("torch-ext/torch_");
    EXPECT_EQ(build.find("\"" + path + "\"") != std::string::npos, source) << path;
  }
  for (const char* words :
       {"name = \"my-kernels\"", "edition = 5", "cuda = \"2.10\"", "[kernel.sm_80]",
        "cuda-capabilities = [\"8.0\", \"8.6\", \"8.9\"]",
        "cuda-capabilities = [\"9.0\", \"10.0\", \"11.0\", \"12.0+PTX\"]", "-fmad=false"}) {
    EXPECT_NE(build.find(words), std::string::npos) << words;
  }
  EXPECT_EQ(build.find("minver"), std::string::npos);
  // Each kernel's source says whose it is, under a symbol of its own.
  for (const Json& entry : document["results"]) {
    const std::string source = text(entry["path"]);
    EXPECT_TRUE(source.starts_with("// " + entry["task"].get<std::string>()));
    const std::string symbol = fs::path(entry["path"].get<std::string>()).stem().string() + "_" +
                               entry["target"].get<std::string>();
    EXPECT_NE(source.find(symbol + "("), std::string::npos) << symbol;
    EXPECT_NE(text("csrc/kernels.cpp").find("handle(" + symbol + ")"), std::string::npos);
  }
  // No winner is known: the README says so.
  const std::string readme = text("README.md");
  EXPECT_NE(readme.find("--gpu h200,a100-80 --name my-kernels"), std::string::npos);
  EXPECT_NE(readme.find("| default |"), std::string::npos);
  EXPECT_EQ(readme.find("| measured |"), std::string::npos);
  for (const std::string& path : expected) {
    if (!path.ends_with(".cpp") && !path.ends_with(".h") && !path.ends_with(".cu")) {
      EXPECT_EQ(text(path).find('$'), std::string::npos) << path;
    }
  }
}

TEST_F(TorchExtension, IsMadeAgainFromItsOwnList) {
  ASSERT_EQ(emit(kList + line_of("p3q2-B-c6-g6-f32-first", R"("rows": 5, "inner": 49)")).exit_code,
            0);
  std::map<std::string, std::string> before;
  for (const std::string& path : files()) before[path] = text(path);
  const std::string own = text("problems.jsonl");
  ASSERT_EQ(emit(own).exit_code, 0);
  for (const std::string& path : files()) EXPECT_EQ(text(path), before[path]) << path;
}

TEST_F(TorchExtension, AsksForACudaThatKnowsItsGpus) {
  ASSERT_EQ(emit(kList, {"--gpu", "b200,t4,l4"}).exit_code, 0);
  const std::string build = text("build.toml");
  for (const char* words :
       {"[general.cuda]\nminver = \"12.8\"\n", "cuda-capabilities = [\"7.5\", \"8.0\", \"8.6\"]",
        "cuda-capabilities = [\"8.9\", \"9.0\"]",
        "cuda-capabilities = [\"10.0\", \"11.0\", \"12.0+PTX\"]"}) {
    EXPECT_NE(build.find(words), std::string::npos) << build;
  }
}

TEST_F(TorchExtension, TakesTheWinnersOfItsRows) {
  store_winner(kForward, "v4_r4_x8_y8_newton@blocks2", {1, 100});
  store_winner(kForward, "v2_r2_x16_y8_newton@blocks8", {101, 3000});
  store_winner(kBackward, "v4_r2_x8_y8_approx_run16_lastblock@blocks2", {1, 10'000});
  const Result result = emit(kList);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json document = result.json();
  const Json& results = document["results"];
  ASSERT_GE(results.size(), 3U);
  EXPECT_EQ(results[0]["schedule"], "v4_r4_x8_y8_newton@blocks2");
  EXPECT_EQ(results[0]["rows"], Json({1, 100}));
  EXPECT_EQ(results[0]["evidence"], "measured");
  EXPECT_EQ(results[1]["schedule"], "v2_r2_x16_y8_newton@blocks8");
  EXPECT_EQ(results[1]["rows"][0], 101);
  EXPECT_EQ(results.back()["schedule"], "v4_r2_x8_y8_approx_run16_lastblock@blocks2");
  EXPECT_EQ(results.back()["rows"], Json({1, 4096}));
  EXPECT_NE(text("README.md").find("| measured |"), std::string::npos);
  const std::string table = text("csrc/kernels.cpp");
  EXPECT_NE(table.find("{1, 100}"), std::string::npos);
  EXPECT_NE(table.find("lastblock"), std::string::npos);
}

TEST_F(TorchExtension, WrongCallsAreRefused) {
  const std::string here = folder().string();
  const std::string right = list(kList).string();
  const std::string empty = (root_ / "empty.jsonl").string();
  write(empty, "# nothing\n");
  const struct {
    Words words;
    std::string message;
    int exit_code = 2;
  } calls[] = {
      {{"--torch-extension", here, "--gpu", "h200"}, "needs the list of its problems"},
      {{"--torch-extension", here, "--gpu", "h200", "--problems", empty}, "lists no task"},
      {{"--torch-extension", here, "--gpu", "h200", "--problems", here + "/none"},
       "can't be read",
       1},
      {{"--torch-extension", here, "--problems", right, "--device", "cpu"}, "is no GPU"},
      {{"--torch-extension", here, "--problems", right}, "none is here"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h300"}, "h300"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200,h100-sxm"}, "both sm_90"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200,"}, "empty part"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200", "--name", "A_b"}, "'A_b'"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200", "--rows", "0"}, "rows 0"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200", "--stage", "ptx"},
       "--stage does not go with"},
      {{"--torch-extension", here, "--problems", right, "--gpu", "h200", "--arch", "sm_90"},
       "--arch does not go with"},
      {{"p5q4-A-c32-g8-f32-last", "--torch-extension", here, "--problems", right, "--gpu", "h200"},
       "does not go with"},
      {{"p5q4-A-c32-g8-f32-last", "--gpu", "h200"}, "is for --torch-extension"},
      {{"--problems", right}, "is for --torch-extension"},
  };
  for (const auto& call : calls) {
    Words words = {"emit"};
    words.insert(words.end(), call.words.begin(), call.words.end());
    const Result result = command_.run(words);
    EXPECT_EQ(result.exit_code, call.exit_code) << call.message << ": " << result.err;
    EXPECT_NE(result.err.find(call.message), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(folder())) << call.message;
  }
  // Nothing half made lies beside it either.
  for (const auto& entry : fs::directory_iterator(root_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("made")) << entry.path();
  }
}

TEST_F(TorchExtension, AUsersFilesStay) {
  // A folder of other things, and a file.
  fs::create_directories(folder());
  write(folder() / "build.toml", "mine\n");
  Result result = emit(kList);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("is not empty and was not made by"), std::string::npos) << result.err;
  EXPECT_EQ(files(), std::set<std::string>{"build.toml"});
  result = emit(kList, {"--gpu", "h200", "--force"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(text("build.toml.old"), "mine\n");
  EXPECT_EQ(result.json()["kept_aside"], Json({"build.toml"}));

  // In a folder of its own: what was added stays, what was changed is not replaced.
  write(folder() / "CARD.md", "a card\n");
  EXPECT_EQ(emit(kList).exit_code, 0);
  write(folder() / "csrc/launch.cpp", "// changed\n");
  write(folder() / "README.md", "changed\n");
  result = emit(kList);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("README.md, csrc/launch.cpp"), std::string::npos) << result.err;
  EXPECT_EQ(text("csrc/launch.cpp"), "// changed\n");
  for (int i = 0; i < 2; ++i) {
    write(folder() / "README.md", "changed\n");
    EXPECT_EQ(emit(kList, {"--gpu", "h200", "--force"}).exit_code, 0);
  }
  EXPECT_EQ(text("csrc/launch.cpp.old"), "// changed\n");
  EXPECT_EQ(text("README.md.old"), "changed\n");
  EXPECT_EQ(text("README.md.old2"), "changed\n");
  EXPECT_EQ(text("CARD.md"), "a card\n");

  // Another list: the sources of the first one go, but a changed one.
  const std::set<std::string> before = files();
  std::string changed;
  for (const std::string& path : before) {
    if (path.ends_with(".cu")) changed = path;
  }
  write(folder() / changed, "// mine now\n");
  result = emit(line_of("p5q4-A-c64-g8-f32-last", R"("rows": 10)"), {"--gpu", "a100-80"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["removed"].size(), 1U);
  EXPECT_EQ(result.json()["left_behind"], Json({changed}));
  EXPECT_EQ(text(changed), "// mine now\n");

  fs::remove_all(folder());
  write(folder(), "a file\n");
  result = emit(kList);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("is a file"), std::string::npos) << result.err;
  EXPECT_EQ(read_file(folder()), "a file\n");
}

TEST_F(TorchExtension, AFolderThatCantBeWrittenIsTold) {
  if (geteuid() == 0) {  // whom permissions don't stop
    const Result result = command_.run({"emit", "--torch-extension", "/proc/made", "--problems",
                                        list(kList).string(), "--gpu", "h200"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("can't write"), std::string::npos) << result.err;
    return;
  }
  fs::create_directories(root_ / "closed");
  fs::permissions(root_ / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  const Result result = command_.run({"emit", "--torch-extension", (root_ / "closed/made").string(),
                                      "--problems", list(kList).string(), "--gpu", "h200"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("can't write"), std::string::npos) << result.err;
  fs::permissions(root_ / "closed", fs::perms::owner_all);
}

TEST_F(TorchExtension, AWriteThatFailsLeavesNothing) {
  // No file over 4096 bytes, and no signal about it.
  const std::string words = std::string(GRKAN_COMMAND) + " emit --torch-extension " +
                            folder().string() + " --problems " + list(kList).string() +
                            " --gpu h200";
  Command shell(root_ / "shell", "/bin/sh");
  const Result result = shell.run({"-c", "trap '' XFSZ; ulimit -f 8; exec " + words});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("can't write"), std::string::npos) << result.err;
  for (const auto& entry : fs::directory_iterator(root_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("made")) << entry.path();
  }
}

// ---------------------------------------------------------------- on the virtual GPU

fs::path find_nvcc() {
  std::vector<fs::path> folders;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* home = std::getenv(name)) folders.push_back(fs::path(home) / "bin");
  }
  std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    folders.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  folders.emplace_back("/usr/local/cuda/bin");
  for (const fs::path& folder : folders) {
    if (access((folder / "nvcc").c_str(), X_OK) == 0) return fs::canonical(folder / "nvcc");
  }
  return {};
}

void run_tool(const std::string& line) {
  const std::string all = line + " 2>&1";
  FILE* pipe = popen(all.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += char(c);
  ASSERT_EQ(pclose(pipe), 0) << line << "\n" << output;
}

// The launcher of an emitted folder, compiled with the CUDA runtime of tests/support/extension.
class Launcher {
 public:
  Launcher(const fs::path& folder, const fs::path& nvcc) {
    const fs::path built = folder.string() + "-built";
    const fs::path support = GRKAN_EXTENSION_SUPPORT;
    fs::create_directories(built);
    run_tool(nvcc.string() +
             " -ptx -arch=compute_90 -std=c++17 -fmad=false -diag-suppress=177 -t 2 -odir " +
             built.string() + " " + (folder / "csrc/sm_90/*.cu").string());
    std::ofstream stubs(built / "stubs.cpp");
    for (const auto& source : fs::directory_iterator(folder / "csrc/sm_90")) {
      const std::string symbol = source.path().stem().string() + "_sm_90";
      stubs << "extern \"C\" void " << symbol << "() {}\n"
            << "extern \"C\" void " << symbol << "_second_pass() {}\n";
    }
    stubs.close();
    const fs::path csrc = folder / "csrc";
    run_tool("c++ -std=c++17 -O1 -Wall -Wextra -Werror -fPIC -shared -o " +
             (built / "launcher.so").string() + " -isystem " +
             (nvcc.parent_path().parent_path() / "include").string() + " -I" + csrc.string() +
             " -I" + support.string() + " " + (csrc / "*.cpp").string() + " " +
             (built / "stubs.cpp").string() + " " + (support / "exports.cpp").string() + " " +
             (support / "virtual_runtime.cpp").string() + " -ldl");
    setenv("GRKAN_VIRTUAL", "model=h200,threads=2", 1);
    setenv("GRKAN_TEST_DRIVER", GRKAN_VIRTUAL_CUDA, 1);
    setenv("GRKAN_TEST_PTX", built.c_str(), 1);
    library_ = dlopen((built / "launcher.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(library_, nullptr) << dlerror();
    bind(find, "test_find");
    bind(run, "test_run");
    bind(allocate, "test_allocate");
    bind(release, "test_release");
    bind(to_device, "test_to_device");
    bind(to_host, "test_to_host");
    bind(report, "test_report");
  }

  const ext::Kernel* (*find)(const ext::Problem*, unsigned, int, std::int64_t, std::int64_t);
  int (*run)(const ext::Kernel*, const ext::Call*, int);
  void* (*allocate)(std::size_t);
  void (*release)(void*);
  void (*to_device)(void*, const void*, std::size_t);
  void (*to_host)(void*, const void*, std::size_t);
  const char* (*report)();

 private:
  template <class Function>
  void bind(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    EXPECT_NE(function, nullptr) << name;
  }
  void* library_ = nullptr;
};

// A sample's tensors on the virtual GPU, in the order of their buffers.
class OnGpu {
 public:
  OnGpu(const Launcher& gpu, Sample& sample) : gpu_(gpu) {
    for (SampleBuffer* buffer :
         {&sample.x, &sample.dy, &sample.out, &sample.a, &sample.b, &sample.da, &sample.db}) {
      void* memory = buffer->data() == nullptr ? nullptr : gpu.allocate(buffer->bytes());
      if (memory != nullptr) gpu.to_device(memory, buffer->data(), buffer->bytes());
      places_.push_back({buffer, memory});
    }
  }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;
  ~OnGpu() {
    for (const Place& place : places_) {
      if (place.memory != nullptr) gpu_.release(place.memory);
    }
  }
  [[nodiscard]] ext::Call call(const SampleOptions& options) const {
    ext::Call call;
    call.rows = options.rows;
    call.inner = options.inner;
    call.x = places_[0].memory;
    call.dy = places_[1].memory;
    call.out = places_[2].memory;
    call.a = places_[3].memory;
    call.b = places_[4].memory;
    call.da = places_[5].memory;
    call.db = places_[6].memory;
    return call;
  }
  void read_back() const {
    for (const Place& place : places_) {
      if (place.memory == nullptr) continue;
      gpu_.to_host(place.buffer->data(), place.memory, place.buffer->bytes());
    }
  }

 private:
  struct Place {
    SampleBuffer* buffer;
    void* memory;
  };
  const Launcher& gpu_;
  std::vector<Place> places_;
};

ext::Problem problem_of(const Problem& p) {
  return {p.numerator_degree,
          p.denominator_degree,
          to_string(p.variant)[0],
          p.channels,
          p.numerator_groups,
          p.denominator_groups,
          ext::Type(p.x_type),
          ext::Type(p.y_type),
          ext::Type(p.coefficient_type()),
          p.layout == Layout::channels_first};
}

// Runs the kernel that the table has for a call and holds it against the reference.
void check_call(const Launcher& gpu, const char* task_text, std::int64_t rows, std::int64_t inner,
                const std::string& schedule = {}) {
  const Task task = parse_task(task_text);
  SCOPED_TRACE(fmt::format("{}, {} rows, {} inner", task_text, rows, inner));
  const ext::Problem problem = problem_of(task.problem);
  const ext::Kernel* kernel = gpu.find(&problem, task.gradients.bits(), 90, rows, inner);
  ASSERT_NE(kernel, nullptr);
  if (!schedule.empty()) {
    EXPECT_EQ(kernel->schedule, schedule);
  }
  // The seed is the size's, so that a failure can be seen again.
  const SampleOptions options{
      .rows = rows, .inner = inner, .seed = std::uint64_t(rows * 1000 + inner)};
  Sample sample(task, options);
  const Reference reference = make_reference(task, sample.call());
  {
    const OnGpu tensors(gpu, sample);
    const ext::Call call = tensors.call(options);
    ASSERT_EQ(gpu.run(kernel, &call, 3), 0);
    tensors.read_back();
  }
  const TensorErrors errors =
      compare(task, parse_schedule(kernel->schedule, Target{"sm_90"}), reference, sample.call());
  EXPECT_TRUE(errors.passes()) << errors.why_failed();
  EXPECT_EQ(sample.why_damaged(), "");
  const auto launches = nlohmann::ordered_json::parse(gpu.report()).at("launches");
  EXPECT_FALSE(launches.empty());
  const auto findings = findings_of(launches);
  EXPECT_TRUE(findings.empty()) << findings.dump(2);
}

TEST_F(TorchExtension, KernelsComputeWhatTheReferenceDoes) {
  const fs::path nvcc = find_nvcc();
  if (nvcc.empty()) GTEST_SKIP() << "SKIP: no nvcc in PATH, CUDA_HOME or /usr/local/cuda";
  constexpr const char* kLastBlock = "v4_r2_x8_y8_approx_run16_lastblock@blocks2";
  store_winner(kBackward, kLastBlock, {1, 50});
  const std::string lines = line_of("p5q4-A-c32-g1x8-f32-last", R"("rows": "1..100")") +
                            line_of("p4q3-S-c16-g2-bf16-last", R"("rows": 40)") +
                            line_of("p3q2-B-c6-g6-f32-first", R"("rows": 3, "inner": 20)");
  const Result result = emit(lines);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Launcher gpu(folder(), nvcc);
  ASSERT_FALSE(HasFailure());
  check_call(gpu, kForward, 37, 1);
  check_call(gpu, kForward, 1, 1);
  check_call(gpu, kBackward, 37, 1, kLastBlock);
  check_call(gpu, kBackward, 203, 1);
  for (const char* task :
       {"forward/p4q3-S-c16-g2-bf16-last", "backward.dx.da.db/p4q3-S-c16-g2-bf16-last"}) {
    check_call(gpu, task, 51, 1);
  }
  for (const char* task :
       {"forward/p3q2-B-c6-g6-f32-first", "backward.dx.da.db/p3q2-B-c6-g6-f32-first"}) {
    check_call(gpu, task, 3, 20);
    check_call(gpu, task, 5, 7);  // by the kernel of one column
  }
}

TEST_F(TorchExtension, AtomicSumsStartFromZero) {
  const fs::path nvcc = find_nvcc();
  if (nvcc.empty()) GTEST_SKIP() << "SKIP: no nvcc in PATH, CUDA_HOME or /usr/local/cuda";
  constexpr const char* kAtomics = "v4_r2_x8_y8_approx_run16_blockatomics@blocks2";
  store_winner(kBackward, kAtomics, {1, 500}, {1, 1}, Determinism::not_guaranteed);
  const Result result = emit(R"({"task": ")" + std::string(kBackward) + R"(", "rows": 100})",
                             {"--gpu", "h200", "--determinism", "not_guaranteed"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(text("README.md").find("in any order"), std::string::npos);
  const Launcher gpu(folder(), nvcc);
  ASSERT_FALSE(HasFailure());
  check_call(gpu, kBackward, 77, 1, kAtomics);
}

}  // namespace
}  // namespace grkan
