// Package faults injects faults into Connect services: rules, as data, that delay, drop, fail,
// duplicate, truncate, partition, pause and crash. It knows nothing of the services.
//
//	injector := faults.New(faults.Config{})
//	defer injector.Close()
//	plan, err := faults.ParsePlan(`
//	    seed 42
//	    # Every third report is lost after the controller committed it.
//	    lost: drop phase=response-in-flight procedure=*/ReportTasks every=3
//	`)
//	...
//	err = injector.Apply(plan)
//	client := &http.Client{Transport: injector.RoundTripper(transport, "worker-1")}
//
// # Terms
//
// A [Rule] says where, in which phase, when, and what. A [Plan] is an ordered list of rules with a
// seed. An [Injector] has at most one plan in force, and its adapters apply it:
// [Injector.Interceptor] does what a caller or a handler does or sees, [Injector.RoundTripper] and
// [Injector.Handler] what only the network can do. A point is where they can act: a phase of a
// call, or one message of a stream. A rule matches a point if side, phase, message, procedure,
// hosts, headers and window do; it acts on a match if its numbers and its chance allow.
//
// # Text
//
// A rule is one line, which [ParseRule] reads and [Rule.String] writes:
//
//	rule   = id ":" action { name "=" value }
//	action = kind [ "(" argument { "," argument } ")" ]
//
// A value or argument is a word without spaces, quotes, commas, parentheses and equals signs, or is
// quoted as in Go. The actions:
//
//	delay(50ms)                       also delay(uniform, 10ms, 90ms), delay(exponential, 20ms), delay(normal, 50ms, 10ms)
//	drop                              the caller sees its own deadline
//	error(unavailable, "try later", detail=acme.v1.Info:CgFh)
//	                                  code, message, detail as type and base64; only the code must be
//	duplicate                         also duplicate(copies=2), duplicate(later=500ms)
//	reorder(100ms)                    until the next match has passed, at most so long
//	truncate(100B), reset(100B)       after so much of a body; 0 without
//	throttle(64KiB/s)                 a body
//	partition, partition(one-way)     between from= and to=
//	hold, release(id)                 until released
//	pause(5s), crash, restart(2s)     of the host= that is named: crash(host=worker-1)
//
// The clauses:
//
//	side=client|network|server        default: that of the phase, else network
//	phase=request-before-send         of client
//	     |request-in-flight           of network
//	     |before-handler              of server
//	     |after-handler               of server
//	     |response-in-flight          of network, or with side=client of client
//	                                  default: the first of the side
//	message=3, message=*              a message of a stream; a unary call is one message
//	procedure=/acme.v1.Ping/*         * is any text, also in hosts
//	procedure=tcp:5432, tcp:*         connections in place of calls, see below
//	from=worker-*|client to=controller
//	header=Name:value                 as often as there are headers
//	probability=0.25
//	after=10                          matches to skip before nth, every and first count
//	nth=3, every=3, first=3
//	window=10s..30s                   since the plan was applied, or the event; either end may be open
//	event=name                        sleeps until [Injector.Signal]
//
// # Connections
//
// Package sim has connections besides calls, and rules of side network act on what travels there:
// on what asks for a connection, grants it, or breaks it off, and on bytes, which are one message if
// they were written at one instant, or now and then two. What TCP sends again is judged and counted
// again. A rule without a procedure concerns calls and connections, one with tcp: and a port
// connections only, and one like /acme.v1.Ping/* or */Ping calls only. In request-in-flight is what
// the end sends that dialed, in response-in-flight what the other end sends; from= is the host that
// dialed, and to= the one that was dialed. The actions do what a network can do to TCP:
//
//	delay, hold          what the end sends afterwards comes afterwards, too; a hold of minutes breaks the
//	                     connection, as a silent network does
//	throttle             each direction of each connection by itself; a message arrives with its last byte
//	drop, partition      TCP sends it again, until the connection times out
//	reset(100B)          after 100 more bytes of that direction both ends see a reset; without bytes, what
//	                     asks for a connection, or grants it, is refused
//	truncate(100B)       after 100 more bytes of that direction its reader sees the end, and its writer a
//	                     reset, as with a proxy that closes
//	error(unavailable)   refuses what asks for a connection, and concerns nothing else; other codes,
//	                     messages and details concern no connection
//	duplicate, reorder   concern no connection: TCP makes them good
//	pause, crash, restart, release
//	                     once the message has left
//
// A rule for connections only that can never act there is invalid. What was delayed arrives at once
// when the plan ends. To others, [Injector.Judge] is how a simulator asks.
//
// # What holds
//
//   - Order: at a point all rules are judged, then those that act do so in the order of the plan. One that ends the
//     call, or loses the message, keeps those behind it from it.
//   - Repetition: what is left to chance is a function of the seed, the rule's id, caller, callee and procedure, and
//     the number of the rule's match among theirs. Nothing else draws on it, so a rule more or less changes no other's draws.
//     Numbers (nth, every, first, after) count over all calls: they repeat if the calls come in the same order.
//   - Without a plan the adapters add nothing to a call: no allocation, no header, no wrapper. A plan that does not concern a
//     procedure on their side does not either, but for looking that up.
//   - A call belongs, to its end, to the plan in force when it began. A plan that ends lets pass what it holds.
//   - faults.v1.FaultService is never faulted.
//
// What does not hold: that a fault can always be applied. Requests of unknown length are not
// duplicated, bodies shorter than the bytes that a rule names are not cut, and a connection that
// HTTP/2 shares is not reset but its stream is. A rule in force at both ends of a wire acts twice.
// On a handler's streams a dropped or failed call ends after the messages that were sent.
package faults
