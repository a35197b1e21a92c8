package core_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// BenchmarkStep is the life of 64 tasks in three steps (submit, poll, report) beside a queue of
// others. The ended ones are forgotten in their turn.
func BenchmarkStep(b *testing.B) {
	const batch, retained = 64, 1024
	for _, queued := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			s := core.NewScheduler(core.Config{Incarnation: 1, SessionTTL: 1000 * time.Hour, MaxRetained: retained})
			shape := &core.Shape{Function: "f", MaxWorkerLosses: core.DefaultMaxWorkerLosses}
			ids := make([]string, queued+retained+2*batch) // Each is free again when its turn comes.
			for i := range ids {
				ids[i] = fmt.Sprintf("01JZ%022d", i)
			}
			next := 0
			submit := func(n int) *core.Submit {
				e := &core.Submit{Job: "j", Tasks: make([]core.NewTask, n)}
				for i := range e.Tasks {
					e.Tasks[i] = core.NewTask{ID: ids[next%len(ids)], Shape: shape}
					next++
				}
				return e
			}
			var out core.Effects
			now := epoch
			step := func(e core.Event) core.Reply {
				out.Reset()
				now++
				s.Step(now, &out, e)
				return out.Replies[0]
			}
			session := step(&core.Register{WorkerID: "w", Slots: batch, Functions: []string{"f"}}).Body.(core.RegisterReply).Session
			for range queued / 1000 {
				step(submit(1000))
			}
			cycle := func(seq uint64) {
				step(submit(batch))
				poll := &core.Poll{Session: session, Seq: seq, Received: seq - 1, Free: batch, Max: batch, Until: now.Add(time.Second)}
				grants := step(poll).Body.(core.PollReply).Grants
				report := &core.Report{Session: session, Items: make([]core.ReportItem, len(grants))}
				for i, g := range grants {
					report.Items[i] = core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded, Ran: time.Millisecond}
				}
				step(report)
			}
			seq := uint64(0)
			for range retained / batch { // Until each cycle forgets as many as it ends.
				seq++
				cycle(seq)
			}
			runtime.GC()
			b.ReportAllocs()
			for b.Loop() {
				seq++
				cycle(seq)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/task")
			b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
			if n := s.Stats().Tasks[core.Pending]; n != queued {
				b.Fatalf("%d tasks are queued, want %d", n, queued)
			}
		})
	}
}

// BenchmarkDispatchClasses is the poll of one task from among many classes of which the worker can
// run all.
func BenchmarkDispatchClasses(b *testing.B) {
	const classes = 1000
	s := core.NewScheduler(core.Config{Incarnation: 1, SessionTTL: 1000 * time.Hour, DeliveryTimeout: 1000 * time.Hour})
	var out core.Effects
	register := &core.Register{WorkerID: "w", Slots: 1}
	for i := range classes {
		register.Functions = append(register.Functions, fmt.Sprintf("f%d", i))
	}
	s.Step(epoch, &out, register)
	session := out.Replies[0].Body.(core.RegisterReply).Session
	for i, f := range register.Functions {
		shape := &core.Shape{Function: f}
		s.Step(epoch, &out, &core.Submit{Job: "j", Tasks: []core.NewTask{
			{ID: fmt.Sprintf("a%d", i), Shape: shape}, {ID: fmt.Sprintf("b%d", i), Shape: shape},
		}})
	}
	b.ReportAllocs()
	seq := uint64(0)
	for b.Loop() {
		seq++
		out.Reset()
		s.Step(epoch, &out, &core.Poll{Session: session, Seq: seq, Received: seq - 1, Free: 1, Max: 1, Until: epoch + 1})
		g := out.Replies[0].Body.(core.PollReply).Grants[0]
		s.Step(epoch, &out, &core.Report{Session: session, Items: []core.ReportItem{
			{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Returned},
		}})
	}
}

// BenchmarkQueuedTaskHeap is what a queued task costs in heap: with its id of 26 bytes, without its
// payload, which is the store's.
func BenchmarkQueuedTaskHeap(b *testing.B) {
	const queued, batch = 1_000_000, 1000
	shape := &core.Shape{Function: "f", MaxWorkerLosses: core.DefaultMaxWorkerLosses}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var used uint64
	for b.Loop() {
		before := heap()
		s := core.NewScheduler(core.Config{Incarnation: 1})
		var out core.Effects
		for i := range queued / batch {
			e := &core.Submit{Job: "j", Tasks: make([]core.NewTask, batch)}
			for k := range e.Tasks {
				e.Tasks[k] = core.NewTask{ID: fmt.Sprintf("01JZ%022d", i*batch+k), Shape: shape}
			}
			s.Step(epoch, &out, e)
			out.Reset()
		}
		used = heap() - before
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(used)/queued, "B/task")
}
