# Writes OUTPUT: grkan::FUNCTION, declared in HEADER, which gives the text of FILE, if its checksum is right:
#   cmake -DFILE=cuda/learned.txt -DHEADER=cuda/learned_data.h -DFUNCTION=cuda_learned_data -DOUTPUT=... -P embed_learned.cmake
include(${CMAKE_CURRENT_LIST_DIR}/../cmake/checksum.cmake)
check_sha256(${FILE} "make them with bench/lab/learn/train.py")
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
