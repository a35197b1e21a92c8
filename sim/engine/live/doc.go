// Package live runs the faults of a scenario against a cluster that runs already, of any service
// that serves faults.v1.FaultService (see [faults.NewService]): the same file, the same
// expectations and the same report as in virtual time.
//
//	result, err := live.Run(ctx, subject, s, seed, engine.Options{}, live.Config{
//		Hosts: map[string]string{"server": "http://10.0.0.7:8080"},
//		Crash: "docker kill $FRAY_HOST", Start: "docker start $FRAY_HOST",
//	})
//
// # What runs where
//
// The servers are there, and are left there. Clients of the scenario are goroutines of this
// process, whose URLs have the names of hosts. Faults in messages are injected by the server that
// is called, which is sent a plan with a TTL; those that only concern clients are injected in this
// process. The plan ends with heal, or with the run, and by its TTL if this process is gone before
// that. Crashes, stops and pauses are commands of the
// operator's.
//
// # What holds
//
// A seed decides what is drawn, and not what happens: runs do not repeat. Numbers of rules count
// for each host that injects them by itself. A server that starts anew has no plan until it
// answers.
package live
