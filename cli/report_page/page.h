// Page: tunings as one HTML file that needs nothing beside it: page.html with page.css, page.js and
// the data, as JSON, inside. All text of the data is treated as hostile: it is escaped here and
// shown as text there.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/report_page/tunings.h"

namespace grkan::cli {

struct PageOptions {
  std::string folder;                 // of the cache, as the page tells it
  std::string date;                   // UTC
  std::size_t most_candidates = 200;  // of a tuning, shown with a time; a quarter of it without one
  std::size_t most_tunings = 200;     // the latest ones
  std::size_t most_winners = 100;     // of a task and device, beside those that answer
};

// What page.js shows. `left_out` says what of the tunings is not in it and how to see it.
nlohmann::ordered_json page_data(const CacheTunings& tunings, const PageOptions& options);

std::string page_html(const nlohmann::ordered_json& data);

// The text of cli/report_page/<name>, made by templates/embed.cmake.
std::string_view page_part(std::string_view name);

}  // namespace grkan::cli
