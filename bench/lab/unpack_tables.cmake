# Unpacks the recorded tables if their checksum is right:
#   cmake -DARCHIVE=tables.tar.xz -DFOLDER=tables -P unpack_tables.cmake
# What was in FOLDER is gone then. FOLDER/unpacked is the last file made.
file(READ ${ARCHIVE}.sha256 expected)
string(REGEX MATCH "^[0-9a-f]+" expected "${expected}")
file(SHA256 ${ARCHIVE} found)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "${ARCHIVE} has the SHA-256 ${found}, but the file beside it says '${expected}'; "
                      "check both out again, or pack the tables with bench/lab/pack_tables")
endif()
file(REMOVE_RECURSE ${FOLDER})
file(ARCHIVE_EXTRACT INPUT ${ARCHIVE} DESTINATION ${FOLDER} TOUCH)
file(TOUCH ${FOLDER}/unpacked)
