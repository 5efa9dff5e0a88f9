// Drives every method of ScaffolderClient of @backstage/plugin-scaffolder-common against one backend, and prints what it
// answered, as JSON: {"answers": {name: answer}, "undriven": [method]}. BASE is the backend's address, FILES that of the files
// beside this script, TOKEN a static token. The package is found from where the process stands.
import { BASE, FILES, TOKEN, asking, require, tell, until, watched } from './driving.mjs';

// the library behind streamLogs takes its clock and its visibility from a browser
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener: () => {}, removeEventListener: () => {} };
const { ScaffolderClient } = require('@backstage/plugin-scaffolder-common');

const listed = (type, host) => ({ list: () => [{ type, title: host, config: { host } }] });
const hosts = ['azure', 'bitbucketCloud', 'bitbucketServer', 'gerrit', 'gitea', 'github', 'gitlab'];
const signedIn = (url, init) => fetch(url, { ...init, headers: { ...init?.headers, Authorization: `Bearer ${TOKEN}` } });
const about = {
  discoveryApi: { getBaseUrl: async plugin => `${BASE}/api/${plugin}` },
  fetchApi: { fetch: signedIn },
  identityApi: { getBackstageIdentity: async () => ({ userEntityRef: 'user:default/guest' }) },
  scmIntegrationsApi: Object.fromEntries(hosts.map(type => [type, listed(type, `${type.toLowerCase()}.test`)])),
};
const client = new ScaffolderClient(about);
const polling = new ScaffolderClient({ ...about, useLongPollingLogs: true });
const nobody = new ScaffolderClient({ ...about, identityApi: undefined, fetchApi: { fetch } });

const undriven = watched(ScaffolderClient, client, polling);
const ask = asking(error => {
  const status = error.statusCode ?? /failed, (\d+)/.exec(error.message)?.[1];
  return status ? { thrown: error.name, status: Number(status), body: error.body ?? error.message } : { refused: error.message };
});

// stacks are the runtime's; lines that an action logs come in any order
const told = event => ({ ...event, body: { ...event.body, message: event.body.message?.replace(/(\n {4}at [^\n]*)+/g, ''), error: event.body.error && { ...event.body.error, stack: undefined } } });
const collected = (stream, more = () => true) => new Promise((resolve, reject) => {
  const events = [];
  const subscription = stream.subscribe({
    next: event => { events.push(told(event)); if (!more(event)) { subscription.unsubscribe(); resolve(events); } },
    error: reject,
    complete: () => resolve(events),
  });
});

// --- templates -----------------------------------------------------------------------------------------------------
const registered = await signedIn(`${BASE}/api/catalog/locations`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ type: 'url', target: `${FILES}/templates.yaml` }) });
if (registered.status !== 201) throw new Error(await registered.text());
const names = ['greeting', 'failing', 'waiting', 'recovering'];
for (const name of names) await until(() => client.getTemplateParameterSchema(`template:default/${name}`).catch(() => false));

await ask('getTemplateParameterSchema', () => client.getTemplateParameterSchema('template:default/greeting'));
await ask('getTemplateParameterSchema by a short name', () => client.getTemplateParameterSchema('Greeting'));
await ask('getTemplateParameterSchema of none', () => client.getTemplateParameterSchema('template:default/nobody'));
await ask('getTemplateParameterSchema of what is no template', () => client.getTemplateParameterSchema('component:default/nobody'));
// descriptions and examples are in each side's own words
const shape = schema => schema && [Object.entries(schema.properties ?? {}).map(([key, { type }]) => [key, type ?? 'any']).sort(), [...(schema.required ?? [])].sort()];
await ask('listActions', async () => (await client.listActions()).filter(({ id }) => /^(debug|fetch:plain|fs):?/.test(id)).map(({ id, schema }) => [id, shape(schema?.input)]));
await ask('listTemplatingExtensions', async () => Object.keys((await client.listTemplatingExtensions()).filters));
await ask('getIntegrationsList', () => client.getIntegrationsList({ allowedHosts: ['github.test', 'azure.test', 'other.test'] }));
await ask('autocomplete', () => client.autocomplete({ token: 'x', provider: 'nobody', resource: 'branches', context: {} }));
await ask('autocomplete without a context', () => client.autocomplete({ token: 'x', provider: 'nobody', resource: 'branches' }));

// --- tasks ---------------------------------------------------------------------------------------------------------
const values = { name: 'crane', tags: ['a', 'b'] };
const begun = async (name, request) => (await ask(name, () => client.scaffold(request)))?.taskId;
const settled = id => until(() => client.getTask(id).then(({ status }) => !['open', 'processing'].includes(status), () => false));

const greeting = await begun('scaffold', { templateRef: 'template:default/greeting', values, secrets: { KEY: 'hidden-words' } });
await ask('streamLogs', () => collected(client.streamLogs({ taskId: greeting })));
const first = (await collected(client.streamLogs({ taskId: greeting })))[1].id;
await ask('streamLogs after the second', () => collected(client.streamLogs({ taskId: greeting, after: first })));
await ask('streamLogs by polling', () => collected(polling.streamLogs({ taskId: greeting })));
await ask('streamLogs by polling, after the second', () => collected(polling.streamLogs({ taskId: greeting, after: first })));
await settled(greeting);
await ask('getTask', async () => { const { lastHeartbeatAt, ...task } = await client.getTask(greeting); return task; });
await ask('getTask of none', () => client.getTask('00000000-0000-0000-0000-000000000000'));
await ask('scaffold with wrong values', () => client.scaffold({ templateRef: 'template:default/greeting', values: { name: 3 } }));
await ask('scaffold without a name', () => client.scaffold({ templateRef: 'template:default/greeting', values: {} }));
await ask('scaffold of none', () => client.scaffold({ templateRef: 'template:default/nobody', values: {} }));
await ask('cancelTask that is done', () => client.cancelTask(greeting));
await ask('cancelTask of none', () => client.cancelTask('00000000-0000-0000-0000-000000000000'));

const failing = await begun('scaffold what fails', { templateRef: 'failing', values: {} });
await ask('streamLogs of what fails', () => collected(client.streamLogs({ taskId: failing })));
await settled(failing);
await ask('retry', () => client.retry(failing));
await ask('streamLogs of what fails again, to its end', async () => (await collected(polling.streamLogs({ taskId: failing }))).at(-1));
await settled(failing);
await ask('retry of none', () => client.retry('00000000-0000-0000-0000-000000000000'));

const waiting = await begun('scaffold what waits', { templateRef: 'waiting', values: {} });
await ask('streamLogs of what waits', () => collected(client.streamLogs({ taskId: waiting }), event => event.body.message !== 'Beginning step Wait'));
await ask('retry of what runs', () => client.retry(waiting));
await ask('cancelTask', () => client.cancelTask(waiting));
await ask('streamLogs of what was cancelled', async () => (await collected(client.streamLogs({ taskId: waiting }))).map(event => [event.type, event.body.stepId, event.body.status]));
await settled(waiting);
await ask('getTask of what was cancelled', async () => (await client.getTask(waiting)).status);

const recovering = await begun('scaffold what is recovered', { templateRef: 'recovering', values: {} });
await ask('streamLogs of what is recovered', () => collected(client.streamLogs({ taskId: recovering, isTaskRecoverable: true }), event => event.type !== 'completion'));

await ask('listTasks', async () => { const found = await client.listTasks({ filterByOwnership: 'all' }); return [found.totalTasks, found.tasks.map(task => [task.spec.templateInfo.entityRef, task.status])]; });
await ask('listTasks, a page', async () => { const found = await client.listTasks({ filterByOwnership: 'all', limit: 1, offset: 2 }); return [found.totalTasks, found.tasks.map(task => task.spec.templateInfo.entityRef)]; });
await ask('listTasks of our own', () => client.listTasks({ filterByOwnership: 'owned' }));
await ask('listTasks of nobody', () => nobody.listTasks({ filterByOwnership: 'owned' }));

// --- dry runs ------------------------------------------------------------------------------------------------------
const template = { apiVersion: 'scaffolder.backstage.io/v1beta3', kind: 'Template', metadata: { name: 'tried' }, spec: { type: 'service', steps: [{ id: 'fetch', name: 'Fetch', action: 'fetch:template', input: { url: './skeleton', values: { name: '${{ parameters.name }}' } } }, { id: 'say', action: 'debug:log', input: { message: 'the key is ${{ secrets.KEY }}' } }], output: { text: [{ title: 'Made', content: '${{ parameters.name }}' }] } } };
const directoryContents = [{ path: 'skeleton/a.txt', base64Content: Buffer.from('for ${{ values.name }}').toString('base64') }];
await ask('dryRun', async () => {
  const found = await client.dryRun({ template, values, secrets: { KEY: 'hidden-words' }, directoryContents });
  const lines = found.log.map(({ body }) => JSON.stringify([body.stepId, body.status, body.message.replace(/\S+(?=\/dry-run-)/, '…')]));
  return { ...found, log: lines.sort() }; // they come in any order
});
await ask('dryRun without its files', () => client.dryRun({ template: { ...template, spec: { ...template.spec, steps: [{ action: 'no:such' }] } }, values, directoryContents: [] }));
await ask('dryRun of what is no template', () => client.dryRun({ template: { kind: 'Component' }, values, directoryContents: [] }));
await ask('listActions without a token', () => nobody.listActions());

tell(undriven);
