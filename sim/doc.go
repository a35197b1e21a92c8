// Package sim runs Connect services, unmodified, in virtual time and over a simulated network, such
// that a run is a function of its seed. It knows nothing of the services.
//
//	func TestEcho(t *testing.T) {
//		sim.Test(t, sim.Config{Seed: 1}, func(s *sim.Sim) {
//			s.Host("server", func(ctx context.Context, h *sim.Host) error {
//				h.Serve(handler) // any http.Handler
//				<-ctx.Done()
//				return nil
//			})
//			s.Client("client", func(ctx context.Context, h *sim.Host) error {
//				client := pingv1connect.NewPingServiceClient(h.Client(), "http://server")
//				_, err := client.Ping(ctx, &pingv1.PingRequest{})
//				return err
//			})
//			s.At(time.Second, func() { s.Crash("server") })
//			s.At(3*time.Second, func() { s.Bounce("server") })
//			if err := s.Run(); err != nil {
//				t.Error(err)
//			}
//		})
//	}
//
// # Terms
//
// A host has a name, which stands in URLs, and [Software], its main function. Each start of the
// software is an incarnation; a crash ends it. A message is what travels between hosts: a request,
// a response, a piece of a stream, word that a caller has given up or that a connection broke. It
// is sent when it leaves, under way, and then it arrives or is dropped. The stepping goroutine is
// the one that made the [Sim]; software is everything else in its bubble.
//
// A verb is a method of Sim that changes something, such as [Sim.Crash] or [Sim.Partition]. Verbs
// are for the stepping goroutine: between steps, in functions given to [Sim.At], and in the one
// that [Sim.RunUntil] asks. Software uses [Host.Do]. A verb that is called by software panics.
//
// # How it works
//
// A simulation lives in a testing/synctest bubble, where time is virtual and passes only when every
// goroutine is durably blocked. A request goes no further than a list in which it is parked, and
// its caller blocks. The stepping goroutine waits until all others are durably blocked; sorts what
// was parked meanwhile by kind, source, destination, procedure, content; and gives each an instant
// of arrival, drawn from the latency of its link. Then it lets time pass to the first arrival, or
// until software parks something else, and releases that one message: it starts the handler, or
// hands the response to the caller. What follows from it happens in concurrent goroutines as ever,
// but only of one host; then all is quiet again. No two messages arrive at the same nanosecond, and
// all do at even ones, counted from the start of the simulation.
//
// Randomness is drawn by what it is for (the seed, a purpose, an entity, an ordinal) and not from
// one sequence, so a message more does not change what happens to the others.
//
// # What holds
//
//   - A run of deterministic software is a function of its seed: the same trace, hash and outcome, with any GOMAXPROCS, with and
//     without the race detector, on the same build of the program and the same architecture. [Verify] checks that.
//   - Messages of one direction of one call arrive in order. All others overtake each other.
//   - A caller whose deadline passes has its error at that instant. Its handler is told by a message.
//   - A dead incarnation sends nothing, receives nothing, and cannot use its [Host]. A goroutine of it that makes a call ends
//     there, by runtime.Goexit: its deferred functions run. Where ending it could leave a library waiting, which is where
//     bodies are streamed, the call fails instead.
//   - Handlers and callers see what they see with net/http over HTTP/2, its errors included: bodies where there are none, lengths
//     that are not kept, late headers, sniffed types, trailers, deadlines of an http.ResponseController, panics, compression that
//     the client asks for by itself. Where HTTP/1.1 does it in another way, HTTP/2 counts. What is sent is copied, and what is
//     written at one instant travels together; more than 4 KiB that a handler writes are sent before it returns.
//   - A run ends: when its clients have, when something fails, or with [ErrDeadlock], [ErrMaxSteps] or [ErrMaxTime].
//   - Goroutines that a host leaves behind are found by Close and told with their stacks. They are known by a pprof label, which
//     goroutines inherit.
//
// # What does not hold
//
// These make software depend on how goroutines are scheduled, and with it a run on more than its
// seed:
//
//   - Randomness that does not come from [Host.Rand]: crypto/rand, the global source of math/rand. One source that several
//     goroutines use at the same instant is no better.
//   - The order of a map, and of a select of which several cases are ready.
//   - Two things at the same instant in one host: two timers with the same deadline, or a timer and a ticker. Jitter keeps them
//     apart; or a moment's wait before acting lets all of an instant happen first, and the code that acts sorts it. A
//     wake-up that is left over from what was already seen is the usual trap.
//   - One event that wakes many goroutines of a host, which then race.
//   - State that hosts share outside of the network, other than through Do. Reading it in RunUntil is fine.
//   - Time and size of protobuf's text and JSON forms, whose whitespace differs between builds. The order of map entries in the
//     binary form is random, and does no harm: the digest in the trace is of bytes in any order. Compressed, it does.
//   - Goroutines that time out by the number of processors, or otherwise by runtime.
//
// A goroutine that loops, or is blocked on a sync.Mutex, on real I/O or in a system call is not
// durably blocked, and virtual time stands still. If it does for long, the run has stalled: a
// [Watchdog] tells in real time where, under which seed, and what is in the way. That is so with a
// mutex held across a call.
//
// All of these are for builds without the overlay of package sim/overlay. With it, which is what
// fray-sim test is for, goroutines, maps, randomness and timers follow the seed, waiting for a
// mutex is waiting, package net is the simulated network, and a program that knows nothing of
// simulations replays. [Config].Unmodified is for such programs. What is left then, docs/order.md
// says.
//
// Of net/http there is not: informational responses, and with them Expect: 100-continue, which are
// not sent on; upgrades, which are refused; http.CloseNotifier; the values that http.Server puts
// into a request's context; its limits and timeouts. RemoteAddr is the caller's address, see
// [Host.IP]. A request whose body has no length but can be had again travels whole, with its
// length. Reading a body after the handler has returned always fails, and what a handler that has
// returned writes panics. https is taken for http, and its handlers and callers find a state of TLS
// that says so.
//
// Pause is weaker than SIGSTOP: the host's goroutines and timers go on, cut off. Crash is weaker
// than kill -9, but where the software is unmodified: goroutines of the dead still run until they
// touch something of the simulation, so an effect outside of it needs [Host.Fence].
//
// Calls of [Host.Client] stand alone: a slow start, a full pool or head-of-line blocking between
// them is not seen, and neither are TLS, HTTP/1.1, pings and GOAWAY. These are there for software
// that has connections, [Host.DialContext] and [Host.Listen]: of TCP there are addresses, order,
// windows, retransmission, half-closed and reset connections, and keepalive. Links have latency and
// loss but no bandwidth. There are no other sockets.
package sim
