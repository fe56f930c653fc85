// Fails while it is loaded: the module it needs is not in the package.

'use strict';

const missing = require('a-module-that-is-not-there');

exports.main_handler = async () => missing;
