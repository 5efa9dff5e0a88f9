// A file of {template, context} lines -> microseconds that upstream's engine takes for one, the first time and later ones, as JSON.
// Usage: node expressions.mjs <node_modules of upstream> <file> <passes>. Contexts are prepared beforehand, as upstream's runner does.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, file, passes] = process.argv.slice(2);
const require = createRequire(join(modules, 'package.json'));
const { createTemplateRenderer } = require('nunjitsu');
const { createDefaultFilters } = require(
  join(modules, '@backstage/plugin-scaffolder-backend/dist/lib/templating/filters/createDefaultFilters.cjs.js'),
);
const integrations = { byHost: host => (host === 'github.com' ? { type: 'github' } : undefined) };
const filters = Object.fromEntries(createDefaultFilters({ integrations }).map(each => [each.id, each.filter]));
const renderer = createTemplateRenderer({ filters, allowRegexExecution: true });
const asked = readFileSync(file, 'utf8').trim().split('\n').map(line => JSON.parse(line));
for (const each of asked) each.prepared = renderer.prepareContext(each.context);

function pass() {
  const began = process.hrtime.bigint();
  for (const { template, prepared } of asked) {
    try {
      renderer.renderValue(template, prepared);
    } catch {
      // counted all the same: the runner meets these too
    }
  }
  return Number(process.hrtime.bigint() - began) / 1000 / asked.length;
}

const cold = pass();
process.stdout.write(JSON.stringify({ cold, warm: Array.from({ length: Number(passes) }, pass) }));
