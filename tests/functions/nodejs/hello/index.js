// The first function: prints what it was given and greets the value of "key".

'use strict';

exports.main_handler = async (event, context) => {
  console.log('event:', JSON.stringify(event));
  const { key = 'world' } = event;
  return { hello: key };
};
