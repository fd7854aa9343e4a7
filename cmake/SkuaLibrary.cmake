# SPDX-License-Identifier: MIT
# The library in its two forms, and what is installed of it.
#
# skua::static and skua::shared are the two; skua::skua is the one that BUILD_SHARED_LIBS asks for.
# Within a project of somebody else, and where nothing is installed, each is built only when
# something links it.

# Before 1.0 each minor version has an interface of its own.
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(SKUA_ABI ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
else()
    set(SKUA_ABI ${PROJECT_VERSION_MAJOR})
endif()

# The archive holds one object, in which only the public names are global: the floors see each
# other, a program that links skua sees none of them.
add_library(skua_objects OBJECT EXCLUDE_FROM_ALL ${SKUA_SOURCES})
skua_library_settings(skua_objects)
set_target_properties(skua_objects PROPERTIES C_VISIBILITY_PRESET hidden)
set(pic -fPIC -ftls-model=initial-exec -fno-semantic-interposition)
if(CMAKE_POSITION_INDEPENDENT_CODE)
    skua_one_object(skua_objects skua.o ${pic})
else()
    skua_one_object(skua_objects skua.o)
endif()
add_library(skua_static STATIC ${CMAKE_CURRENT_BINARY_DIR}/skua.o)
set_target_properties(skua_static PROPERTIES
    OUTPUT_NAME skua EXPORT_NAME static LINKER_LANGUAGE C)
skua_static_interface(skua_static)
add_library(skua::static ALIAS skua_static)
set(forms static)

# The shared library names no allocator, so that it can be loaded into a program that runs on the C
# library's malloc: the program's link interface brings jemalloc. Its thread-locals are a few words,
# for which the loader keeps room, hence the cheap way to reach them. It stays where it is loaded:
# there are signal handlers, and threads that end in it. Position-independent code serves both.
if(SKUA_SHARED)
    set(object skua.o)
    if(NOT CMAKE_POSITION_INDEPENDENT_CODE)
        set(object skua_shared.o)
        add_library(skua_shared_objects OBJECT EXCLUDE_FROM_ALL ${SKUA_SOURCES})
        skua_library_settings(skua_shared_objects)
        set_target_properties(skua_shared_objects PROPERTIES C_VISIBILITY_PRESET hidden)
        skua_one_object(skua_shared_objects ${object} ${pic})
    endif()
    set(map ${CMAKE_CURRENT_BINARY_DIR}/skua.map)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/skua.map.in ${map} @ONLY)
    add_library(skua_shared SHARED ${CMAKE_CURRENT_BINARY_DIR}/${object})
    if(CMAKE_POSITION_INDEPENDENT_CODE)
        add_dependencies(skua_shared skua_static) # one of them has to make the object
    endif()
    skua_common(skua_shared)
    set_target_properties(skua_shared PROPERTIES OUTPUT_NAME skua EXPORT_NAME shared
        VERSION ${PROJECT_VERSION} SOVERSION ${SKUA_ABI} LINKER_LANGUAGE C LINK_DEPENDS ${map}
        INTERPROCEDURAL_OPTIMIZATION OFF)
    target_link_options(skua_shared PRIVATE
        LINKER:-z,defs,-z,nodelete,-Bsymbolic-functions,--as-needed
        LINKER:--version-script=${map})
    target_link_libraries(skua_shared PRIVATE Threads::Threads ${SKUA_CK_LIBRARY} m)
    skua_interface(skua_shared)
    add_library(skua::shared ALIAS skua_shared)
    list(APPEND forms shared)
endif()

if(BUILD_SHARED_LIBS AND SKUA_SHARED)
    add_library(skua::skua ALIAS skua_shared)
else()
    add_library(skua::skua ALIAS skua_static)
endif()

if(NOT SKUA_INSTALL)
    foreach(form IN LISTS forms)
        set_target_properties(skua_${form} PROPERTIES EXCLUDE_FROM_ALL ON)
    endforeach()
    return()
endif()

# ---- installing: a CMake package, a file for pkg-config, headers ----
include(CMakePackageConfigHelpers)
set(SKUA_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/skua)
foreach(form IN LISTS forms)
    install(TARGETS skua_${form} EXPORT skua-${form}-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT devel
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            COMPONENT runtime NAMELINK_COMPONENT devel)
    install(EXPORT skua-${form}-targets NAMESPACE skua:: DESTINATION ${SKUA_CMAKE_DIR}
        COMPONENT devel)
endforeach()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/skua-config.cmake.in skua-config.cmake
    INSTALL_DESTINATION ${SKUA_CMAKE_DIR} NO_SET_AND_CHECK_MACRO
    NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(skua-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/skua-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/skua-config-version.cmake
    DESTINATION ${SKUA_CMAKE_DIR} COMPONENT devel)

# skua.pc finds its prefix from its own place, wherever the tree was moved to.
foreach(what LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${what}}")
        set(pc_${what} "${CMAKE_INSTALL_${what}}")
    else()
        set(pc_${what} "\${prefix}/${CMAKE_INSTALL_${what}}")
    endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /)
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
endif()
set(pc_name "-lskua")
if(NOT SKUA_SHARED)
    # The archive is all there is: what it needs is needed always.
    string(APPEND pc_name " -lck -lm -pthread")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/skua.pc.in skua.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/skua.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT devel)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    COMPONENT devel FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR}
    COMPONENT devel)
