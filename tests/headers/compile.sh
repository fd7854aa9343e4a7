#!/bin/sh
# SPDX-License-Identifier: MIT
# compile.sh COMPILER STANDARD HEADER: a translation unit of nothing but the header, twice included.
set -eu
compiler=$1 standard=$2 header=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v "$compiler" >/dev/null; then
    echo "$compiler is not installed"
    exit 77
fi
case $standard in
*++*) language=c++ ;;
*) language=c ;;
esac
printf '#include <%s>\n#include <%s>\nextern int skua_headers_compile;\n' "$header" "$header" |
    "$compiler" -x "$language" -std="$standard" -pedantic -Wall -Wextra -Werror -fsyntax-only \
        -I "$root/include" -
