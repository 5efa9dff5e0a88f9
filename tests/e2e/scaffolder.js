// Drives the scaffolder's pages of the stock frontend (FE) as a guest, and writes down what each step showed.
// Usage: node scaffolder.js [step-name-regex]     REC: the recording proxy, BE: the backend, SHOTS: where to write, TEMPLATES: ours
const { launch } = require('./lib');
const fs = require('fs'), path = require('path');
const { FE, REC, BE, SHOTS, TEMPLATES } = process.env;
const only = new RegExp(process.argv[2] || '');
const results = [];
const sleep = ms => new Promise(done => setTimeout(done, ms));

(async () => {
  const ctx = await launch();
  const page = ctx.pages()[0] || (await ctx.newPage());
  page.setDefaultTimeout(12000);
  // There is no internet: sheets of fonts are empty.
  await ctx.route(/^https:\/\//, r => r.fulfill({ status: 200, contentType: 'text/css', headers: { 'access-control-allow-origin': '*' }, body: '' }));
  // Nobody can choose a folder in a headless browser: the one of this origin is given instead.
  await ctx.addInitScript(() => { window.showDirectoryPicker = () => navigator.storage.getDirectory(); });

  let errors = [], asking = 0, last = Date.now(), number = 0, more = {};
  page.on('console', m => { if (m.type() === 'error') errors.push(m.text().slice(0, 400)); });
  page.on('pageerror', e => errors.push('PAGEERROR ' + String(e).slice(0, 400)));
  const counted = r => r.url().includes('/api/') && !/eventstream/.test(r.url());
  page.on('request', r => { if (counted(r)) { asking++; last = Date.now(); } });
  const answered = r => { if (counted(r)) { asking = Math.max(0, asking - 1); last = Date.now(); } };
  page.on('requestfinished', answered);
  page.on('requestfailed', answered);

  const idle = async () => { const begun = Date.now(); await sleep(500); while (Date.now() - begun < 15000 && (asking > 0 || Date.now() - last < 700)) await sleep(100); };
  const text = () => page.innerText('body').catch(() => '');
  const step = async (name, act) => {
    number++;
    if (!only.test(name) && name !== 'sign-in') return;
    errors = []; more = {};
    await fetch(`${REC}/__label?x=${encodeURIComponent(name)}`);
    const begun = Date.now();
    let msg = '';
    try { await act(); await idle(); } catch (e) { msg = String(e.message).split('\n').slice(0, 3).join(' | '); }
    await page.screenshot({ path: path.join(SHOTS, `${String(number).padStart(2, '0')}-${name}${msg ? '-FAILED' : ''}.png`) }).catch(() => {});
    results.push({ step: name, ok: !msg, msg, url: page.url(), text: await text(), ...more, consoleErrors: [...new Set(errors)] });
    console.log(msg ? 'FAIL' : 'ok  ', name, Date.now() - begun, 'ms', msg, errors[0] || '');
  };
  const note = async name => { more[name] = await text(); };
  const go = where => page.goto(FE + where);
  const open = async where => { await go(where); await idle(); };
  const button = (name, nth = 0) => page.getByRole('button', { name }).nth(nth);
  const field = name => page.getByLabel(name).first();
  const press = async name => { await button(name).click(); await sleep(700); };
  const filter = async (name, option) => { await page.getByLabel(name).or(page.getByText(name, { exact: true }).locator('..').getByRole('combobox')).first().click(); await sleep(500); await note('offered'); await page.getByRole('option', { name: option }).first().click(); await sleep(300); await page.keyboard.press('Escape'); };
  // The browser stops at the first field that it finds wrong itself; without that, the form says what it finds.
  const unstopped = () => page.evaluate(() => document.querySelectorAll('form').forEach(one => { one.noValidate = true; }));
  const create = async (last = /^create$/i) => { await press(last); await page.waitForURL(/tasks\/[0-9a-f]/); };
  const completed = async () => { await idle(); await sleep(2500); };
  const form = name => open(`/create/templates/default/${name}`);
  const asGuest = async (where, body) => {
    const token = (await (await fetch(BE + '/api/auth/guest/refresh', { headers: { 'x-requested-with': 'XMLHttpRequest' } })).json()).backstageIdentity.token;
    return fetch(BE + '/api/scaffolder' + where, { method: 'POST', headers: { authorization: 'Bearer ' + token, 'content-type': 'application/json' }, body: JSON.stringify(body) });
  };

  await step('sign-in', async () => { await go('/'); await press(/^enter$/i); await page.getByText('Owned Components').waitFor(); });

  // ---- choosing a template
  await step('create', async () => { await open('/create'); await page.getByText('Every Field').first().waitFor(); });
  await step('create-search', async () => { await page.getByPlaceholder(/search/i).first().fill('patient'); await sleep(1200); });
  await step('create-search-nothing', async () => { await page.getByPlaceholder(/search/i).first().fill('no such template'); await sleep(1200); });
  await step('create-by-category', async () => { await open('/create'); await filter('Categories', /library/i); });
  await step('create-by-tag', async () => { await open('/create'); await filter('Tags', /driven/i); });
  await step('create-by-owner', async () => { await open('/create'); await filter('Owner', /platform/i); });
  await step('create-unknown', async () => { await open('/create/templates/default/no-such-template'); });

  // ---- its form
  await step('form', async () => { await form('every-field'); });
  await step('form-stopped', async () => { await press(/^next$/i); more.invalid = await page.evaluate(() => [...document.querySelectorAll('input:invalid')].map(one => one.validationMessage).join('\n')); });
  await step('form-required', async () => { await unstopped(); await press(/^next$/i); });
  await step('form-wrong', async () => {
    await field(/^name/i).fill('Not A Name!'); await field(/^code/i).fill('abc'); await field(/^contact/i).fill('nobody'); await field(/^count/i).fill('99'); await field(/^share/i).fill('0.3');
    await page.getByLabel('red').uncheck(); await page.locator('input[type="password"]').first().fill('hunter2'); await unstopped(); await press(/^next$/i);
  });
  await step('form-right', async () => {
    await field(/^name/i).fill('a-name'); await field(/^code/i).fill('ABC-12'); await field(/^contact/i).fill('a@example.com'); await field(/^count/i).fill('4'); await field(/^share/i).fill('0.75');
    await page.getByLabel('blue').check(); await page.getByLabel('Large').check(); await field(/^notes/i).fill('two\nlines');
    await press(/add item/i); await page.getByLabel(/^who/i).nth(1).fill('Bob'); await press(/^next$/i);
  });
  await step('form-entities-required', async () => { await unstopped(); await press(/^next$/i); });
  for (const [name, label, option, typed] of [['owner', /^owner/i, /platform team/i, ''], ['component', /^component/i, /shared-lib/i, 'shared'], ['apis', /^its apis/i, /cart api/i, ''], ['mine', /^one of mine/i, /guest-service/i, ''], ['team', /^my team/i, /guests/i, ''], ['tags', /^tags/i, /grpc/i, '']]) {
    await step('form-entities-' + name, async () => {
      await field(label).click(); await page.keyboard.type(typed); await sleep(1200); await note('offered'); await page.getByRole('option', { name: option }).first().click(); await sleep(300); await page.keyboard.press('Escape'); await sleep(300);
    });
  }
  await step('form-entities-done', async () => { await press(/^next$/i); });
  await step('form-place-required', async () => { await unstopped(); await press(/^look it over$/i); });
  await step('form-place-conditional', async () => {
    await page.getByLabel(/^repositor/i).first().fill('bad name!'); await page.getByLabel('Public').check(); await sleep(400); await unstopped(); await press(/^look it over$/i);
  });
  await step('form-back', async () => { await press(/^return$/i); await note('one'); await press(/^next$/i); });
  await step('form-review', async () => {
    await page.getByLabel(/^repositor/i).first().fill('a-repository'); await field(/^licence/i).click(); await sleep(400); await page.getByRole('option', { name: 'MIT' }).click(); await sleep(300); await press(/^look it over$/i);
  });
  await step('form-created', async () => { await create(/^make it so$/i); await completed(); });

  // ---- a task
  await step('task-watched', async () => {
    await form('patient'); await press(/^review$/i); await create(); await press(/^show logs$/i);
    await page.getByText('said first').first().waitFor(); await note('running');
    if (/said last/.test(more.running)) throw new Error('the log came only at the end');
    await page.getByText('said last').first().waitFor().catch(() => {}); await completed();
  });
  await step('task-finished', async () => { await form('finished'); await field(/^name/i).fill('a-thing'); await press(/^review$/i); await create(); await page.getByText('Read on').waitFor(); await completed(); });
  await step('task-second-text', async () => { await press(/^more of it$/i); });
  const menu = async name => { await page.locator('button[aria-label="More options"]').last().click(); await sleep(500); more.menu = await page.getByRole('menu').innerText(); await page.getByRole('menuitem', { name }).click(); await sleep(700); };
  await step('task-bar-shown', async () => { await menu(/show button bar/i); });
  await step('task-logs-hidden', async () => { await press(/^hide logs$/i); });
  await step('task-bar-hidden', async () => { await menu(/hide button bar/i); });
  await step('task-reloaded', async () => { await page.reload(); await completed(); });
  await step('task-link', async () => { await page.getByText('Team', { exact: true }).first().click(); await idle(); });
  await step('task-start-over', async () => { await page.goBack(); await completed(); await menu(/start over/i); await idle(); });
  await step('task-cancelled', async () => {
    await open('/create/templates/default/patient?formData=%7B%22seconds%22%3A60%7D'); await press(/^review$/i); await create(); await press(/^show logs$/i);
    await page.getByText('said first').first().waitFor(); await button(/^cancel$/i).click(); await completed();
  });
  await step('task-cancelled-reloaded', async () => { await page.reload(); await completed(); });
  await step('task-failed', async () => { await form('failing'); await create(); await completed(); });
  await step('task-failed-recoverable', async () => { await form('recovering'); await create(); await completed(); });
  await step('task-retried', async () => { await press(/^retry$/i); await sleep(2500); await completed(); });
  await step('task-unknown', async () => { await open('/create/tasks/00000000-0000-4000-8000-000000000000'); });

  // ---- lists
  await step('tasks-mine', async () => { await open('/create/tasks'); });
  await step('tasks-all', async () => { await page.getByTestId('owner-picker-all').click(); });
  await step('tasks-paged', async () => {
    for (let i = 0; i < 12; i++) await asGuest('/v2/tasks', { templateRef: 'template:default/finished', values: { name: 'more-' + 'abcdefghijkl'[i] } });
    await sleep(4000); await open('/create/tasks'); await note('first'); await page.getByRole('button', { name: /next page/i }).or(page.locator('[title="Next Page"] button')).first().click();
  });
  await step('tasks-opened', async () => { await page.locator('table a[href*="/create/tasks/"]').first().click(); await completed(); });
  await step('actions', async () => { await open('/create/actions'); });
  await step('actions-chosen', async () => { const box = page.getByPlaceholder(/search/i).first(); await box.click(); await box.fill('fetch:template:file'); await sleep(500); await page.locator('a,button,[role=row],[role=option]').filter({ hasText: 'fetch:template:file' }).last().click(); await sleep(1000); });
  await step('extensions', async () => { await open('/create/templating-extensions'); });
  for (const [name, tab] of [['functions', /^functions$/i], ['values', /^values$/i]]) await step('extensions-' + name, async () => { await page.getByRole('tab', { name: tab }).or(page.getByText(tab)).first().click(); await sleep(500); });

  // ---- the editor
  await step('editor', async () => { await open('/create/edit'); });
  await step('editor-playground', async () => { await open('/create/edit/template-form'); });
  await step('editor-playground-loaded', async () => { await press(/^templates$/i); await sleep(500); await note('offered'); await page.getByText('Finished Work').first().click(); await idle(); });
  await step('editor-fields', async () => { await open('/create/edit/custom-fields'); });
  await step('editor-folder', async () => {
    const files = fs.readdirSync(TEMPLATES, { recursive: true, withFileTypes: true }).filter(f => f.isFile()).map(f => path.join(f.parentPath || f.path, f.name));
    await page.evaluate(async written => {
      const root = await navigator.storage.getDirectory();
      for (const [name, content] of written) {
        const parts = name.split('/'), file = parts.pop();
        let folder = root;
        for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
        const stream = await (await folder.getFileHandle(file, { create: true })).createWritable();
        await stream.write(content); await stream.close();
      }
    }, files.map(f => [path.relative(TEMPLATES, f), fs.readFileSync(f, 'utf8')]));
    await open('/create/edit'); await page.getByText('Load Template Directory').first().click(); await idle();
    await page.getByText('template.yaml', { exact: true }).first().click(); await sleep(1500);
  });
  await step('editor-dry-run', async () => { await field(/^name/i).fill('dry-thing'); await press(/^review$/i); await press(/^create$/i); await idle(); await page.getByText('Result 1').first().waitFor(); });
  await step('editor-dry-run-file', async () => { await page.getByText('made', { exact: true }).first().click(); await sleep(400); await page.getByText('dry-thing.md').first().click(); await sleep(600); });
  await step('editor-dry-run-log', async () => { await page.getByRole('tab', { name: /^log$/i }).click(); await sleep(600); });
  await step('editor-dry-run-output', async () => { await page.getByRole('tab', { name: /^output$/i }).click(); await sleep(600); });

  fs.writeFileSync(path.join(SHOTS, 'steps.json'), JSON.stringify(results, null, 1));
  console.log(results.filter(r => r.ok).length, 'of', results.length, 'ok');
  await ctx.close();
})();
