#include "cache/layer.h"

#include <filesystem>
#include <optional>

#include "cache/cache.h"
#include "cache/lookup.h"
#include "core/error.h"

namespace grkan {
namespace {

// By path.
std::vector<StoredWinner> read_winners(const std::string& folder,
                                       std::vector<CacheDefect>& defects) {
  std::vector<StoredWinner> all;
  visit_winners(folder, [&](const CacheEntry& entry, const FileBytes& file) {
    StoredWinner stored{.winner = {}, .hash = entry.name, .path = entry.path, .prebuilt = false};
    const std::string why = entry.defect.empty()
                                ? parse_winner_file(file.bytes, entry.path, stored.winner)
                                : entry.defect;
    if (why.empty()) {
      all.push_back(std::move(stored));
    } else {
      defects.push_back({folder + "/" + entry.path, why});
    }
  });
  return all;
}

// Where it was found: there it answers, or another does.
WinnerQuery query_of(const Winner& w) {
  return {.task = w.task,
          .device = w.device,
          .determinism = w.determinism,
          .rows = w.tuned_rows,
          .inner = w.tuned_inner};
}

}  // namespace

LayerExport export_layer(const std::string& folder, const std::string& layer) {
  std::error_code ignored;
  if (std::filesystem::exists(layer, ignored) && !std::filesystem::is_empty(layer, ignored)) {
    fail(Status::io_error, "{} holds something already; use a folder that is empty or new", layer);
  }
  LayerExport result;
  const std::vector<StoredWinner> all = read_winners(folder, result.defects);
  for (const StoredWinner& stored : all) {
    const std::optional<FoundWinner> answer = choose_winner(all, query_of(stored.winner));
    if (!answer || answer->stored.hash != stored.hash) {
      ++result.outranked;
      continue;
    }
    Winner winner = stored.winner;
    if (winner.schedule == winner.default_schedule) {
      ++result.defaults;
      continue;
    }
    winner.binary.clear();
    const std::string why = write_private_file(layer, winner_path(winner), to_text(winner));
    if (!why.empty()) fail(Status::io_error, "the layer can't be stored: {}", why);
    ++result.winners;
  }
  std::filesystem::remove(layer + "/tmp", ignored);
  return result;
}

}  // namespace grkan
