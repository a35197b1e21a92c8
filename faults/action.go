package faults

import (
	"time"

	"connectrpc.com/connect"
)

// A Kind is a sort of fault.
type Kind string

// The kinds of faults. Those that end a call keep the rules behind them from it.
const (
	// Delay lets time pass.
	Delay Kind = "delay"
	// Drop loses what passes: the caller sees nothing until its own deadline. A message of a stream goes missing.
	// It ends the call.
	Drop Kind = "drop"
	// Error answers with a code, a message and perhaps a detail. It ends the call.
	Error Kind = "error"
	// Duplicate delivers a request or message again: at once, with the answer of the last delivery; or a while
	// after the first, with nobody to hear the answer. What cannot be read twice, as a request of unknown length, is left alone.
	Duplicate Kind = "duplicate"
	// Reorder holds back what passes until the next match has passed it.
	Reorder Kind = "reorder"
	// Truncate ends a body after some bytes, so that its reader sees an unexpected EOF.
	Truncate Kind = "truncate"
	// Reset breaks the connection after some bytes of a body.
	Reset Kind = "reset"
	// Throttle passes a body at a rate.
	Throttle Kind = "throttle"
	// Partition drops what passes between two sets of hosts.
	Partition Kind = "partition"
	// Hold holds back what passes until a Release, [Injector.Release], or the end of the rule's window, at most [MaxWait].
	// What it held goes on in the order in which it came, within milliseconds.
	Hold Kind = "hold"
	// Release ends another rule's hold, for good.
	Release Kind = "release"
	// Pause, Crash and Restart call the host's [Hooks]. If it is this host that crashes or restarts, the call ends
	// without an answer.
	Pause   Kind = "pause"
	Crash   Kind = "crash"
	Restart Kind = "restart"
)

var kinds = []Kind{
	Delay, Drop, Error, Duplicate, Reorder, Truncate, Reset, Throttle, Partition, Hold, Release, Pause, Crash, Restart,
}

// An Action is what a rule injects: a kind, and what that kind needs to know. Fields of other kinds are zero.
type Action struct {
	Kind Kind
	// Latency is how long a Delay takes.
	Latency Latency
	// Code, Message and Detail are what an Error says.
	Code    connect.Code
	Message string
	Detail  Detail
	// Wait is: for Duplicate, how much later the copies arrive (0: at once, before the original); for Reorder, the
	// longest that something is held back; for Pause, how long the host pauses; for Restart, how long it is down.
	Wait time.Duration
	// Copies is how often Duplicate delivers besides. 0: once.
	Copies int
	// Bytes is how much of a body passes before Truncate or Reset.
	Bytes int64
	// Rate is that of Throttle, in bytes a second.
	Rate int64
	// OneWay limits a Partition to what passes from the hosts of From to those of To.
	OneWay bool
	// Target is the rule whose hold Release ends; or the host that Pause, Crash and Restart strike, where empty is
	// the caller in the phases of a client and the callee otherwise.
	Target string
}

// A Detail is the detail of an error: a message's full name and its encoding.
type Detail struct {
	Type  string
	Value string
}

// normal returns the action with what it means when it says nothing.
func (a Action) normal() Action {
	normal := a
	if a.Kind == Duplicate && a.Copies == 0 {
		normal.Copies = 1
	}
	return normal
}

// networkOnly says whether only what lies between hosts can do it.
func (k Kind) networkOnly() bool {
	return k == Truncate || k == Reset || k == Throttle || k == Partition
}

// OnHost says whether it is done to a host, by its [Hooks], and not to a message.
func (k Kind) OnHost() bool { return k == Pause || k == Crash || k == Restart }
