package faults

import (
	"time"

	"connectrpc.com/connect"
)

// An Action is what a rule injects: a kind, and what that kind needs to know. Fields of other kinds
// are zero.
type Action struct {
	Kind Kind
	// Latency is how long a Delay takes.
	Latency Latency
	// Code, Message and Detail are what an Error says.
	Code    connect.Code
	Message string
	Detail  Detail
	// Wait is: for Duplicate, how much later the copies arrive (0: at once, before the original);
	// for Reorder, the longest that something is held back; for Pause, how long the host pauses;
	// for Restart, how long it is down.
	Wait time.Duration
	// Copies is how often Duplicate delivers besides. 0: once.
	Copies int
	// Bytes is how much of a body passes before Truncate or Reset.
	Bytes int64
	// Rate is that of Throttle, in bytes a second.
	Rate int64
	// OneWay limits a Partition to what passes from the hosts of From to those of To.
	OneWay bool
	// Target is the rule whose hold Release ends; or the host that Pause, Crash and Restart strike,
	// where empty is the caller in the phases of a client and the callee otherwise.
	Target string
}

// A Detail is the detail of an error: a message's full name and its encoding.
type Detail struct {
	Type  string
	Value string
}

// normal returns the action with what it means when it says nothing.
func (a Action) normal() Action {
	if a.Kind == Duplicate && a.Copies == 0 {
		a.Copies = 1
	}
	return a
}
