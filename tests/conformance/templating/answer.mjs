// JSON lines of {template, context, options} -> JSON lines of what nunjitsu answers: the other side of the comparison.
// Usage: node answer.mjs <node_modules of upstream>
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'package.json'));
const { createTemplateRenderer } = require('nunjitsu');
const { createDefaultFilters } = require(
  join(process.argv[2], '@backstage/plugin-scaffolder-backend/dist/lib/templating/filters/createDefaultFilters.cjs.js'),
);

const TYPES = {
  'github.com': 'github', 'gitlab.com': 'gitlab', 'dev.azure.com': 'azure', 'bitbucket.org': 'bitbucketCloud',
  'bitbucket.test': 'bitbucketServer', 'gitea.test': 'gitea', 'gerrit.test': 'gerrit',
};
const integrations = { byHost: host => (TYPES[host] ? { type: TYPES[host] } : undefined) };
const filters = Object.fromEntries(createDefaultFilters({ integrations }).map(each => [each.id, each.filter]));
const renderers = new Map();

function rendererFor(options = {}) {
  const key = JSON.stringify(options);
  if (!renderers.has(key)) {
    renderers.set(key, createTemplateRenderer({ filters, allowRegexExecution: true, ...options }));
  }
  return renderers.get(key);
}

function attempt(work) {
  try {
    const value = work();
    return value === undefined ? { undefined: true } : { value };
  } catch (error) {
    return { error: String(error.message), limit: error.name === 'TemplateLimitError' };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { template, context, options, time } = JSON.parse(line);
  const renderer = rendererFor(options);
  const answer = {
    render: attempt(() => renderer.render(template, context)),
    value: attempt(() => renderer.renderValue(template, context)),
  };
  if (time) {
    const prepared = renderer.prepareContext(context);
    const began = process.hrtime.bigint();
    for (let round = 0; round < time; round += 1) {
      try {
        renderer.renderValue(template, prepared);
      } catch {
        // counted all the same: the runner renders those too
      }
    }
    answer.microseconds = Number(process.hrtime.bigint() - began) / 1000 / time;
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
