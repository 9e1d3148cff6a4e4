// Holds JSON documents to the tables of docs/json.md.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace grkan {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// A place in a document: names, and "[]" for an element of a list.
inline Words segments(const std::string& path) {
  Words parts;
  std::string part;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '.' && path[i] != '[') {
      part += path[i];
      continue;
    }
    if (!part.empty()) parts.push_back(part);
    part.clear();
    if (i < path.size() && path[i] == '[') {
      parts.emplace_back("[]");
      ++i;
    }
  }
  return parts;
}

inline std::string text_of(const Words& place) {
  std::string text;
  for (const std::string& part : place) {
    text += (part == "[]" || text.empty() ? "" : ".") + part;
  }
  return text;
}

struct Field {
  Words path;
  Words types;
  bool optional = false;

  [[nodiscard]] bool allows(const std::string& type) const {
    return std::find(types.begin(), types.end(), type) != types.end();
  }
  [[nodiscard]] bool anything_below() const { return path.back() == "**"; }
  [[nodiscard]] bool matches(const Words& place) const {
    if (anything_below() ? place.size() < path.size() : place.size() != path.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] == "**") return true;
      if (path[i] != place[i] && !(path[i] == "*" && place[i] != "[]")) return false;
    }
    return true;
  }
};

// The tables of docs/json.md by their section's name.
inline std::map<std::string, std::vector<Field>> read_tables() {
  std::map<std::string, std::vector<Field>> tables;
  std::ifstream file(GRKAN_JSON_DOC);
  EXPECT_TRUE(file) << GRKAN_JSON_DOC;
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) section = line.substr(3);
    if (!line.starts_with("| `")) continue;
    const std::size_t end = line.find('`', 3);
    const std::size_t bar = line.find(" | ", end);
    Field field;
    field.path = segments(line.substr(3, end - 3));
    field.optional = line.substr(end, bar - end).find("(optional)") != std::string::npos;
    std::string types = line.substr(bar + 3, line.find(" | ", bar + 3) - bar - 3);
    for (std::size_t at; (at = types.find(" or ")) != std::string::npos;) {
      field.types.push_back(types.substr(0, at));
      types.erase(0, at + 4);
    }
    field.types.push_back(types);
    tables[section].push_back(field);
  }
  return tables;
}

inline std::string type_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  if (value.is_string()) return "string";
  return value.is_array() ? "list" : "object";
}

// Holds documents of one verb to its tables.
class Documented {
 public:
  explicit Documented(const std::string& verb, bool shared_results = false) {
    const auto tables = read_tables();
    Words sections = {"Every document", verb};
    if (shared_results) sections.emplace_back("Results");
    for (const std::string& section : sections) {
      EXPECT_TRUE(tables.contains(section)) << "no section " << section;
      if (!tables.contains(section)) continue;
      for (const Field& field : tables.at(section)) fields_.push_back(field);
    }
    met_.resize(fields_.size());
  }

  void hold(const Json& value, const Words& place = {}) {
    if (!place.empty() && !known(value, place)) return;
    if (value.is_object()) {
      for (const Field& field : fields_) require(field, value, place);
      for (const auto& [name, child] : value.items()) hold(child, with(place, name));
    }
    if (value.is_array()) {
      for (const Json& child : value) hold(child, with(place, "[]"));
    }
  }
  // After all documents: what is documented as always there was there.
  void finish() const {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (!met_[i] && !may_miss(fields_[i].path)) {
        ADD_FAILURE() << "documented but never met: " << text_of(fields_[i].path);
      }
    }
  }

 private:
  static Words with(Words place, const std::string& part) {
    place.push_back(part);
    return place;
  }
  bool known(const Json& value, const Words& place) {
    const std::string type = type_of(value);
    bool found = false;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const Field& field = fields_[i];
      if (!field.matches(place)) continue;
      found = true;
      met_[i] = true;
      EXPECT_TRUE(field.allows(type) || field.allows("any") ||
                  (type == "integer" && field.allows("number")))
          << text_of(place) << " is " << value;
    }
    // An element of a documented list of objects has no line of its own.
    if (!found && place.back() == "[]" && value.is_object()) found = true;
    EXPECT_TRUE(found) << "not documented: " << text_of(place);
    return found;
  }
  static void require(const Field& field, const Json& object, const Words& place) {
    const std::string& name = field.path.back();
    if (field.optional || name.starts_with("*") || name == "[]") return;
    Field parent = field;
    parent.path.pop_back();
    if (parent.path.empty() ? !place.empty() : !parent.matches(place)) return;
    EXPECT_TRUE(object.contains(name)) << "missing: " << text_of(field.path);
  }
  [[nodiscard]] bool may_miss(Words path) const {
    for (; !path.empty(); path.pop_back()) {
      for (const Field& field : fields_) {
        if (field.path == path && (field.optional || field.allows("null"))) return true;
      }
    }
    return false;
  }

  std::vector<Field> fields_;
  std::vector<bool> met_;
};

}  // namespace grkan
