// The real upstream with the plugins that Greenroom has today, and a provider that reads BENCH_FILE when somebody posts to BENCH_PORT.
// It answers when the entities are in the database, with the seconds that the mutation took: the file was in memory before.
const { createReadStream } = require('fs');
const { createInterface } = require('readline');
const { createServer } = require('http');
const { createBackend } = require('@backstage/backend-defaults');
const { createBackendModule } = require('@backstage/backend-plugin-api');
const { catalogProcessingExtensionPoint } = require('@backstage/plugin-catalog-node');

const locationKey = 'ndjson:bench';

// Line by line: the whole text beside its entities would be memory that upstream need not take.
async function parsed() {
  const entities = [];
  for await (const line of createInterface({ input: createReadStream(process.env.BENCH_FILE) })) {
    if (line) entities.push({ entity: JSON.parse(line), locationKey });
  }
  return entities;
}

async function mutate(connection) {
  const entities = await parsed();
  const began = performance.now();
  await connection.applyMutation({ type: 'full', entities });
  return (performance.now() - began) / 1000;
}

function listen(connection) {
  createServer((_, response) => {
    mutate(connection).then(
      seconds => response.writeHead(200).end(JSON.stringify({ seconds })),
      error => response.writeHead(500).end(String(error)),
    );
  }).listen(Number(process.env.BENCH_PORT), '127.0.0.1');
}

const provider = createBackendModule({
  pluginId: 'catalog',
  moduleId: 'bench',
  register(reg) {
    reg.registerInit({
      deps: { catalog: catalogProcessingExtensionPoint },
      async init({ catalog }) {
        catalog.addEntityProvider({ getProviderName: () => 'bench', connect: async connection => listen(connection) });
      },
    });
  },
});

const backend = createBackend();
for (const name of [
  'plugin-auth-backend',
  'plugin-auth-backend-module-guest-provider',
  'plugin-catalog-backend',
  'plugin-catalog-backend-module-openapi',
  'plugin-catalog-backend-module-unprocessed',
  'plugin-events-backend',
  'plugin-permission-backend',
  'plugin-permission-backend-module-allow-all-policy',
  ...(process.env.BENCH_SCAFFOLDER ? ['plugin-scaffolder-backend', 'plugin-catalog-backend-module-scaffolder-entity-model'] : []),
]) {
  backend.add(import(`@backstage/${name}`));
}
if (process.env.BENCH_SCAFFOLDER) {
  backend.add(import('@roadiehq/scaffolder-backend-module-utils'));
  backend.add(import('@roadiehq/scaffolder-backend-module-http-request'));
}
backend.add(provider);
backend.start().catch(error => {
  console.error(error);
  process.exit(1);
});
