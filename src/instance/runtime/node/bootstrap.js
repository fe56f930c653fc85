'use strict';
// The platform's side of a Node.js function, for Node.js 12 and newer.
//
// Started by the launcher as `node OPTIONS bootstrap CONFIG`, where CONFIG is JSON (see instance/launch.rs). It loads the user's
// code once. As a *zygote* it then forks an Instance for every order on its control socket, where the interpreter can be
// forked; as a *single* it is the one Instance itself. An Instance walls itself in, warms up, takes an event, answers, and is
// killed. Forking, walls and frames are C: module.c beside this file.
//
// What must stay true: the parent of Instances never runs the user's code after loading; a fork is left by `shim.exit` alone,
// since the interpreter's own way out waits for threads that a fork does not have; what is needed of the language's own objects
// is taken before the user's code can change it.

const fs = require('fs');
const os = require('os');
const { Writable } = require('stream');
const { pathToFileURL } = require('url');
const util = require('util');
const v8 = require('v8');
const vm = require('vm');

const { parse, stringify } = JSON;
const { nextTick } = process;
const hrtime = process.hrtime;
const later = setImmediate;
const { log } = console;

const BOOTSTRAP = __filename;
const MAJOR = parseInt(process.versions.node, 10);
const TRACE_CHARS_MAX = 16000; // a report from the zygote must fit one datagram, escapes included
const TEXT_CHARS_MAX = 1300; // what the shim has room for, whatever the characters
const CAUSES_MAX = 5;
const DUMMY = ['00000000-0000-0000-0000-000000000000', '{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"é"}]}'];
const WARM_ROUNDS = 20; // in the zygote; thousands would make it worse
const TRIED_WITHIN_MS = 1000;

// Releases whose forks were tried at length: tens of thousands with timers, files, crypto, zlib, fetch, workers. Newer ones are
// tried in a small way each time; older ones hang where a fork has nothing left to do.
const TRIED = [20, 22, 24];
const FORKED_FROM = 20;

const config = parse(process.argv.pop());
const shim = loadShim(config.shim);
const CODE = realpath(config.code);

function loadShim(path) {
  const loaded = { exports: {} };
  process.dlopen(loaded, path);
  return loaded.exports;
}

function realpath(path) {
  try {
    return fs.realpathSync(path);
  } catch (_) {
    return path;
  }
}

// The function cannot run: an answer's kind and its text.
class Failure {
  constructor(kind, text) {
    this.kind = kind;
    this.text = text;
  }
}

// ------------------------------------------------------------------------------------------------------------------- streams

// Set while what is printed is for practice.
let rehearsing = false;

// Standard output and error, written to the pipe before `write` returns: a line is kept even when the process is killed.
function openStreams() {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    let stream;
    const open = () => {
      stream = new Writable({
        write(chunk, encoding, done) {
          if (!rehearsing) {
            shim.write(fd, chunk);
          }
          done();
        },
        // It stays open, as the interpreter's own does.
        destroy(error, done) {
          done(error);
        },
      });
      stream.fd = fd;
      stream._isStdio = true;
      stream.destroySoon = stream.destroy;
      return stream;
    };
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => stream || open(),
    });
  }
}

// The runtimes up to Node.js 12 put time and request id before each line (contract 2.3).
function prefixLines(runtime) {
  if (!/^Nodejs(6|8|10|12)\./.test(runtime)) {
    return;
  }
  for (const name of ['log', 'info', 'debug', 'warn', 'error']) {
    const print = console[name];
    console[name] = (...words) => {
      const id = current ? current.id : '';
      print('%s', `${new Date().toISOString()}\t${id}\t${util.format(...words)}`);
    };
  }
}

// -------------------------------------------------------------------------------------------------------------------- errors

// Kind and text of the answer for what was thrown.
function failureOf(error) {
  const isLackOfMemory = error instanceof RangeError && /^Array buffer allocation failed/.test(error.message);
  return new Failure(isLackOfMemory ? 'M' : 'E', trace(error));
}

// The error as the interpreter shows it, without our frames, paths as the platform shows them; with what caused it.
function trace(error) {
  try {
    const parts = [];
    for (let cause = error; parts.length < CAUSES_MAX; cause = cause.cause) {
      parts.push((parts.length ? '[cause]: ' : '') + (isError(cause) ? stackOf(cause) : `Uncaught ${util.inspect(cause)}`));
      if (!isError(cause) || cause.cause === undefined) {
        break;
      }
    }
    return cut(parts.join('\n'));
  } catch (_) {
    return 'an error that cannot be shown';
  }
}

function isError(value) {
  return util.types.isNativeError(value) || value instanceof Error;
}

function stackOf(error) {
  const text = error.stack ? String(error.stack) : String(error);
  const lines = text.split('\n').filter((line) => line !== `- ${BOOTSTRAP}`);
  const ours = lines.findIndex((line) => /^\s+at /.test(line) && line.includes(BOOTSTRAP));
  return shown((ours < 0 ? lines : lines.slice(0, ours)).join('\n'));
}

// The text with the code where the platform has it.
function shown(text) {
  const url = pathToFileURL(CODE).href;
  return text.split(`${url}/`).join('file:///var/user/').split(`${CODE}/`).join('/var/user/');
}

function cut(text) {
  const half = TRACE_CHARS_MAX / 2;
  return text.length <= TRACE_CHARS_MAX ? text : `${text.slice(0, half)}\n...\n${text.slice(-half)}`;
}

// What goes wrong outside every call that could be told of it; a user's own listener takes our place.
function watchErrors() {
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') === 1) {
      fail(failureOf(error));
    }
  });
  if (MAJOR < 15) {
    process.on('unhandledRejection', (error) => {
      if (process.listenerCount('unhandledRejection') === 1) {
        fail(failureOf(error));
      }
    });
  }
  // Where there is no listener, not even ours, this is the last before the interpreter ends itself.
  const { _fatalException: handles } = process;
  process._fatalException = (error, ofPromise) => {
    if (!handles.call(process, error, ofPromise)) {
      fail(failureOf(error));
    }
    return true;
  };
  // No listener, since those can be removed, and so that the user's come first.
  const { emit } = process;
  process.emit = function (name, ...values) {
    const heard = emit.call(this, name, ...values);
    if (name === 'beforeExit') {
      drained();
    }
    return heard;
  };
  process.reallyExit = (code) => shim.exit(code);
}

let fail; // what becomes of a failure now: of loading, of a run
let drained; // of nothing being left to do

// ------------------------------------------------------------------------------------------------------ loading the user's code

// Gives the handler as a function of its three arguments, or the failure that there is none, and how long finding out took.
async function load() {
  const began = hrtime();
  const ended = () => {
    const [s, ns] = hrtime(began);
    return Math.round(s * 1e6 + ns / 1e3);
  };
  const loaded = new Promise((resolve) => {
    fail = (failure) => resolve({ failure, tookUs: ended() });
    // A module that waits at its top level for what never comes; this is the code that the interpreter itself ends with.
    drained = () => shim.exit(process.exitCode || 13);
    loadHandler().then(
      (handler) => resolve({ handler, tookUs: ended() }),
      (error) => fail(error instanceof Failure ? error : failureOf(error)));
  });
  return loaded;
}

async function loadHandler() {
  const { handler_file: file, handler_function: name } = config;
  const path = ['.js', '.mjs', '.cjs'].map((kind) => `${CODE}/${file}${kind}`).find((path) => fs.existsSync(path));
  if (!path) {
    throw new Failure('H', `Cannot find module '/var/user/${file}.js'`);
  }
  process.argv[1] = path;
  const module = await loadModule(path);
  const owner = module && module[name] === undefined && module.default ? module.default : module;
  if (owner === null || owner === undefined || owner[name] === undefined) {
    throw new Failure('H', `module '${file}' has no export '${name}'`);
  }
  if (typeof owner[name] !== 'function') {
    throw new Failure('H', `export '${name}' of module '${file}' is not a function`);
  }
  return (event, context, callback) => owner[name](event, context, callback);
}

async function loadModule(path) {
  if (path.endsWith('.mjs') || (path.endsWith('.js') && isOfModules())) {
    return import(pathToFileURL(path).href);
  }
  try {
    return require(path);
  } catch (error) {
    // An ES module that says so nowhere, which newer releases recognise, and that waits at its top level.
    if (error && error.code === 'ERR_REQUIRE_ASYNC_MODULE') {
      return import(pathToFileURL(path).href);
    }
    throw error;
  }
}

// Whether the package calls its `.js` files ES modules.
function isOfModules() {
  try {
    return parse(fs.readFileSync(`${CODE}/package.json`, 'utf8')).type === 'module';
  } catch (_) {
    return false;
  }
}

// ----------------------------------------------------------------------------------------------------------------- randomness

// What V8's generator gave would be the same in every Instance, so there is another one, of 128 bits (sfc32), seeded anew in
// each. It stands in before the user's code can take a copy.
let random;
const seedRandom = (() => {
  let [a, b, c, d] = [0, 0, 0, 0];
  const draw = () => {
    const result = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + result) | 0;
    return result >>> 0;
  };
  // One that is there already: each Instance pays for every page it writes.
  const words = new Int32Array(4);
  const bytes = Buffer.from(words.buffer);
  const seed = () => {
    shim.fill(bytes);
    a = words[0];
    b = words[1];
    c = words[2];
    d = words[3];
  };
  seed();
  random = { random: () => ((draw() >>> 5) * 0x4000000 + (draw() >>> 6)) / 0x20000000000000 }.random;
  Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true, enumerable: false });
  return seed;
})();

// The module that keeps drawn numbers for `randomUUID` and `randomInt`, if the code has it.
function keeperOfRandom() {
  const has = (name) => process.moduleLoadList.includes(`NativeModule ${name}`);
  return has('crypto') || has('internal/crypto/webcrypto') || has('internal/crypto/random') ? require('crypto') : null;
}

// As many draws as it keeps numbers: what it gives next was drawn here.
function drawKept(crypto) {
  for (let left = 128; crypto.randomUUID && left > 0; left--) {
    crypto.randomUUID();
  }
  for (let left = 1024; left > 0; left--) {
    crypto.randomInt(2);
  }
}

// Of what a fork copies, all that draws.
function reseed(crypto) {
  seedRandom();
  if (crypto) {
    drawKept(crypto);
  }
}

// V8's own generator, which is left where a context is made, has its seed from the moment the first one is: telling V8 a flag
// takes a millisecond, and few make any.
function seedContexts() {
  let seededBy = 0;
  const seeding = (make) => function (...words) {
    if (seededBy !== process.pid) {
      seededBy = process.pid;
      v8.setFlagsFromString(`--random-seed=${1 + Math.floor(random() * 0x7fffffff)}`);
    }
    return make.apply(this, words);
  };
  vm.createContext = seeding(vm.createContext);
  vm.runInNewContext = seeding(vm.runInNewContext);
  vm.Script.prototype.runInNewContext = seeding(vm.Script.prototype.runInNewContext);
}

// ------------------------------------------------------------------------------------------------------------ is it safe to fork

// A fork copies a process's own state and shares the rest: whatever a run could change for the next one is named here, and
// what it would not have: threads, requests under way. All of it is told by /proc alone, so without one nothing is forked.

const KINDS = [
  [/^socket:/, 'a socket'],
  [/^pipe:/, 'a pipe'],
  [/^anon_inode:/, 'an event descriptor'],
  [/^\/dev\//, null],
  [/^/, 'a file'],
];

// Open descriptors, as number and what it leads to.
function descriptors() {
  const found = new Set();
  for (const number of fs.readdirSync('/proc/self/fd')) {
    try {
      found.add(`${number} ${fs.readlinkSync(`/proc/self/fd/${number}`)}`);
    } catch (_) {
      // The one the folder was read by.
    }
  }
  return found;
}

// Mappings that a fork would share and a run could write, or make writable.
function sharedMemory() {
  const lines = fs.readFileSync('/proc/self/maps', 'latin1').split('\n');
  return lines.filter((line) => /^\S+ ..?.s /.test(line) && (/^\S+ .w/.test(line) || line.endsWith(' (deleted)'))).length;
}

function look() {
  try {
    return {
      descriptors: descriptors(),
      threads: fs.readdirSync('/proc/self/task').length,
      shared: sharedMemory(),
    };
  } catch (_) {
    return null;
  }
}

// Why forking this process would not give a faithful copy; empty when it would. `tmp` is the folder below which each Instance
// will have one for temporary files, if /tmp is not its own.
function unsafeToFork(before, tmp, askedForTmp) {
  const now = look();
  if (!before || !now) {
    return 'there is no /proc here by which to tell whether the interpreter can be forked';
  }
  const written = tmp
    ? fs.readdirSync(`${tmp}/0`).length > 0 || fs.readdirSync(tmp).join() !== '0'
    : ['/tmp', '/dev/shm'].some((folder) => fs.readdirSync(folder).length > 0);
  if (written) {
    return 'a file was written to /tmp at import';
  }
  if (tmp && askedForTmp) {
    return 'the temporary folder was looked up at import';
  }
  if (shim.hasChildren()) {
    return 'a child process was started at import';
  }
  const opened = [...now.descriptors].filter((what) => !before.descriptors.has(what));
  const kinds = opened.map((what) => KINDS.find(([pattern]) => pattern.test(what.slice(what.indexOf(' ') + 1)))[1]);
  const active = process.getActiveResourcesInfo().filter((what) => !/^(Timeout|Immediate)$/.test(what));
  if (active.includes('MessagePort') || active.includes('Worker') || now.threads !== before.threads) {
    return 'a thread was started at import';
  }
  if (active.some((what) => what.includes('Req'))) {
    return 'a request was under way at import';
  }
  const [kind] = kinds.filter((kind) => kind !== null).sort().reverse();
  if (kind) {
    return `${kind} was opened at import`;
  }
  if (active.length) {
    return `something was under way at import (${active[0]})`;
  }
  return now.shared !== before.shared ? 'shared memory was made at import' : '';
}

// Whether a fork of this very interpreter works: timers, files read by a thread, memory collected, an end of its loop. Asked before there is any
// code of the user's, none of which is to run twice.
function worksForked() {
  if (!fs.existsSync('/proc/self/smaps')) {
    return false;
  }
  const child = shim.tryFork();
  if (child > 0) {
    return shim.outcomeOf(child, TRIED_WITHIN_MS) === 0;
  }
  if (child === 0) {
    let kept = [];
    setTimeout(() => fs.readFile(BOOTSTRAP, 'utf8', (error, text) => {
      for (let round = 0; round < 200; round++) {
        kept = kept.slice(-10).concat([Array.from({ length: 1000 }, (_, number) => ({ number }))]);
      }
      const works = !error && text.startsWith("'use strict'") && kept[10][999].number === 999;
      drained = () => shim.exit(works ? 0 : 1);
    }), 1);
  }
  return child === 0 ? null : false;
}

// ----------------------------------------------------------------------------------------------------------------------- runs

let current = null;

// The contract's context (2.2, 2.3) of one run.
function contextOf(run) {
  const context = Object.assign({}, config.context, { request_id: run.id });
  let waits = true;
  Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    configurable: true,
    enumerable: true,
    get: () => waits,
    set: (value) => {
      waits = value;
    },
  });
  context.getRemainingTimeInMillis = () => {
    const [s, ns] = hrtime(run.began);
    return Math.max(0, config.context.time_limit_in_ms - Math.floor(s * 1e3 + ns / 1e6));
  };
  context.done = (error, data) => {
    waits = false;
    run.callBack(error, data);
  };
  context.succeed = (data) => context.done(null, data);
  context.fail = (error) => context.done(error);
  return context;
}

// One event: whatever comes first of a value, a call back, an error, is its answer.
class Run {
  constructor(id, end) {
    this.id = id;
    this.began = hrtime();
    this.end = end;
    this.called = false;
    this.over = false;
  }

  start(handler, event) {
    let value;
    try {
      value = handler(parse(event), contextOf(this), (error, data) => this.callBack(error, data));
    } catch (error) {
      this.answer(failureOf(error));
      return;
    }
    // A value that is no promise is not an answer; it calls back, or there is nothing left to do some time.
    if (value !== null && (typeof value === 'object' || typeof value === 'function') && typeof value.then === 'function') {
      value.then((value) => this.answer(answerOf(value)), (error) => this.answer(failureOf(error)));
    }
  }

  // What the handler does after calling back, it still does.
  callBack(error, data) {
    if (this.called || this.over) {
      return;
    }
    this.called = true;
    const answer = error === null || error === undefined ? answerOf(data) : isError(error)
      ? failureOf(error)
      : new Failure('E', cut(`${describe(error)}(callback err is not instance of Error)`));
    nextTick(() => this.finish(answer));
  }

  answer(answer) {
    if (!this.called) {
      this.finish(answer);
    }
  }

  finish(answer) {
    if (!this.over) {
      this.over = true;
      this.end(answer);
    }
  }
}

function describe(value) {
  try {
    return String(value);
  } catch (_) {
    return util.inspect(value);
  }
}

// The contract's JSON (3.1); a value that JSON has no word for is null.
function answerOf(value) {
  try {
    const text = stringify(value);
    return new Failure('R', text === undefined ? 'null' : text);
  } catch (error) {
    const { kind, text } = failureOf(error);
    return new Failure(kind, `stringify response to json failed: ${text}`);
  }
}

// Takes events for ever; the process is frozen while it waits for one.
function takeEvents(handler, failure) {
  const next = () => {
    const [id, event] = shim.receive();
    later(begin, id, event);
  };
  const end = ({ kind, text }) => {
    shim.answer(kind.charCodeAt(0), text.length <= TEXT_CHARS_MAX ? text : Buffer.from(text));
    if (config.reuse) {
      shim.clean();
    }
    next();
  };
  const begin = (id, event) => {
    current = new Run(id.toString(), end);
    fail = (failure) => current.finish(failure);
    // It neither returned a promise nor called back, and nothing is left that could.
    drained = () => current.answer(process.exitCode ? new Failure('X', String(process.exitCode)) : answerOf(null));
    if (failure) {
      current.finish(failure);
    } else {
      current.start(handler, event.toString());
    }
  };
  const [id, event] = shim.receive();
  begin(id, event);
}

// The way of an event and of a line, with handlers of ours, so that the first real ones find it trodden: it takes a millisecond
// the first time. No turn of the event loop passes, so nothing of the user's runs. A stream that the code has changed is the
// code's to use.
async function warm() {
  await new Promise((resolve) => new Run(DUMMY[0], resolve).start(async (event) => event, DUMMY[1]));
  await new Promise((resolve) =>
    new Run(DUMMY[0], resolve).start((event, context, callback) => callback(null, event), DUMMY[1]));
  if (!Object.prototype.hasOwnProperty.call(process.stdout, 'write')) {
    rehearsing = true;
    log('key1:', DUMMY[0], 1);
    rehearsing = false;
  }
}

// ---------------------------------------------------------------------------------------------------------------------- roles

// Ends a process whose walls do not stand.
function walled(result) {
  if (result < 0) {
    const step = Math.floor(-result / 1000);
    shim.write(2, Buffer.from(`isolation step ${step}: error ${-result % 1000}\n`));
    shim.exit(70);
  }
  return result;
}

// The same work on the main thread: what would do it is left behind by a fork.
function compileAtOnce() {
  const { Module: Compiled, Instance } = WebAssembly;
  WebAssembly.compile = async (bytes) => new Compiled(bytes);
  WebAssembly.instantiate = async (source, imports) => {
    if (source instanceof Compiled) {
      return new Instance(source, imports);
    }
    const module = new Compiled(source);
    return { module, instance: new Instance(module, imports) };
  };
  if (WebAssembly.compileStreaming) {
    const bytesOf = async (response) => (await response).arrayBuffer();
    WebAssembly.compileStreaming = async (response) => WebAssembly.compile(await bytesOf(response));
    WebAssembly.instantiateStreaming = async (response, imports) =>
      WebAssembly.instantiate(await bytesOf(response), imports);
  }
}

async function single(isolation) {
  walled(shim.isolate(...isolation));
  const { handler, failure } = await load();
  await warm();
  shim.notice('K'.charCodeAt(0));
  later(takeEvents, handler, failure);
}

async function zygote(isolation) {
  const { tmp, cell } = config.isolation;
  if (!cell) {
    walled(shim.restrict(...isolation)); // no mounts will follow, so loading is held as well
  }
  const unforkable = cannotFork();
  if (unforkable === null) {
    return; // this is the fork that was tried
  }
  compileAtOnce();
  seedContexts();
  Object.defineProperty(process, 'pid', { value: process.pid, writable: true, configurable: true, enumerable: true });
  // libuv's threads are started before others could be counted as theirs.
  await new Promise((resolve) => fs.stat('/', resolve));
  const before = look();
  const { tmpdir } = os;
  let askedForTmp = false;
  os.tmpdir = () => {
    askedForTmp = true;
    return tmpdir();
  };
  const { handler, failure, tookUs } = await load();
  os.tmpdir = tmpdir;
  later(async () => {
    const unsafe = failure ? '' : unforkable || unsafeToFork(before, tmp, askedForTmp);
    const [kind, text] = failure ? [failure.kind, failure.text] : [unsafe ? 'F' : 'Z', unsafe];
    const crypto = keeperOfRandom();
    for (let round = 0; round < WARM_ROUNDS && kind === 'Z'; round++) {
      await warm();
    }
    shim.write(3, Buffer.from(stringify({ kind, text: cut(text), load_us: tookUs })));
    if (kind !== 'Z') {
      shim.exit(0);
    }
    shim.mute();
    const number = walled(shim.serve(...isolation));
    become(tmp, number);
    reseed(crypto);
    if (!shim.isAwaited()) {
      await warm();
    }
    // As from a turn of the loop, which there has been none of yet: it costs as much as all the rest, and many need none.
    nextTick(takeEvents, handler, null);
  });
}

// Why this interpreter is not to be forked whatever the code; empty if it may be, null in a fork that was made to try it.
function cannotFork() {
  if (MAJOR < FORKED_FROM) {
    return `Node.js below ${FORKED_FROM} cannot be forked`;
  }
  if (TRIED.includes(MAJOR)) {
    return '';
  }
  const works = worksForked();
  return works === null ? null : works ? '' : `Node.js ${process.versions.node} did not work when it was forked`;
}

// What an Instance has of its own.
function become(tmp, number) {
  process.pid = shim.pid();
  if (tmp && process.env.TMPDIR === `${tmp}/0`) {
    process.env.TMPDIR = `${tmp}/${number}`;
  }
}

function main() {
  process.argv.length = 1;
  process.execArgv = [];
  openStreams();
  prefixLines(process.env.SCF_RUNTIME);
  watchErrors();
  shim.setup(config.single ? 0 : 1);
  const walls = config.isolation;
  const isolation = [walls.cell, walls.fresh_proc, walls.groups, walls.landlock_abi]
    .map(Number)
    .concat([walls.tmp_options, walls.landlock_rules, walls.tmp].map((text) => Buffer.from(`${text}\0`)));
  return config.single ? single(isolation) : zygote(isolation);
}

main();
