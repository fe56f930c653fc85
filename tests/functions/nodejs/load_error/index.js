// Fails while it is loaded.

'use strict';

throw new RangeError('while loading');
