// Ask globby, as upstream's fetch:template and fs:delete call it, and fast-glob, as RoadieHQ's fs:replace does, what they find: node globs_record.cjs NODE_MODULES < cases > answers
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const globby = require(path.join(process.argv[2], "globby"));
const fastGlob = require(path.join(process.argv[2], "fast-glob"));

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
  const [gone, all, shown] = [new Set(), new Set(), new Set()];
  for (const pattern of patterns) {
    const whole = path.resolve(root, pattern).replace(/\\/g, "/");
    if (!whole.startsWith(root)) continue;
    for (const found of await globby(whole, { ...same, absolute: true })) gone.add(path.relative(root, found));
    for (const [dot, into] of [[true, all], [false, shown]]) {
      for (const found of await fastGlob(path.resolve(root, pattern), { cwd: root, absolute: true, dot })) into.add(path.relative(root, found));
    }
  }
  const told = { copied: copied.sort(), deleted: [...gone].sort() };
  for (const [name, found] of [["all", [...all].sort()], ["shown", [...shown].sort()]])
    if (String(found) !== String(told.deleted)) told[name] = found; // mostly they are the same
  return told;
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
