#!/usr/bin/env node
// The handler as a CGI program; what it prints goes to standard error, since standard output is the answer.
'use strict';

const fs = require('fs');
const { main_handler: handler } = require('./index.js');

console.log = console.error;
handler(JSON.parse(fs.readFileSync(0, 'utf8')), {}).then((value) => {
  const body = Buffer.from(JSON.stringify(value));
  process.stdout.write(`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
});
