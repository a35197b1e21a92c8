package faults

// Restart calls the host's [Hooks]: it is to end, and to start again after a while. If it is this
// host, the call ends without an answer.
const Restart Kind = "restart"

type restartKind struct{ whileKind }

func (restartKind) kind() Kind { return Restart }
