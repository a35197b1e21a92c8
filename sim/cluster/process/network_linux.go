package process

// ownAddresses says whether each host can have an address of its own: all of 127.0.0.0/8 is
// loopback.
const ownAddresses = true
