// Package check judges what a Fray cluster did by what its clients and workers saw.
//
// A [History] is a list of observations: calls made, answers got, functions begun and ended. A
// [Recorder] writes down those of one process, through an interceptor on its calls and a wrapper
// around its functions; nothing comes from the controller, whose own opinion of itself is what is
// to be judged. [Oracles] look at each event as it comes, and once more at the end. An oracle is a
// claim about the system, such as "a task that has ended never does anything again"; a [Violation]
// is a proof that it does not hold.
//
//	oracles := check.New(check.Config{LivenessBound: time.Minute})
//	history := check.NewHistory(check.HistoryConfig{Observe: oracles.Observe})
//
//	w1 := check.NewRecorder(history, "w1") // One for each process, and another when it starts again.
//	worker.New(worker.Config{
//		ClientOptions: []connect.ClientOption{connect.WithInterceptors(w1.ClientInterceptor())},
//		Functions:     w1.Functions(render, resize),
//	})
//	c1 := check.NewRecorder(history, "c1")
//	fray.NewJobContext(ctx, fray.KindFray, fray.WithClientOptions(connect.WithInterceptors(c1.ClientInterceptor())))
//
//	// Run work, with faults. Crashes are told by Recorder.Crash and History.Crash. Then:
//	history.Heal()    // No faults from here: liveness counts.
//	history.Quiesce() // No work from here: what is read now is the closing audit.
//	check.Audit(ctx, client, oracles.Unsettled())
//	for _, v := range oracles.Finish(history.Now()) {
//		fmt.Println(v.String())
//	}
//
// # What an observation proves
//
// An answer was true at some instant between its call and its arrival, so oracles compare it only
// with what was known before the call was made: an answer may be late, and is never a lie for that.
// A call without an answer may have had its effect, or have it later, or never. An error proves
// nothing unless Fray itself gave its reason, because injected faults make errors too.
//
// # What oracles assume
//
// Every client and every worker of the cluster is recorded, with every function; otherwise a task
// could complete with a value that nobody reported. All recorders share the history's clock. There
// is one controller. Task ids are not used again for another task when the retention of the first
// is over. A process that runs the functions of a worker opens its sessions through the same
// recorder.
//
// # What it costs
//
// Oracles keep a few events for each task, some 3 KiB, and every lease token; the operations for
// [linearizable] go five minutes after a task's end. Everything else is bounded by jobs and
// workers.
package check
