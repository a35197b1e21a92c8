// Package fraytest has a cluster for the tests of programs that run tasks: a controller in memory and
// workers, in the process of the test, over loopback.
//
//	func TestResize(t *testing.T) {
//		ctx := fraytest.Start(t, Resize)
//		got, err := Resize.Call(ctx, image)
//		...
//	}
//
// What passes on it passes on a cluster of processes, as far as encoding, errors, retries, timeouts and
// cancellation go. Functions run in the process of the test, and so can meet it at channels. Faults are
// injected into the network between its parts: see [Faults].
//
// When the test ends the cluster does, and leaves no goroutine behind. Functions that still run are
// stopped; one that ignores its context for a second is left behind, which the output of the test says.
// The cluster needs sockets and real time, so that it is not for bubbles of package testing/synctest;
// there, [fray.KindThreadPool] runs tasks in virtual time.
package fraytest
