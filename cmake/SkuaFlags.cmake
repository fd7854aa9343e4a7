# SPDX-License-Identifier: MIT
# Compiler and linker flags, and the settings every target of this project shares.
find_package(Threads REQUIRED)
find_library(SKUA_CK_LIBRARY ck)
find_path(SKUA_CK_INCLUDE ck_pr.h)
if(NOT SKUA_CK_LIBRARY OR NOT SKUA_CK_INCLUDE)
    message(FATAL_ERROR "Concurrency Kit is missing: apt-get install libck-dev")
endif()
if(SKUA_ALLOCATOR STREQUAL "jemalloc")
    find_library(SKUA_JEMALLOC_LIBRARY jemalloc)
    if(NOT SKUA_JEMALLOC_LIBRARY)
        message(FATAL_ERROR "jemalloc is missing: apt-get install libjemalloc-dev, "
            "or configure with -DSKUA_ALLOCATOR=system")
    endif()
elseif(NOT SKUA_ALLOCATOR STREQUAL "system")
    message(FATAL_ERROR "SKUA_ALLOCATOR is \"${SKUA_ALLOCATOR}\": jemalloc or system")
endif()

# Flags of everything we compile. endbr64 of branch protection is what the stack switch jumps to,
# and -fno-plt and shadow stacks (=return) are left out: a switch changes stacks by hand.
set(SKUA_COMMON_FLAGS -fstack-clash-protection -fcf-protection=branch)
set(SKUA_WARNINGS -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes)
if(SKUA_WERROR)
    list(APPEND SKUA_WARNINGS -Werror)
endif()
set(SKUA_LINK_FLAGS -Wl,-z,relro,-z,now,-z,noexecstack)
if(SKUA_DEBUG_CHECKS OR SKUA_SANITIZER OR SKUA_VALGRIND)
    list(APPEND SKUA_COMMON_FLAGS -fno-omit-frame-pointer)
endif()
if(SKUA_SANITIZER STREQUAL "address")
    set(skua_sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(SKUA_SANITIZER STREQUAL "thread")
    set(skua_sanitize -fsanitize=thread)
elseif(SKUA_SANITIZER)
    message(FATAL_ERROR "SKUA_SANITIZER is \"${SKUA_SANITIZER}\": address or thread")
endif()
list(APPEND SKUA_COMMON_FLAGS ${skua_sanitize})
list(APPEND SKUA_LINK_FLAGS ${skua_sanitize})

# What is common to libraries, programs and tests.
function(skua_common target)
    target_compile_options(${target} PRIVATE ${SKUA_COMMON_FLAGS})
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${SKUA_WARNINGS}>)
    target_link_options(${target} PRIVATE ${SKUA_LINK_FLAGS})
endfunction()

# What a program needs that links the library.
function(skua_library_interface target)
    target_include_directories(${target}
        INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${target} INTERFACE Threads::Threads ${SKUA_CK_LIBRARY} m)
    if(SKUA_ALLOCATOR STREQUAL "jemalloc")
        # No symbol of it is named, so --as-needed would drop it.
        target_link_options(${target} INTERFACE
            "LINKER:--push-state,--no-as-needed,-ljemalloc,--pop-state")
    endif()
endfunction()

# How the sources of the library are compiled.
function(skua_library_settings target)
    skua_common(${target})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE SKUA_NO_ERRNO_MACRO
        $<$<BOOL:${SKUA_DEBUG_CHECKS}>:SKUA_DEBUG_CHECKS=1>
        $<$<BOOL:${SKUA_VALGRIND}>:SKUA_VALGRIND=1>)
    target_include_directories(${target}
        PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/rt ${SKUA_CK_INCLUDE})
endfunction()

# Joins the objects of a target into one, in which everything hidden is local. Release builds with
# gcc optimise across the floors while joining: a spawn passes through five of them.
function(skua_one_object objects name)
    set(join -r -nostdlib)
    if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU"
            AND NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
        target_compile_options(${objects} PRIVATE $<$<COMPILE_LANGUAGE:C>:-flto>)
        separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS_RELEASE}")
        list(APPEND join -flto=auto -flinker-output=nolto-rel ${flags} ${SKUA_COMMON_FLAGS})
    elseif(CMAKE_INTERPROCEDURAL_OPTIMIZATION)
        set_target_properties(${objects} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    endif()
    add_custom_command(OUTPUT ${name}
        COMMAND ${CMAKE_C_COMPILER} ${join} $<TARGET_OBJECTS:${objects}> -o ${name}
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${name}
        DEPENDS ${objects} $<TARGET_OBJECTS:${objects}>
        COMMAND_EXPAND_LISTS VERBATIM)
endfunction()

# A program of ours on the plain library: examples, bench, stress.
function(skua_program name)
    add_executable(${name} ${ARGN})
    skua_common(${name})
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(${name} PRIVATE skua)
    set_property(GLOBAL APPEND PROPERTY SKUA_PROGRAMS ${name})
endfunction()
