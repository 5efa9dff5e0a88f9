// Pairs of schema and value, one JSON a line -> what npm's `jsonschema` says of each. Argument: the folder node_modules.
const { validate } = require(`${process.argv[2]}/jsonschema`);

function answer({ schema, value }) {
  try {
    return { errors: validate(value, schema).errors };
  } catch (error) {
    const { message, ...rest } = error;
    return { thrown: { name: error.name, message: error.message, ...rest } };
  }
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
process.stdout.write(lines.map(line => `${JSON.stringify(answer(JSON.parse(line)))}\n`).join(''));
