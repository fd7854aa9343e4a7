#!/bin/sh
# SPDX-License-Identifier: MIT
# compile.sh COMPILER STANDARD: each public header as a translation unit of its own, included twice.
set -u
compiler=$1 standard=$2
cd "$(dirname "$0")/../../include" || exit 70
if ! command -v "$compiler" >/dev/null; then
    echo "$compiler is not installed"
    exit 77
fi
case $standard in
*++*) language=c++ ;;
*) language=c ;;
esac
status=0
for header in *.h */*.h; do
    [ -f "$header" ] || continue
    printf '#include <%s>\n#include <%s>\nextern int skua_headers_compile;\n' "$header" "$header" |
        "$compiler" -x "$language" -std="$standard" -pedantic -Wall -Wextra -Werror \
            -fsyntax-only -I . - || status=1
    echo "$header"
done
exit $status
