// Ask globby, as upstream's fetch:template and fs:delete call it, what it finds: node globs_record.cjs NODE_MODULES < cases > answers
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const globby = require(path.join(process.argv[2], "globby"));

function plant(files) {
  const root = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "globs-"));
  for (const [name, target] of Object.entries(files)) {
    const whole = path.join(root, name);
    fs.mkdirSync(path.dirname(whole), { recursive: true });
    if (name.endsWith("/")) fs.mkdirSync(whole, { recursive: true });
    else if (target) fs.symlinkSync(target, whole);
    else fs.writeFileSync(whole, "");
  }
  return root;
}

async function answer(root, patterns) {
  const same = { cwd: root, dot: true };
  const copied = await globby(patterns, { ...same, onlyFiles: false, markDirectories: true, followSymbolicLinks: false });
  const gone = new Set();
  for (const pattern of patterns) {
    const whole = path.resolve(root, pattern).replace(/\\/g, "/");
    if (!whole.startsWith(root)) continue;
    for (const found of await globby(whole, { ...same, absolute: true })) gone.add(path.relative(root, found));
  }
  return { copied: copied.sort(), deleted: [...gone].sort() };
}

async function main() {
  const { trees, cases } = JSON.parse(fs.readFileSync(0, "utf8"));
  const roots = Object.fromEntries(Object.entries(trees).map(([name, files]) => [name, plant(files)]));
  const answered = [];
  process.chdir("/");
  for (const { tree, patterns } of cases) {
    try {
      answered.push({ tree, patterns, ...(await answer(roots[tree], patterns)) });
    } catch (error) {
      answered.push({ tree, patterns, error: error.name });
    }
  }
  for (const root of Object.values(roots)) fs.rmSync(root, { recursive: true });
  const lines = answered.map((one) => JSON.stringify(one)).join(",\n");
  process.stdout.write(`{"trees": ${JSON.stringify(trees)},\n"cases": [\n${lines}\n]}\n`);
}

main();
