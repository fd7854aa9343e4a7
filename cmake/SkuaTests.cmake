# SPDX-License-Identifier: MIT
# How a source under tests/ becomes ctest entries. Every test has a timeout; exit status 77 is a
# skip whose reason is the last line the program printed.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
    message(WARNING "cmocka is missing, so of the tests only skua-stress is built: "
        "apt-get install libcmocka-dev (or scripts/setup check)")
endif()

set(SKUA_TEST_LAUNCHER "")
set(SKUA_TEST_TIMEOUT 60)
set(SKUA_TEST_ENV CMOCKA_TEST_ABORT=1)
if(SKUA_SANITIZER)
    set(SKUA_TEST_TIMEOUT 240)
    # The sanitizers of both compilers lay out memory for less address randomisation than new
    # kernels use. Where a container forbids switching it off, the tests run as they are.
    execute_process(COMMAND setarch -R true RESULT_VARIABLE skua_setarch OUTPUT_QUIET ERROR_QUIET)
    if(skua_setarch EQUAL 0)
        set(SKUA_TEST_LAUNCHER setarch -R)
    endif()
    list(APPEND SKUA_TEST_ENV SKUA_TEST_DEADLINE=120
        "ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1:strict_string_checks=1"
        "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
        "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
endif()
if(CMAKE_CROSSCOMPILING)
    set(SKUA_TEST_TIMEOUT 240)
    set(SKUA_TEST_LAUNCHER ${CMAKE_CROSSCOMPILING_EMULATOR})
    # qemu-user forks while its other threads hold mutexes of GLib's slices: a child hung now and
    # then before its exec.
    list(APPEND SKUA_TEST_ENV SKUA_TEST_DEADLINE=200 G_SLICE=always-malloc)
    list(JOIN CMAKE_CROSSCOMPILING_EMULATOR "\",\"" words)
    add_compile_definitions(T_EMULATOR="${words}")
endif()
if(SKUA_VALGRIND)
    set(SKUA_TEST_TIMEOUT 600)
    set(SKUA_TEST_LAUNCHER valgrind -q --error-exitcode=1 --fair-sched=yes --leak-check=full)
endif()

function(skua_register name label)
    cmake_parse_arguments(arg "" "TIMEOUT" "ENV;COMMAND" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT ${SKUA_TEST_TIMEOUT})
    endif()
    add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${arg_TIMEOUT}
        SKIP_RETURN_CODE 77 ENVIRONMENT "${SKUA_TEST_ENV};${arg_ENV}")
endfunction()

# What qemu-user does not do as Linux does: a program that cannot be started is reported to nobody
# (vfork is a fork there), and threads of its own are among those of the process.
set(SKUA_NOT_EMULATED base_sys_child_test net_process_start_test semantics_processes_test
    regress_process_test semantics_deadlock_test sched_watch_rung_between_two_looks_test)

# tests/<dir>/<x>_test.c -> program <dir>_<x>_test. WORKERS: once for each of these numbers.
function(skua_test_program source label)
    cmake_parse_arguments(arg "" "" "WORKERS" ${ARGN})
    get_filename_component(stem ${source} NAME_WE)
    get_filename_component(dir ${source} DIRECTORY)
    get_filename_component(dir ${dir} NAME)
    set(name ${dir}_${stem})
    if(CMAKE_CROSSCOMPILING AND name IN_LIST SKUA_NOT_EMULATED)
        return()
    endif()
    add_executable(${name} ${source})
    skua_common(${name})
    target_compile_options(${name} PRIVATE -Wno-unused-parameter)
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE
        $<$<BOOL:${SKUA_DEBUG_CHECKS}>:SKUA_DEBUG_CHECKS=1>)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
    target_link_libraries(${name} PRIVATE PkgConfig::CMOCKA)
    if(TARGET skua_test_support)
        target_link_libraries(${name} PRIVATE skua_test_support)
    endif()
    target_link_libraries(${name} PRIVATE skua_testing)
    if(NOT arg_WORKERS)
        skua_register(${name} ${label} COMMAND ${SKUA_TEST_LAUNCHER} $<TARGET_FILE:${name}>)
    endif()
    foreach(n IN LISTS arg_WORKERS)
        skua_register(${name}.w${n} ${label} ENV SKUA_WORKERS=${n}
            COMMAND ${SKUA_TEST_LAUNCHER} $<TARGET_FILE:${name}>)
    endforeach()
endfunction()

# tests/model/<x>_model.cpp: the protocol headers of rt/ under the Relacy model checker, compiled by
# g++ whatever the preset's compiler is. Each `MUTANT: NAME` line of a model is one more test, with
# one order or one check taken away, which passes only if the checker objects. A source that holds
# the word RT_MODEL_MUTANT reads the name of its mutant from that variable; any other is compiled
# once more with -DMUT_NAME, unoptimised: a mutant is found soon, and compiling is what takes long.
function(skua_model_program out source)
    set(depfile ${CMAKE_CURRENT_BINARY_DIR}/model/${out}.d)
    set(program ${CMAKE_CURRENT_BINARY_DIR}/model/${out})
    add_custom_command(OUTPUT ${program}
        COMMAND ${SKUA_GXX} -std=gnu++11 -w -DRT_MODEL ${ARGN}
            -I${PROJECT_SOURCE_DIR}/rt -I${PROJECT_SOURCE_DIR}/tests/model
            -MD -MF ${depfile} -MT ${program} ${source} -o ${program}
        DEPENDS ${source} DEPFILE ${depfile} VERBATIM COMMENT "Model ${out}")
    set_property(GLOBAL APPEND PROPERTY SKUA_MODEL_PROGRAMS ${program})
endfunction()

function(skua_model source)
    get_filename_component(stem ${source} NAME_WE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    set(at ${CMAKE_CURRENT_BINARY_DIR}/model)
    skua_model_program(${stem} ${source} -O2)
    skua_register(model_${stem} model TIMEOUT 120 COMMAND ${at}/${stem})
    set(tests model_${stem})
    file(STRINGS ${source} at_run_time REGEX "RT_MODEL_MUTANT")
    file(STRINGS ${source} lines REGEX "MUTANT: *[A-Za-z0-9_]+")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE ".*MUTANT: *([A-Za-z0-9_]+).*" "\\1" mutant "${line}")
        set(name model_${stem}.${mutant})
        if(at_run_time)
            skua_register(${name} model TIMEOUT 120 ENV RT_MODEL_MUTANT=${mutant}
                COMMAND ${at}/${stem})
        else()
            skua_model_program(${stem}.${mutant} ${source} -O0 -DMUT_${mutant})
            skua_register(${name} model TIMEOUT 120 COMMAND ${at}/${stem}.${mutant})
        endif()
        set_tests_properties(${name} PROPERTIES WILL_FAIL ON)
        list(APPEND tests ${name})
    endforeach()
    set_tests_properties(${tests} PROPERTIES FIXTURES_REQUIRED models)
endfunction()
