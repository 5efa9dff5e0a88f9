// The real upstream with the plugins that Greenroom has today, and a provider that reads BENCH_FILE when somebody posts to BENCH_PORT.
const { readFileSync } = require('fs');
const { createServer } = require('http');
const { createBackend } = require('@backstage/backend-defaults');
const { createBackendModule } = require('@backstage/backend-plugin-api');
const { catalogProcessingExtensionPoint } = require('@backstage/plugin-catalog-node');

const locationKey = 'ndjson:bench';

async function read(connection) {
  const lines = readFileSync(process.env.BENCH_FILE, 'utf8').split('\n').filter(Boolean);
  await connection.applyMutation({ type: 'full', entities: lines.map(line => ({ entity: JSON.parse(line), locationKey })) });
}

function listen(connection) {
  createServer((_, response) => {
    read(connection).then(
      () => response.writeHead(200).end(),
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
]) {
  backend.add(import(`@backstage/${name}`));
}
backend.add(provider);
backend.start().catch(error => {
  console.error(error);
  process.exit(1);
});
