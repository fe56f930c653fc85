// Fails before it is loaded: this is no JavaScript.

exports.main_handler = async (event => {
  return event;
};
