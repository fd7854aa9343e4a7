#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""install_test.py CASE --build DIR --allocator NAME [--cc CC] [--cxx CXX]

Installs the library built in DIR and uses it as others would: as a CMake package, by pkg-config, as
a subdirectory, by dlopen. Case `prefix` installs; the other cases use what it left.
"""
import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(SOURCE, "tests", "install")
FORMS = ("static", "shared")
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def expect(truth, text):
    if not truth:
        sys.exit("install: " + text)


def clean_env(**more):
    """Without what the caller's shell says about where libraries are."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "DESTDIR", "CMAKE_PREFIX_PATH",
                        "CPATH", "LIBRARY_PATH", "CFLAGS", "CXXFLAGS", "LDFLAGS")}
    return dict(env, **more)


def run(*command, env=None, cwd=None, fails=False):
    print("+", " ".join(command), flush=True)
    done = subprocess.run(command, env=env or clean_env(), cwd=cwd, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout, end="", flush=True)
    expect((done.returncode != 0) == fails, "exit status %d" % done.returncode)
    return done.stdout


def empty(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def files_below(root):
    return sorted(os.path.relpath(os.path.join(at, f), root)
                  for at, _, found in os.walk(root) for f in found)


class Cases:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.work = os.path.join(self.build, "install-test")
        self.prefix = os.path.join(self.work, "moved", "prefix")

    def libdir(self, prefix):
        for at, _, found in os.walk(prefix):
            if "libskua.a" in found:
                return at
        sys.exit("install: no libskua.a below " + prefix)

    def user(self, program, allocator=None, libdir=None):
        env = clean_env(LD_LIBRARY_PATH=libdir) if libdir else clean_env()
        run(program, allocator or self.args.allocator, env=env)

    # ---- what is installed ----

    def case_prefix(self):
        """Into a prefix that is moved away, so that no absolute path can be of use."""
        empty(self.work)
        first = os.path.join(self.work, "first")
        run("cmake", "--install", self.build, "--prefix", first)
        os.makedirs(os.path.dirname(self.prefix))
        os.rename(first, self.prefix)

    def check_files(self, prefix):
        lib = os.path.relpath(self.libdir(prefix), prefix)
        found = files_below(prefix)
        headers = files_below(os.path.join(SOURCE, "include"))
        wanted = {"include/" + h for h in headers} | {"share/doc/skua/LICENSE"}
        wanted |= {lib + "/" + f for f in ("libskua.a", "pkgconfig/skua.pc")}
        version = re.search(r"^Version: (.*)$", self.read(prefix, lib, "pkgconfig/skua.pc"), re.M)
        major, minor, patch = version.group(1).split(".")
        wanted |= {"%s/libskua.so%s" % (lib, v) for v in
                   ("", "." + major + "." + minor, "." + version.group(1))}
        package = lib + "/cmake/skua/"
        names = [f[len(package):] for f in found if f.startswith(package)]
        for form in FORMS:
            expect(len([n for n in names if re.fullmatch("skua-%s-targets(-[a-z]+)?.cmake" % form,
                                                         n)]) == 2, "targets of " + form)
        wanted |= {package + n for n in names if re.match("skua-(static|shared)-targets", n)}
        wanted |= {package + n for n in ("skua-config.cmake", "skua-config-version.cmake")}
        expect(set(found) == wanted, "files differ: %s" % sorted(set(found) ^ wanted))
        for header in headers:
            expect(filecmp.cmp(os.path.join(SOURCE, "include", header),
                               os.path.join(prefix, "include", header), False), header)
        for name in found:
            if name.endswith((".cmake", ".pc")):
                text = self.read(prefix, name)
                for place in (SOURCE, self.build, self.work):
                    expect(place not in text, "%s names %s" % (name, place))
        base = self.read(SOURCE, "include/skua/base.h")
        numbers = re.findall(r"SKUA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", base)
        expect(numbers == [major, minor, patch], "headers are of version %s" % numbers)

    @staticmethod
    def read(*path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def case_files(self):
        self.check_files(self.prefix)

    def case_destdir(self):
        stage = empty(os.path.join(self.work, "stage"))
        run("cmake", "--install", self.build, "--prefix", "/opt/skua", env=clean_env(DESTDIR=stage))
        expect(os.listdir(stage) == ["opt"], "something is outside of the prefix")
        self.check_files(os.path.join(stage, "opt", "skua"))

    def case_symbols(self):
        """Both forms define exactly what the headers declare."""
        public = set()
        for header in files_below(os.path.join(SOURCE, "include")):
            text = re.sub(r"/\*.*?\*/", "", self.read(SOURCE, "include", header), flags=re.S)
            text = re.sub(r"^\s*#.*(?:\\\n.*)*", "", text, flags=re.M)
            for declaration in re.findall(r"\bSKUA_API\b([^;{]*)", text):
                names = re.findall(r"\b(skua_\w+)\s*\(", declaration)
                public.add(names[0] if names else re.findall(r"\bskua_\w+", declaration)[-1])
        lib = self.libdir(self.prefix)
        for name, flags in (("libskua.a", ["-g"]), ("libskua.so", ["-D"])):
            out = run("nm", "--defined-only", *flags, os.path.join(lib, name))
            defined = set(re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", out, re.M))
            defined = {s.split("@")[0] for s in defined if not re.match(r"SKUA_[\d.]+$", s)}
            expect(len(public) > 50 and defined == public,
                   "%s and the headers differ by %s" % (name, sorted(defined ^ public)))
        members = run("ar", "t", os.path.join(lib, "libskua.a")).split()
        expect(len(members) == 1, "the archive holds %s" % members)
        dynamic = run("readelf", "-dW", os.path.join(lib, "libskua.so"))
        expect(re.search(r"SONAME.*\[libskua\.so\.\d+(\.\d+)?\]", dynamic), "no SONAME")
        expect("NODELETE" in dynamic and "TEXTREL" not in dynamic, "flags of the library")
        expect("jemalloc" not in dynamic, "the library itself needs jemalloc")
        segments = run("readelf", "-lW", os.path.join(lib, "libskua.so"))
        expect(re.search(r"GNU_STACK.* RW ", segments), "the stack is executable")

    # ---- how it is used ----

    def project(self, kind, name):
        at = os.path.join(empty(os.path.join(self.work, name)), "project")
        shutil.copytree(os.path.join(HERE, kind), at)
        for file in ("user.c", "server.c"):
            shutil.copy(os.path.join(HERE, file), at)
        return at

    def configure(self, at, *more):
        build = os.path.join(at, "build")
        run("cmake", "-G", "Ninja", "-S", at, "-B", build,
            "-DCMAKE_C_COMPILER=" + self.args.cc, "-DCMAKE_CXX_COMPILER=" + self.args.cxx, *more)
        return build

    def package(self, name, prefix, forms, allocator):
        """The programs of a project that finds skua in prefix."""
        build = self.configure(self.project("package", name), "-DFORMS=" + ";".join(forms),
                               "-DCMAKE_PREFIX_PATH=" + prefix)
        run("cmake", "--build", build)
        run(os.path.join(build, "server"))
        for form in forms:
            for language in ("c", "cpp"):
                self.user(os.path.join(build, "user_%s_%s" % (form, language)), allocator)
        for form in forms:
            needs = run("readelf", "-dW", os.path.join(build, "user_%s_c" % form))
            expect(("libskua.so" in needs) == (form == "shared"), "%s is not it" % form)
        return build

    def case_package(self):
        build = self.package("package", self.prefix, FORMS, self.args.allocator)
        expect("libskua.so" not in run("readelf", "-dW", os.path.join(build, "server")),
               "skua::skua is the archive where nobody says otherwise")

    def case_package_shared(self):
        at = self.project("package", "package-shared")
        build = self.configure(at, "-DBUILD_SHARED_LIBS=ON", "-DFORMS=" + ";".join(FORMS),
                               "-DCMAKE_PREFIX_PATH=" + self.prefix)
        run("cmake", "--build", build, "--target", "server")
        run(os.path.join(build, "server"))
        expect("libskua.so" in run("readelf", "-dW", os.path.join(build, "server")),
               "BUILD_SHARED_LIBS does not choose the shared library")

    def pkgconfig(self, name, prefix, forms, allocator):
        at = empty(os.path.join(self.work, name))
        lib = self.libdir(prefix)
        env = clean_env(PKG_CONFIG_PATH=os.path.join(lib, "pkgconfig"))
        for form in forms:
            static = form == "static"
            flags = run("pkg-config", "--cflags", "--libs", *(["--static"] if static else []),
                        "skua", env=env).split()
            if static and "shared" in forms:
                flags = [os.path.join(lib, "libskua.a") if f == "-lskua" else f for f in flags]
            for compiler, standard, language in ((self.args.cc, "c11", "c"),
                                                 (self.args.cxx, "c++17", "c++")):
                program = os.path.join(at, "user_%s_%s" % (form, standard))
                run(compiler, "-std=" + standard, *FLAGS, "-x", language,
                    os.path.join(HERE, "user.c"), "-x", "none", "-o", program, *flags)
                self.user(program, allocator, lib)
                used = run(compiler, "-std=" + standard, "-M", "-x", language,
                           os.path.join(HERE, "user.c"), *[f for f in flags if f[:2] == "-I"])
                for header in re.findall(r"\S+\.h\b", used):
                    real = os.path.realpath(header)
                    expect(not real.startswith(SOURCE + "/") or real.startswith(self.work + "/"),
                           "includes " + real)

    def case_pkgconfig(self):
        self.pkgconfig("pkgconfig", self.prefix, FORMS, self.args.allocator)

    def case_subdirectory(self):
        """Within another project, by which the library is built, without a build type."""
        at = self.project("subdirectory", "subdirectory")
        os.symlink(SOURCE, os.path.join(at, "skua"))
        build = self.configure(at, "-DEXPECTED_FORM=STATIC_LIBRARY")
        run("cmake", "--build", build)
        run(os.path.join(build, "server"))
        for form in FORMS:
            for language in ("c", "cpp"):
                self.user(os.path.join(build, "user_%s_%s" % (form, language)), "jemalloc")
        run("cmake", "--install", build, "--prefix", os.path.join(at, "nothing"))
        expect(not os.path.exists(os.path.join(at, "nothing")), "installs what nobody asked for")
        self.configure(at, "-DEXPECTED_FORM=SHARED_LIBRARY", "-DBUILD_SHARED_LIBS=ON")

    def case_system(self):
        """Without jemalloc and without the shared library, with an archive for shared objects."""
        at = empty(os.path.join(self.work, "system"))
        prefix, build = os.path.join(at, "prefix"), os.path.join(at, "build")
        triplet = run(self.args.cc, "-print-multiarch").strip()
        run("cmake", "-G", "Ninja", "-S", SOURCE, "-B", build, "-DCMAKE_BUILD_TYPE=Debug",
            "-DCMAKE_C_FLAGS_DEBUG=-O0", "-DCMAKE_C_COMPILER=" + self.args.cc,
            "-DSKUA_ALLOCATOR=system", "-DSKUA_SHARED=OFF",
            "-DCMAKE_POSITION_INDEPENDENT_CODE=ON", "-DSKUA_BUILD_TESTS=OFF",
            "-DSKUA_BUILD_EXAMPLES=OFF", "-DSKUA_BUILD_BENCH=OFF",
            "-DCMAKE_INSTALL_PREFIX=" + prefix, "-DCMAKE_INSTALL_LIBDIR=lib/" + triplet)
        run("cmake", "--build", build, "--target", "install")
        for name in files_below(prefix):
            expect(not name.endswith((".cmake", ".pc")) or
                   "jemalloc" not in self.read(prefix, name), name + " names jemalloc")
        run(self.args.cc, "-shared", "-o", os.path.join(at, "plugin.so"), "-Wl,--whole-archive",
            os.path.join(self.libdir(prefix), "libskua.a"), "-Wl,--no-whole-archive",
            "-Wl,-z,defs,-z,text", "-lck", "-lm")
        self.package("system-package", prefix, ["static"], "system")
        self.pkgconfig("system-pkgconfig", prefix, ["static"], "system")

    def case_dlopen(self):
        at = empty(os.path.join(self.work, "dlopen"))
        program = os.path.join(at, "dlopen")
        run(self.args.cc, "-std=gnu11", "-Wall", "-Wextra", "-Werror",
            "-I" + os.path.join(self.prefix, "include"), os.path.join(HERE, "dlopen.c"),
            "-o", program)
        run(program, os.path.join(self.libdir(self.prefix), "libskua.so"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("--build", required=True)
    parser.add_argument("--allocator", default="jemalloc")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--cxx", default="g++")
    args = parser.parse_args()
    for tool in (args.cc, args.cxx, "pkg-config", "ninja"):
        if shutil.which(tool) is None:
            print(tool + " is not installed")
            sys.exit(77)
    getattr(Cases(args), "case_" + args.case)()


main()
