# cmake --install build --component python: what the Python package has beside its modules (pyproject.toml).
add_custom_target(grkan_python DEPENDS grkan grkan_compiler grkan_frameworks grkan_virtual_cuda grkan_cli)

# A package can't hold links: libgrkan lies there under its soname.
install(TARGETS grkan grkan_compiler grkan_frameworks grkan_virtual_cuda
        LIBRARY DESTINATION grkan/lib COMPONENT python NAMELINK_SKIP EXCLUDE_FROM_ALL)
install(CODE "file(RENAME \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/grkan/lib/$<TARGET_FILE_NAME:grkan>\"
                          \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/grkan/lib/$<TARGET_SONAME_FILE_NAME:grkan>\")"
        COMPONENT python EXCLUDE_FROM_ALL)
install(TARGETS grkan_cli RUNTIME DESTINATION grkan/bin COMPONENT python EXCLUDE_FROM_ALL)
install(DIRECTORY winners DESTINATION grkan COMPONENT python EXCLUDE_FROM_ALL)
install(DIRECTORY runtime/include/ DESTINATION grkan/include COMPONENT python EXCLUDE_FROM_ALL)

# Licences of what is inside those files, as Debian's packages have them, and of compat/initial.json.
string(REGEX MATCH "^[0-9]+" gcc "${CMAKE_CXX_COMPILER_VERSION}")
install(FILES python/licenses/rational_kat.txt DESTINATION grkan/licenses COMPONENT python EXCLUDE_FROM_ALL)
foreach(inside LLVM:llvm-22-dev MLIR:libmlir-22-dev fmt:libfmt-dev nlohmann-json:nlohmann-json3-dev
               xxHash:libxxhash-dev CLI11:libcli11-dev zstd:libzstd-dev zlib:zlib1g-dev
               libstdc++:libstdc++-${gcc}-dev)
  string(REPLACE ":" ";" inside ${inside})
  list(GET inside 0 name)
  list(GET inside 1 package)
  set(licence /usr/share/doc/${package}/copyright)
  if(EXISTS ${licence})
    file(REAL_PATH ${licence} licence)
    install(FILES ${licence} DESTINATION grkan/licenses RENAME ${name}.txt COMPONENT python EXCLUDE_FROM_ALL)
  else()
    message(STATUS "No ${licence}: a wheel of this build lacks the licence of ${name}")
  endif()
endforeach()
