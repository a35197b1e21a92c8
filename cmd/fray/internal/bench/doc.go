// Package bench measures how fast a cluster runs tasks, and what this machine could do at best: what
// stands behind "fray bench".
//
//	report, err := bench.Run(ctx, bench.Config{Plan: plan, Workloads: chosen, Target: target, ...})
//	report.WriteTable(os.Stdout, bench.TableOptions{})
//
// A workload does one thing for a while and notes what that came to in rows, such as call/8: calls a
// second of 8 goroutines. All workloads run once, in turn, before any runs again, so that what else
// the machine does concerns all of them. A row has a figure of each repetition; its own figure is
// their median.
//
// Some workloads run no tasks. They measure a limit: what a row of tasks could come to if Fray took
// no time at all. Rows are compared with the limits of the same run.
//
// Every value that comes back is compared with what was sent.
package bench
