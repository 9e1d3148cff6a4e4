# cmake --install: the libraries, the command, what find_package and pkg-config need, and the pages. Nothing
# installed knows where it lies, so the whole prefix can be moved.
include(CMakePackageConfigHelpers)

# libgrkan finds the other two beside itself, the command in the folder of libraries (runtime/beside.h).
install(TARGETS grkan EXPORT grkanTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS grkan_compiler grkan_virtual_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS grkan_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY runtime/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# Winners found by scripts/winners; libgrkan and the command know where they lie from them.
install(DIRECTORY winners DESTINATION ${CMAKE_INSTALL_DATADIR}/grkan)

# find_package(grkan).
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/grkan)
install(EXPORT grkanTargets NAMESPACE grkan:: DESTINATION ${package})
set(compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/grkanConfigVersion.cmake
                                 COMPATIBILITY ${compatibility})
install(FILES cmake/grkanConfig.cmake ${PROJECT_BINARY_DIR}/generated/grkanConfigVersion.cmake
        DESTINATION ${package})

# pkg-config grkan.
file(RELATIVE_PATH prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/grkan.pc.in ${PROJECT_BINARY_DIR}/generated/grkan.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/grkan.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The pages lie as they do here, so that their links hold.
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES bench/RESULTS.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/bench)
