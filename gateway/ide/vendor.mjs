// Called by update.sh: turns unpacked npm packages into the files of vendor/.
// usage: node vendor.mjs names UNPACKED_DIR               prints the packages inside the bundle
//        node vendor.mjs files UNPACKED_DIR VENDOR_DIR    writes the files
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [command, unpacked, vendor] = process.argv.slice(2);
const read = (...path) => readFileSync(join(unpacked, ...path), "utf8");

// A source map that is not shipped would make every opened developer console ask for it.
const withoutSourceMap = (script) => script.replace(/\n\/\/# sourceMappingURL=.*\n?$/, "\n");

// 385 kB of the style sheet are fonts. The IDE uses the fonts of the reader's system instead.
const withoutFonts = (styles) => styles.replace(/@font-face\s*\{[^}]*\}\n?/g, "");

/** The npm packages inside GraphiQL's bundle, from the paths in its source map. */
function bundledPackages() {
  const names = new Set();
  for (const source of JSON.parse(read("graphiql", "graphiql.min.js.map")).sources) {
    // Paths without node_modules are GraphiQL's own packages, which its own licence covers.
    const [, name] = source.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)/) ?? [];
    if (name) names.add(name);
  }
  for (const peer of ["react", "react-dom"]) names.add(peer);
  return ["graphiql", ...[...names].sort()];
}

/** One package's licence: its name, the licence's short name, and the text when it ships one. */
function licence(name) {
  const folder = join(unpacked, "tree", "node_modules", name);
  const { license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const by = typeof author === "string" ? author : author?.name;
  const text = file
    ? readFileSync(join(folder, file), "utf8").trim()
    : `Copyright (c) ${by ?? "its authors"}`;
  return { name, license, text };
}

/** All licences, each text once with the packages that it covers. */
function licences() {
  const byText = new Map();
  for (const entry of bundledPackages().map(licence)) {
    const key = `${entry.license}\n\n${entry.text}`;
    byText.set(key, [...(byText.get(key) ?? []), entry.name]);
  }
  const parts = [...byText].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`);
  return `The files in this folder contain these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** Writes every file of vendor/ and says how large each is. */
function writeFiles() {
  const files = {
    "react.js": withoutSourceMap(read("react", "umd", "react.production.min.js")),
    "react-dom.js": withoutSourceMap(read("react-dom", "umd", "react-dom.production.min.js")),
    "graphiql.js": withoutSourceMap(read("graphiql", "graphiql.min.js")),
    "graphiql.css": withoutFonts(read("graphiql", "graphiql.min.css")),
    "LICENSES.txt": licences(),
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(vendor, name), content);
    console.log(`${name}: ${Buffer.byteLength(content)} bytes`);
  }
}

if (command === "names") console.log(bundledPackages().join("\n"));
else if (command === "files") writeFiles();
else throw new Error(`unknown command ${command}`);
