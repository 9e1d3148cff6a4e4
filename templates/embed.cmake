# Writes OUTPUT: FUNCTION of NAMESPACE, declared in HEADER, which gives the text of
# FOLDER/<name>SUFFIX for each name of NAMES.
set(text "// Made from the files of ${FOLDER} by templates/embed.cmake.\n#include \"${HEADER}\"\n\n")
string(APPEND text "#include \"core/error.h\"\n\nnamespace ${NAMESPACE} {\n\n")
string(APPEND text "std::string_view ${FUNCTION}(std::string_view name) {\n")
foreach(name IN LISTS NAMES)
  file(READ ${FOLDER}/${name}${SUFFIX} body)
  string(APPEND text "  if (name == \"${name}\") return R\"grkan(${body})grkan\";\n")
endforeach()
string(APPEND text "  fail(Status::internal, \"no text '{}' is embedded\", name);\n}\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${text}")
