# Writes generator.h: a hash over what makes a kernel of a task.
set(all "${GRKAN_CPU_COMPILER}")
foreach(source ${SOURCES})
  file(SHA256 ${source} hash)
  string(APPEND all " ${hash}")
endforeach()
string(SHA256 all "${all}")
string(SUBSTRING ${all} 0 16 GRKAN_GENERATOR_ID)
configure_file(${INPUT} ${OUTPUT} @ONLY)
