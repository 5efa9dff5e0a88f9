// Drives every method of CatalogClient of @backstage/catalog-client against one backend, and prints what it answered, as JSON:
// {"answers": {name: answer}, "undriven": [method]}. BASE is the backend's address, FILES that of the files beside this script,
// TOKEN a static token. The package is found from where the process stands.
import { BASE, FILES, TOKEN, asking, require, tell, until, watched } from './driving.mjs';

const { CatalogClient, CATALOG_FILTER_EXISTS } = require('@backstage/catalog-client');

const client = new CatalogClient({ discoveryApi: { getBaseUrl: async plugin => `${BASE}/api/${plugin}` }, fetchApi: { fetch } });
const as = { token: TOKEN };

const undriven = watched(CatalogClient, client);
const ask = asking(error => ({ thrown: error.name, status: error.statusCode, body: error.body }));

const served = async (ref, more = () => true) => { const found = await client.getEntityByRef(ref, as); return found && more(found); };
const collected = async stream => { const pages = []; for await (const page of stream) pages.push(page); return pages; };
const called = item => item.target ?? item.spec?.target ?? item.metadata.name; // generated names hash the address of this run
const byName = pages => pages.flat().sort((a, b) => called(a) < called(b) ? -1 : 1);
const sizes = pages => pages.map(page => page.length);

// --- locations -----------------------------------------------------------------------------------------------------
const harbour = `${FILES}/harbour.yaml`;
const ferry = `${FILES}/ferry.yaml`;
await ask('addLocation as a dry run', () => client.addLocation({ target: harbour, dryRun: true }, as));
const { location } = await ask('addLocation', () => client.addLocation({ type: 'url', target: harbour }, as));
await ask('addLocation again', () => client.addLocation({ target: harbour }, as));
await ask('addLocation again, to refresh', () => client.addLocation({ target: harbour, onConflict: 'refresh' }, as));
await ask('addLocation of a file', () => client.addLocation({ type: 'file', target: '/x' }, as));
const second = (await ask('addLocation of another', () => client.addLocation({ target: ferry }, as))).location;
await until(() => served('component:crane', one => one.relations?.length === 3));
await until(() => served('component:bollard', one => one.relations?.length === 2));
await until(() => served('group:crew', one => one.relations?.length === 4));
await until(() => served('component:ferry', one => one.relations?.length === 1));
await until(async () => (await served(location.entityRef)) && (await served(second.entityRef)));

await ask('getLocations', async () => byName((await client.getLocations({}, as)).items));
await ask('getLocationById', () => client.getLocationById(location.id, as));
await ask('getLocationById of none', () => client.getLocationById('00000000-0000-0000-0000-000000000000', as));
await ask('getLocationByRef', () => client.getLocationByRef(`url:${harbour}`, as));
await ask('getLocationByRef of none', () => client.getLocationByRef('url:https://nowhere.test/x', as));
await ask('getLocationByEntity', () => client.getLocationByEntity('component:crane', as));
await ask('getLocationByEntity of none', () => client.getLocationByEntity('component:nobody', as));
await ask('queryLocations', () => client.queryLocations({ query: { target: { $hasPrefix: FILES.toUpperCase() } }, limit: 1 }, as).then(found => ({ ...found, items: found.items.length })));
await ask('queryLocations without a request', async () => byName((await client.queryLocations(undefined, as)).items));
await ask('queryLocations of what they do not have', () => client.queryLocations({ query: { owner: 'crew' } }, as));
await ask('streamLocations', async () => byName(await collected(client.streamLocations({}, as))));
await ask('streamLocations one by one', async () => sizes(await collected(client.streamLocations({ limit: 1 }, as))));

// --- entities ------------------------------------------------------------------------------------------------------
const crane = await ask('getEntityByRef', () => client.getEntityByRef('component:default/crane', as));
await ask('getEntityByRef in pieces', () => client.getEntityByRef({ kind: 'Component', namespace: 'default', name: 'Crane' }, as));
await ask('getEntityByRef of none', () => client.getEntityByRef('component:default/nobody', as));
await ask('getEntityByName', () => client.getEntityByName({ kind: 'component', name: 'crane' }, as));
await ask('getEntityAncestors', () => client.getEntityAncestors({ entityRef: 'component:default/crane' }, as));
await ask('getEntityAncestors of none', () => client.getEntityAncestors({ entityRef: 'component:default/nobody' }, as));
await ask('getEntities', async () => byName((await client.getEntities(undefined, as)).items));
await ask('getEntities with a filter', () => client.getEntities({ filter: [{ kind: 'component', 'spec.type': ['service', 'website'] }, { kind: 'system' }], order: { field: 'metadata.name', order: 'desc' }, fields: ['kind', 'metadata.name'] }, as));
await ask('getEntities with what exists', () => client.getEntities({ filter: { 'metadata.title': CATALOG_FILTER_EXISTS }, order: [{ field: 'metadata.name', order: 'asc' }] }, as));
await ask('getEntities by page', () => client.getEntities({ filter: { kind: 'component' }, limit: 2, offset: 1 }, as));
const refs = ['component:default/crane', 'component:default/nobody', 'group:default/crew'];
await ask('getEntitiesByRefs', () => client.getEntitiesByRefs({ entityRefs: refs, fields: ['metadata.name'] }, as));
await ask('getEntitiesByRefs with a filter', () => client.getEntitiesByRefs({ entityRefs: refs, filter: { kind: 'group' } }, as));
await ask('getEntitiesByRefs with a predicate', () => client.getEntitiesByRefs({ entityRefs: refs, query: { kind: 'group' }, filter: { 'metadata.name': 'crew' } }, as));
await ask('getEntitiesByRefs of more than one request holds', async () => {
  const many = [...Array.from({ length: 2500 }, (_, n) => `component:default/nobody-${n}`), 'component:default/crane'];
  const { items } = await client.getEntitiesByRefs({ entityRefs: many, fields: ['metadata.name'] }, as);
  return [items.length, items.filter(Boolean)];
});

const walk = async request => {
  const pages = [await client.queryEntities({ ...request, limit: 2 }, as)];
  while (pages.at(-1).pageInfo.nextCursor) pages.push(await client.queryEntities({ cursor: pages.at(-1).pageInfo.nextCursor, limit: 2, fields: request.fields }, as));
  const back = [];
  for (let cursor = pages.at(-1).pageInfo.prevCursor; cursor; cursor = back.at(-1).pageInfo.prevCursor) back.push(await client.queryEntities({ cursor, limit: 2, fields: request.fields }, as));
  return { forward: pages.map(page => [page.totalItems, page.items]), back: back.map(page => page.items) };
};
const named = { orderFields: [{ field: 'metadata.name', order: 'asc' }], fields: ['metadata.name'] };
await ask('queryEntities', () => walk({ ...named, filter: { kind: ['component', 'system', 'group'] } }));
await ask('queryEntities without a filter', async () => {
  const { forward, back } = await walk({ ...named, fields: ['metadata.name', 'spec.target'] });
  return { totals: forward.map(([total]) => total), all: byName(forward.map(([, items]) => items)), back: sizes(back) };
});
await ask('queryEntities with a predicate', () => walk({ ...named, query: { $any: [{ kind: 'component' }, { 'metadata.tags': { $contains: 'quay' } }] } }));
await ask('queryEntities with both', () => walk({ ...named, query: { kind: 'component' }, filter: { 'spec.type': 'service' } }));
await ask('queryEntities with a text', () => client.queryEntities({ ...named, fullTextFilter: { term: ' CRA ', fields: ['metadata.title', 'metadata.name'] } }, as));
await ask('queryEntities without a total', () => client.queryEntities({ ...named, filter: { kind: 'component' }, totalItems: 'exclude', offset: 1 }, as));
await ask('queryEntities with a malformed cursor', () => client.queryEntities({ cursor: 'x' }, as));
await ask('streamEntities', async () => byName(await collected(client.streamEntities({ filter: { kind: 'component' } }, as))));
await ask('streamEntities two by two', async () => sizes(await collected(client.streamEntities({ filter: { kind: ['component', 'system'] }, pageSize: 2 }, as))));
await ask('streamEntities by a predicate', async () => byName(await collected(client.streamEntities({ query: { 'spec.owner': 'crew' }, pageSize: 2, fields: ['metadata.name'] }, as))));
await ask('getEntityFacets', () => client.getEntityFacets({ facets: ['kind', 'metadata.tags', 'nothing'], filter: { kind: ['component', 'system'] } }, as));
await ask('getEntityFacets with a predicate', () => client.getEntityFacets({ facets: ['spec.type'], query: { kind: 'component' }, filter: { 'spec.lifecycle': 'production' } }, as));

// --- what looks and stores nothing -----------------------------------------------------------------------------------
const { relations, ...entity } = crane;
await ask('validateEntity', () => client.validateEntity(entity, 'url:https://git.test/crane.yaml', as));
await ask('validateEntity that is not sound', () => client.validateEntity({ ...entity, spec: { type: 'service' } }, 'url:https://git.test/crane.yaml', as));
await ask('validateEntity that is served', () => client.validateEntity({ ...entity, relations }, 'url:https://git.test/crane.yaml', as));
await ask('analyzeLocation', () => client.analyzeLocation({ location: { type: 'url', target: 'https://git.test/fleet/ferry' } }, as));
await ask('analyzeLocation of what is not a URL', () => client.analyzeLocation({ location: { type: 'url', target: 'not a url' } }, as));

// --- changes ---------------------------------------------------------------------------------------------------------
await ask('refreshEntity', () => client.refreshEntity('component:default/crane', as));
await ask('refreshEntity of none', () => client.refreshEntity('component:default/nobody', as));
await ask('updateLocation', () => client.updateLocation(second.id, { target: `${FILES}/tug.yaml` }, as));
await until(async () => (await served('component:tug', one => one.relations?.length === 1)) && !(await served('component:ferry')));
await ask('updateLocation to what another has', () => client.updateLocation(second.id, { type: 'url', target: harbour }, as));
await ask('updateLocation of none', () => client.updateLocation('00000000-0000-0000-0000-000000000000', { target: ferry }, as));
await ask('removeEntityByUid', () => client.removeEntityByUid(crane.metadata.uid, as));
await until(() => served('component:crane', one => one.metadata.uid !== crane.metadata.uid && one.relations?.length === 3)); // what is still emitted comes back
await ask('removeLocationById', () => client.removeLocationById(location.id, as));
await until(async () => !(await served('component:crane')));
await ask('removeLocationById of none', () => client.removeLocationById(location.id, as));
await ask('getEntities at the end', async () => byName((await client.getEntities({ fields: ['kind', 'metadata.name'] }, as)).items));
await ask('getEntities without a token', () => client.getEntities({}));

tell(undriven);
