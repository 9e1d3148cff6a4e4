# Unpacks the recorded tables if their checksum is right:
#   cmake -DARCHIVE=tables.tar.xz -DFOLDER=tables -P unpack_tables.cmake
# What was in FOLDER is gone then. FOLDER/unpacked is the last file made.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/checksum.cmake)
check_sha256(${ARCHIVE} "pack the tables with bench/lab/pack_tables")
file(REMOVE_RECURSE ${FOLDER})
file(ARCHIVE_EXTRACT INPUT ${ARCHIVE} DESTINATION ${FOLDER} TOUCH)
file(TOUCH ${FOLDER}/unpacked)
