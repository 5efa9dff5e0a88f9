// What every script that drives a client of upstream's has: the environment (BASE is the backend's address, FILES that of the
// files beside the scripts, TOKEN a static token), packages, which are found from where the process stands, and the answers.
import { createRequire } from 'node:module';
import process from 'node:process';

export const { BASE, FILES, TOKEN } = process.env;
export const require = createRequire(`${process.cwd()}/`);

const LONGEST_WAIT = 20_000;
const answers = {};

// `thrown` says what is kept of an error
export const asking = thrown => async function ask(name, call) {
  try {
    const found = await call();
    answers[name] = found === undefined ? 'nothing' : found;
    return found;
  } catch (error) {
    answers[name] = thrown(error);
    return undefined;
  }
};

export async function until(holds) {
  const deadline = Date.now() + LONGEST_WAIT;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it never came to hold: ${holds}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

// the methods of the class that were not called of any of these clients: those that are only called by others are called, too
export function watched(type, ...clients) {
  const names = Object.getOwnPropertyNames(type.prototype).filter(name => name !== 'constructor');
  const undriven = new Set(names);
  for (const client of clients) {
    for (const name of names) {
      const method = client[name];
      client[name] = function (...args) { undriven.delete(name); return method.apply(this, args); };
    }
  }
  return undriven;
}

export function tell(undriven) {
  process.stdout.write(JSON.stringify({ answers, undriven: [...undriven] }));
}
