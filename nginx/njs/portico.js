// The SHA-256 of a request's body. The cache asks for it once the body was read, and only where it is in memory: a body
// that went to a file makes the request bypass the cache (conf/key.conf) before anyone asks.

import crypto from 'crypto';

function hash(request) {
    return crypto.createHash('sha256').update(request.variables.request_body).digest('hex');
}

export default { hash };
