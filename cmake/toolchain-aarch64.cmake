# SPDX-License-Identifier: MIT
# Cross-building for aarch64 on Debian with gcc-aarch64-linux-gnu; the programs run under qemu-user.
# The libraries come from scripts/sysroot-aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

get_filename_component(skua_sysroot ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-aarch64 ABSOLUTE)
set(skua_sysroot_lib ${skua_sysroot}/usr/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${skua_sysroot_lib} -Wl,-rpath,${skua_sysroot_lib}")
set(CMAKE_FIND_ROOT_PATH ${skua_sysroot} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${skua_sysroot_lib}/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${skua_sysroot})
