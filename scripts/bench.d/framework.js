// The handler as functions-framework wants it.
'use strict';

const { main_handler: handler } = require('./index.js');

exports.handle = async (request, response) => {
  response.json(await handler(request.body, {}));
};
