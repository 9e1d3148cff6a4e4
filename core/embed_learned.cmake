# Writes OUTPUT: grkan::FUNCTION, declared in HEADER, which gives the text of FILE, if its checksum is right:
#   cmake -DFILE=cuda/learned.txt -DHEADER=cuda/learned_data.h -DFUNCTION=cuda_learned_data -DOUTPUT=... -P embed_learned.cmake
file(READ ${FILE}.sha256 expected)
string(REGEX MATCH "^[0-9a-f]+" expected "${expected}")
file(SHA256 ${FILE} found)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "${FILE} has the SHA-256 ${found}, but the file beside it says '${expected}'; "
                      "check both out again, or make them with bench/lab/learn/train.py")
endif()
file(READ ${FILE} text)
string(LENGTH "${text}" length)
# Compilers take literals of 64 KiB; strings side by side are one.
set(literals "")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 16000 part)
  string(APPEND literals "\n    R\"grkan(${part})grkan\"")
  math(EXPR at "${at} + 16000")
endwhile()
file(WRITE ${OUTPUT} "// Made from ${FILE} by core/embed_learned.cmake.\n#include \"${HEADER}\"\n\nnamespace grkan {\n\nstd::string_view ${FUNCTION}() {\n  return ${literals};\n}\n\n}  // namespace grkan\n")
