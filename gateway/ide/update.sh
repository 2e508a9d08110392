#!/bin/sh
# Makes the files in vendor/ again from the npm packages named in README.md's table.
# To move to a new version: change the table's rows, run this, run the browser test, commit.
#
# Needs npm, node, tar and sha256sum. Changes nothing outside vendor/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Each row of the table: | package | version | sha256 of the package |
sed -n 's/^| `\([a-z-]*\)` | \([0-9.]*\) | `\([0-9a-f]\{64\}\)` |$/\1 \2 \3/p' "$here/README.md" > packages
test -s packages || { echo "update.sh: README.md names no package" >&2; exit 1; }
while read -r name version sha256; do
    npm pack --silent "$name@$version" > /dev/null
    echo "$sha256  $name-$version.tgz" | sha256sum --check --quiet
    mkdir "$name"
    tar -xzf "$name-$version.tgz" -C "$name" --strip-components 1
done < packages

# The bundle carries other packages inside. Their licences are quoted, so they are fetched too; none of
# their scripts is run.
mkdir tree
echo '{"private": true}' > tree/package.json
node "$here/vendor.mjs" names "$work" > names
(cd tree && xargs npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps < ../names > /dev/null)

node "$here/vendor.mjs" files "$work" "$here/vendor"
