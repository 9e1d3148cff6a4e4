#include "virtual_gpu/machine/grid.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <numeric>
#include <random>
#include <thread>

#include "virtual_gpu/machine/scheduler.h"

namespace grkan::vgpu {
namespace {

// A block that talks with others runs this many warp instructions before another gets a turn.
constexpr std::uint64_t kSlice = 1U << 14;
// Blocks that run side by side at first; more when none of them gets on.
constexpr std::size_t kResident = 64;
// Warp instructions without a change of memory, a barrier passed or a block ended, after which all
// is taken to wait for ever.
constexpr std::uint64_t kPatience = std::uint64_t{1} << 27;

// The order of blocks: as numbered, or shuffled by the seed.
class BlockOrder {
 public:
  BlockOrder(std::uint64_t count, std::uint64_t seed) : count_(count) {
    if (seed == 0 || count < 2) return;
    std::mt19937_64 random(seed);
    if (count <= kMostListed) {
      list_.resize(count);
      std::iota(list_.begin(), list_.end(), 0U);
      std::shuffle(list_.begin(), list_.end(), random);
      return;
    }
    shift_ = random() % count;
    do {
      step_ = random() % count;
    } while (std::gcd(step_, count) != 1);
  }
  [[nodiscard]] std::uint64_t at(std::uint64_t n) const {
    if (!list_.empty()) return list_[n];
    __extension__ using Wide = unsigned __int128;
    return std::uint64_t((Wide(n) * step_ + shift_) % count_);
  }

 private:
  static constexpr std::uint64_t kMostListed = 1U << 20;
  std::uint64_t count_;
  std::vector<std::uint32_t> list_;
  std::uint64_t step_ = 1;
  std::uint64_t shift_ = 0;
};

// Blocks that don't depend on one another, one after another.
void run_independent(Worker& worker, const BlockOrder& order, std::uint64_t count,
                     std::atomic<std::uint64_t>& next) {
  const std::unique_ptr<Block> block = make_block(worker);
  for (std::uint64_t n = next++; n < count; n = next++) {
    start_block(worker, *block, order.at(n));
    std::uint64_t changes = worker.changes;
    std::uint64_t idle = 0;
    while (run_block(worker, *block, kSlice) == Progress::slice_over) {
      idle = worker.changes == changes ? idle + kSlice : 0;
      changes = worker.changes;
      if (idle < kPatience) continue;
      give_up(worker, *block, "goes round without ever changing memory");
      break;
    }
  }
}

// Blocks that may wait for one another take turns, all on one host thread, so that every run is the
// same.
void run_together(Worker& worker, const BlockOrder& order, std::uint64_t count) {
  std::deque<std::unique_ptr<Block>> resident;
  std::vector<std::unique_ptr<Block>> idle_blocks;
  std::size_t most = kResident;
  std::uint64_t next = 0;
  std::uint64_t changes = worker.changes;
  std::uint64_t idle = 0;
  std::uint64_t turns = 0;  // since a block ended
  while (next < count || !resident.empty()) {
    std::unique_ptr<Block> block;
    if (next < count && resident.size() < most) {
      if (idle_blocks.empty()) {
        block = make_block(worker);
      } else {
        block = std::move(idle_blocks.back());
        idle_blocks.pop_back();
      }
      start_block(worker, *block, order.at(next++));
    } else {
      block = std::move(resident.front());
      resident.pop_front();
    }
    if (run_block(worker, *block, kSlice) != Progress::slice_over) {
      idle_blocks.push_back(std::move(block));
      turns = idle = 0;
      continue;
    }
    resident.push_back(std::move(block));
    if (++turns >= 2 * resident.size() && resident.size() == most) {
      most *= 2;
      turns = 0;
    }
    idle = worker.changes == changes ? idle + kSlice : 0;
    changes = worker.changes;
    if (idle < kPatience || next < count) continue;
    for (const std::unique_ptr<Block>& waiting : resident) {
      give_up(worker, *waiting, "waits for what no other thread does");
    }
    resident.clear();
  }
}

// Independent blocks, on all workers at once.
void run_apart(std::vector<Worker>& workers, const BlockOrder& order, std::uint64_t count) {
  std::atomic<std::uint64_t> next{0};
  std::vector<std::exception_ptr> errors(workers.size());
  std::vector<std::thread> others;
  const auto work = [&](std::size_t n) {
    try {
      run_independent(workers[n], order, count, next);
    } catch (...) {
      errors[n] = std::current_exception();
    }
  };
  for (std::size_t n = 1; n < workers.size(); ++n) others.emplace_back(work, n);
  work(0);
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace

void run_grid(std::vector<Worker>& workers, std::uint64_t blocks, std::uint64_t seed) {
  const BlockOrder order(blocks, seed);
  if (workers[0].program->communicates) {
    run_together(workers[0], order, blocks);
  } else {
    run_apart(workers, order, blocks);
  }
}

}  // namespace grkan::vgpu
