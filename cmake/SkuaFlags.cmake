# SPDX-License-Identifier: MIT
# Compiler and linker flags, and the settings every target of this project shares.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(SKUA_ARCH x86_64)
    # endbr64 is what the stack switch jumps to. Shadow stacks (=return) are left out: a switch
    # changes stacks by hand.
    set(SKUA_COMMON_FLAGS -fcf-protection=branch)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(SKUA_ARCH aarch64)
    set(SKUA_COMMON_FLAGS -mbranch-protection=standard)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # Otherwise frames of up to 64 KiB are taken to be caught by the guard of a thread.
        list(APPEND SKUA_COMMON_FLAGS --param=stack-clash-protection-guard-size=12)
    endif()
else()
    message(FATAL_ERROR "skua runs on x86-64 and aarch64, not on ${CMAKE_SYSTEM_PROCESSOR}")
endif()

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

# Flags of everything we compile.
if(SKUA_ARCH STREQUAL "x86_64" OR CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND SKUA_COMMON_FLAGS -fstack-clash-protection)
endif()
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

# Programs that link the library allocate by jemalloc. No symbol of it is named, so --as-needed
# would drop it; one flag, so that nothing on its way to the linker can tear the parts apart.
set(SKUA_ALLOCATOR_FLAGS "")
if(SKUA_ALLOCATOR STREQUAL "jemalloc")
    set(SKUA_ALLOCATOR_FLAGS -Wl,--push-state,--no-as-needed,-ljemalloc,--pop-state)
endif()

# What a program needs that links any form of the library.
function(skua_interface target)
    target_include_directories(${target}
        INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_options(${target} INTERFACE ${SKUA_ALLOCATOR_FLAGS})
endfunction()

# What it needs besides when the library's own objects are linked into it.
function(skua_static_interface target)
    skua_interface(${target})
    target_link_libraries(${target} INTERFACE Threads::Threads
        $<BUILD_INTERFACE:${SKUA_CK_LIBRARY}> $<INSTALL_INTERFACE:ck> m)
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

# Joins the objects of a target into one, in which everything hidden is local unless the target
# shows its insides. Release builds with gcc optimise across the floors while joining: a spawn
# passes through five of them. Further arguments are flags of the compiler.
function(skua_one_object objects name)
    set(join -r -nostdlib ${ARGN})
    target_compile_options(${objects} PRIVATE ${ARGN})
    if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU"
            AND NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
        target_compile_options(${objects} PRIVATE $<$<COMPILE_LANGUAGE:C>:-flto>)
        separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS_RELEASE}")
        list(APPEND join -flto=auto -flinker-output=nolto-rel ${flags} ${SKUA_COMMON_FLAGS})
    else()
        # An object for the linker's optimiser could not be joined.
        set_target_properties(${objects} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
        target_compile_options(${objects} PRIVATE $<$<COMPILE_LANGUAGE:C>:-fno-lto>)
    endif()
    get_target_property(visibility ${objects} C_VISIBILITY_PRESET)
    set(hide "")
    if(visibility STREQUAL "hidden")
        set(hide COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${name})
    endif()
    add_custom_command(OUTPUT ${name}
        COMMAND ${CMAKE_C_COMPILER} ${join} $<TARGET_OBJECTS:${objects}> -o ${name}
        ${hide}
        DEPENDS ${objects} $<TARGET_OBJECTS:${objects}>
        COMMAND_EXPAND_LISTS VERBATIM)
endfunction()

# A program of ours: examples, bench, stress.
function(skua_program name)
    add_executable(${name} ${ARGN})
    skua_common(${name})
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(${name} PRIVATE ${SKUA_LINKED})
    set_property(GLOBAL APPEND PROPERTY SKUA_PROGRAMS ${name})
endfunction()
