package core_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// BenchmarkLeaseAndComplete is the lease and the completion of tasks with 10,000 workers, 1,000
// functions and 10,000 jobs, or as many as there are tasks. A worker has ten functions, so that
// there are a hundred kinds of workers. A hundred workers at a time ask for eight tasks each, and
// then report that these ended. Each that is leased, and each that is completed, is a step. What is
// submitted in place of them is not measured.
func BenchmarkLeaseAndComplete(b *testing.B) {
	const (
		workers, atOnce, slots   = 10_000, 100, 8
		functions, kinds         = 1_000, 100
		jobs, retained, longTime = 10_000, 1_024, 1_000 * time.Hour
	)
	for _, queued := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			s := core.NewScheduler(core.Config{
				Incarnation: 1, SessionTTL: longTime, DeliveryTimeout: longTime, MaxRetained: retained, Durable: true, Commits: true,
			})
			var out core.Effects
			now := epoch
			step := func(es ...core.Event) {
				out.Reset()
				now++
				s.Step(now, &out, es...)
			}
			shapes := make([]*core.Shape, functions)
			for i := range shapes {
				shapes[i] = &core.Shape{Function: fmt.Sprint("f", i), MaxWorkerLosses: core.DefaultMaxWorkerLosses}
			}
			sessions := make([]core.Token, workers)
			for i := range sessions {
				e := &core.Register{WorkerID: fmt.Sprint("w", i), Slots: slots}
				for k := i % kinds; k < functions; k += kinds {
					e.Functions = append(e.Functions, shapes[k].Function)
				}
				step(e)
				sessions[i] = out.Replies[0].Body.(core.RegisterReply).Session
			}
			// The jobs of the tasks that are queued, by their numbers.
			var jobOf []int
			submit := func(job, n int) {
				e := &core.Submit{Job: fmt.Sprint("j", job)}
				for range n {
					e.Tasks = append(e.Tasks, core.NewTask{ID: fmt.Sprintf("01JZ%022d", len(jobOf)), Shape: shapes[job%functions]})
					jobOf = append(jobOf, job)
				}
				step(e)
			}
			crowd := min(jobs, queued)
			for i := range crowd {
				submit(i, queued/crowd)
			}
			seqs := make([]uint64, workers)
			first, taken, measured := 0, 0, time.Duration(0)
			polls, reports := make([]core.Event, atOnce), []core.Event(nil)
			cycle := func() {
				for i := range polls {
					w := first + i
					seqs[w]++
					polls[i] = &core.Poll{
						Call: core.CallID(w + 1), Session: sessions[w], Seq: seqs[w], Received: seqs[w] - 1, Free: slots, Max: slots, Until: now.Add(time.Second),
					}
				}
				begun := time.Now()
				step(polls...)
				measured += time.Since(begun)
				reports = reports[:0]
				leased := make([]core.TaskNum, 0, atOnce*slots)
				for _, r := range out.Replies {
					w := int(r.Call) - 1
					e := &core.Report{Call: r.Call, Session: sessions[w]}
					for _, g := range r.Body.(core.PollReply).Grants {
						leased = append(leased, g.Task)
						e.Items = append(e.Items, core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded, Ran: time.Millisecond})
					}
					reports = append(reports, e)
				}
				committed := &core.Committed{Step: out.Step}
				begun = time.Now()
				step(committed)
				step(reports...)
				measured += time.Since(begun)
				taken += len(leased)
				step(&core.Committed{Step: out.Step})
				for _, num := range leased {
					submit(jobOf[num-1], 1)
				}
				step(&core.Committed{Step: out.Step})
				first = (first + atOnce) % workers
			}
			for range workers / atOnce {
				cycle()
			}
			runtime.GC()
			taken, measured = 0, 0
			b.ReportAllocs()
			for b.Loop() {
				cycle()
			}
			b.ReportMetric(float64(measured.Nanoseconds())/float64(taken), "ns/task")
			b.ReportMetric(2*float64(taken)/measured.Seconds(), "steps/s")
			if n := s.Stats().Tasks[core.Pending]; n != queued {
				b.Fatalf("%d tasks are queued, want %d", n, queued)
			}
		})
	}
}
