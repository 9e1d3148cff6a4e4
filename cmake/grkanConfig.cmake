# find_package(grkan): the target grkan::grkan.
include("${CMAKE_CURRENT_LIST_DIR}/grkanTargets.cmake")
