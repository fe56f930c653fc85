// Does what the event asks for, as the function `table` of every language does: see tests/it/languages.rs.

'use strict';

const { execFile, spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const { promisify } = require('util');

const run = promisify(execFile);

const VALUES = {
  'null': null,
  'true': true,
  'false': false,
  'largest-exact': 2 ** 53 - 1,
  // There is no such number here; the nearest one comes out.
  'beyond-exact': 9007199254740993,
  'fraction': 0.1,
  'negative': -17,
  'text': 'grüße, 世界 🌍',
  'controls': 'a"b\\c\n\t\u0001',
  'empty-text': '',
  'empty-list': [],
  'empty-object': {},
  'nested': { a: [1, { b: [[], {}] }, null], 'ключ': { '': 0 } },
};

// A little of everything a run can take: timers, files, memory, child processes.
async function strain() {
  const fired = new Promise((resolve) => setTimeout(resolve, 1));
  setInterval(() => {}, 1000);
  const held = Array.from({ length: 64 }, () => Buffer.alloc(1 << 16));
  await fs.promises.writeFile(`${os.tmpdir()}/file`, Buffer.concat(held));
  const said = await Promise.all([1, 2].map(() => run('sh', ['-c', `cat ${os.tmpdir()}/file | wc -c`])));
  spawn('sleep', ['600']);
  await fired;
  return said.map(({ stdout }) => Number(stdout));
}

exports.main_handler = async (event, context) => {
  const { do: what, what: word } = event;
  switch (what) {
    case 'return':
      return VALUES[word];
    case 'echo':
      return word;
    case 'unserialisable':
      return { when: 1n };
    case 'large':
      return 'x'.repeat(6 << 20);
    case 'raise':
      throw new RangeError('grüße, 世界 🌍');
    case 'exit':
      process.exit(word);
      break;
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      break;
    case 'sleep':
      return new Promise((resolve) => setTimeout(resolve, 600000));
    case 'memory': {
      const held = Buffer.alloc(100 << 20, 'x');
      await new Promise((resolve) => setTimeout(resolve, 600000));
      return held.length;
    }
    case 'print':
      console.log('to stdout: grüße, 世界 🌍');
      console.error('to stderr');
      process.stdout.write('no line end');
      return null;
    case 'flood':
      for (let number = 0; number < word; number++) {
        console.log('line', number);
      }
      return word;
    case 'child':
      spawn('sleep', [word]);
      return 'started';
    case 'strain':
      return strain();
    case 'context': {
      // What the platform adds for this language alone is no text or number of the contract's list.
      const { callbackWaitsForEmptyEventLoop, ...fields } = context;
      return fields;
    }
    case 'environment':
      return process.env;
    default:
      throw new Error(what);
  }
};
