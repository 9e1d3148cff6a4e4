// What a plan chooses from as bytes, out and in: how the ranks of a parallel job agree.
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cache/files.h"
#include "core/error.h"
#include "runtime/plan.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 2;
constexpr std::string_view kExportKind = "grkan winners";

}  // namespace

std::string Plan::export_winners() {
  std::shared_ptr<const ImportedWinners> from = imports_.get();
  if (from == nullptr) {
    ImportedWinners own{.device = describe(device_.info()), .winners = {}};
    for (const Task& t : tasks()) {
      for (StoredWinner& w : context_.cache().winners(t, device_.target().name)) {
        own.winners.push_back(std::move(w));
      }
    }
    from = std::make_shared<ImportedWinners>(std::move(own));
  }
  Json winners = Json::array();
  for (const StoredWinner& stored : from->winners) {
    Winner winner = stored.winner;
    winner.candidates.clear();  // no choice rests on them
    winners.push_back({{"winner", Json::parse(to_text(winner))},
                       {"hash", stored.hash},
                       {"path", stored.path},
                       {"prebuilt", stored.prebuilt}});
  }
  const Json content = {{"problem", to_string(problem_)},
                        {"target", device_.target().name},
                        {"device", device_json(from->device)},
                        {"winners", std::move(winners)}};
  return Json{{"kind", kExportKind},
              {"schema", kSchema},
              {"hash", content_hash(content.dump())},
              {"content", content}}
      .dump();
}

void Plan::import_winners(std::string_view bytes) {
  ImportedWinners imported;
  try {
    const Json j = Json::parse(bytes);
    const Json& content = j.at("content");
    if (j.at("kind") != kExportKind || j.at("schema") != kSchema ||
        j.at("hash") != content_hash(content.dump())) {
      fail_argument("the bytes are no undamaged export of this version; export them again");
    }
    if (content.at("problem") != to_string(problem_) ||
        content.at("target") != device_.target().name) {
      fail_argument("the bytes are of {} on {}, but the plan is of {} on {}",
                    content.at("problem").get<std::string>(),
                    content.at("target").get<std::string>(), to_string(problem_),
                    device_.target().name);
    }
    imported.device = device_of_json(content.at("device"));
    for (const Json& item : content.at("winners")) {
      imported.winners.push_back({.winner = parse_winner(item.at("winner").dump()),
                                  .hash = item.at("hash").get<std::string>(),
                                  .path = item.at("path").get<std::string>(),
                                  .prebuilt = item.at("prebuilt").get<bool>()});
    }
  } catch (const nlohmann::json::exception& error) {
    fail_argument("the bytes are no undamaged export of a plan: {}", error.what());
  }
  imports_.set(std::make_shared<ImportedWinners>(std::move(imported)));
  choose_again();
}

}  // namespace grkan
