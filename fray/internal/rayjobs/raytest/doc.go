// Package raytest is a server with Ray's Jobs REST API for tests. It carries out what it is asked for in this
// way: entrypoints run as processes of this machine, in packages that it unpacks as Ray does, without
// the modes of files.
//
//	ray, err := raytest.Start(raytest.Config{Dir: t.TempDir()})
//	if err != nil { ... }
//	defer ray.Close()
//	client, err := rayjobs.New(rayjobs.Config{URL: ray.URL()})
//
// It misbehaves as its user wants: a [Fault] answers in place of a call or of its answer, [Server.Lose]
// forgets a job, [Server.Kill] kills one. It has no resources that could run out, and starts what
// it takes at once, unless [Server.Hold] has it wait.
package raytest
