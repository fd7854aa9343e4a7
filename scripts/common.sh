# SPDX-License-Identifier: MIT
# What ./demo and ./check share: numbered stages with their times, logs, failures. Sourced.
mkdir -p build/log
bold='' red='' green='' dim='' off=''
stage_number=0

use_colour() {
    if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
        bold=$(printf '\033[1m') red=$(printf '\033[31m') green=$(printf '\033[32m')
        dim=$(printf '\033[2m') off=$(printf '\033[0m')
    fi
}

cpus() { nproc; }

now_ms() { # dash has no clock finer than a second; /proc/uptime has
    read -r up _ </proc/uptime
    echo $((${up%.*} * 1000 + 10 * (1${up#*.} - 100)))
}

# seconds MS: 12345 -> 12.3
seconds() { echo "$(($1 / 1000)).$(($1 % 1000 / 100))"; }

# stage NAME: begins the next stage; its line is printed when it ends.
stage() {
    stage_number=$((stage_number + 1))
    stage_name=$1
    stage_start=$(now_ms)
    stage_log=build/log/$me-$stage_number-$1.log
    : >"$stage_log"
}

# stage_head TEXT: the line of a stage that goes on to print more.
stage_head() {
    printf '%s[%d/%d] %-10s%s %s\n' "$bold" "$stage_number" "$stages" "$stage_name" "$off" "$1"
}

# stage_end TEXT: prints the line of the stage.
stage_end() {
    took=$(seconds $(($(now_ms) - stage_start)))
    printf '%s[%d/%d] %-10s%s %-46s %s%7ss%s\n' "$bold" "$stage_number" "$stages" "$stage_name" \
        "$off" "$1" "$dim" "$took" "$off"
}

# logged COMMAND...: runs it with its output in the log of the stage (and on the terminal with -v).
logged() {
    if [ "$verbose" = 1 ]; then
        { { "$@" 2>&1; echo $? >build/log/.status; } | tee -a "$stage_log"; }
        return "$(cat build/log/.status)"
    fi
    "$@" >>"$stage_log" 2>&1
}

# show_log LINES: the end of the stage's log and where the whole is.
show_log() {
    [ "$verbose" = 1 ] || tail -n "$1" "$stage_log" | sed 's/^/    /'
    echo "    the whole log: $stage_log"
}

version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null | sed 's/^[0-9]*://; s/[-+].*//'; }

# A cgroup may grant less than the CPUs one may run on.
cgroup_quota() {
    max=/sys/fs/cgroup/cpu.max
    group=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)
    [ -r "/sys/fs/cgroup${group%/}/cpu.max" ] && max=/sys/fs/cgroup${group%/}/cpu.max
    if [ -r "$max" ] && read -r quota period <"$max" && [ "$quota" != max ]; then
        echo "$((quota * 10 / period / 10)).$((quota * 10 / period % 10)) CPUs"
    else
        echo none
    fi
}

project_version() { sed -n 's/^project(skua VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt; }

header() {
    printf '%sskua %s%s · %d CPUs (affinity %d, cgroup quota %s) · gcc %s · jemalloc %s · ck %s\n' \
        "$bold" "$(project_version)" "$off" "$(grep -c ^processor /proc/cpuinfo)" "$(cpus)" \
        "$(cgroup_quota)" "$(gcc -dumpfullversion 2>/dev/null || echo none)" \
        "$(version_of libjemalloc-dev)" "$(version_of libck-dev)"
}

# The first stage of both commands. Leaves at once if packages are missing and cannot be had.
packages_stage() { # GROUPS...
    stage packages
    if [ "$setup" = 0 ]; then
        header
        stage_end "not looked at (--no-setup)"
        return 0
    fi
    missing=$(sh scripts/setup -n "$@" 2>/dev/null) || missing=
    [ "$missing" = "all present" ] || echo "installing what is ${missing:-missing} ..."
    status=0
    said=$(sh scripts/setup "$@" 2>"$stage_log") || status=$?
    if [ $status != 0 ]; then
        stage_end "${red}failed$off"
        show_log 20
        exit $status
    fi
    [ "$verbose" = 0 ] || cat "$stage_log"
    header
    case $said in
    *\(*) stage_end "${said%% (*}" && echo "    ${said#*installed }" ;;
    *) stage_end "$said" ;;
    esac
}

# build PRESET TARGET: configures it and builds that target of it.
build() {
    logged cmake --preset "$1" &&
        logged cmake --build --preset "$1" --target "$2" -- -j "$(cpus)"
}
