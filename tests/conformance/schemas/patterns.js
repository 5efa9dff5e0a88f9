// Regular expressions and texts, one JSON a line -> where V8 finds each, or why it is none. Flags of null: as jsonschema, `u` if it can.
function compiled(source, flags) {
  if (flags !== null) return new RegExp(source, flags);
  try {
    return new RegExp(source, 'u');
  } catch {
    return new RegExp(source);
  }
}

function answer({ source, flags, text }) {
  try {
    const found = compiled(source, flags).exec(text);
    return found && [found.index, ...found.map(group => group ?? null)];
  } catch (error) {
    return error.message;
  }
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
process.stdout.write(lines.map(line => `${JSON.stringify(answer(JSON.parse(line)))}\n`).join(''));
