// Loaded into upstream by NODE_OPTIONS=--require: a provider `fuzz`, whose mutations come in by HTTP on FUZZ_PORT.
const { createServer } = require('http');
const Module = require('module');

const load = Module.prototype.require;

function listen(connected) {
  createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      await (await connected).applyMutation(JSON.parse(Buffer.concat(chunks)));
      response.writeHead(200).end();
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(Number(process.env.FUZZ_PORT), '127.0.0.1');
}

function withProvider(backend, theirs) {
  const { createBackendModule } = theirs('@backstage/backend-plugin-api');
  const { catalogProcessingExtensionPoint } = theirs('@backstage/plugin-catalog-node');
  const connected = new Promise(resolve => {
    const provider = { getProviderName: () => 'fuzz', connect: async connection => resolve(connection) };
    const init = async ({ catalog }) => catalog.addEntityProvider(provider);
    const register = reg => reg.registerInit({ deps: { catalog: catalogProcessingExtensionPoint }, init });
    backend.add(createBackendModule({ pluginId: 'catalog', moduleId: 'fuzz', register }));
  });
  listen(connected);
  return backend;
}

Module.prototype.require = function patched(id) {
  const found = load.call(this, id);
  if (id !== '@backstage/backend-defaults') return found;
  return { ...found, createBackend: () => withProvider(found.createBackend(), name => load.call(this, name)) };
};
