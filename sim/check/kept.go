package check

import (
	"fmt"
	"time"
)

// nothingKept holds the controller to let go of what is over, at quiescence, when workers have left.
// By its metrics it then knows of
//
//   - no more workers (fray_workers) than may have a session: one that was opened, or asked for, within the last TTL, or whose
//     heartbeat was answered since, and that its worker has not ended; with Config.Redelivery a call may have opened another, and
//     that is not compared;
//   - no lease (fray_leases) if no worker may have a session;
//   - no more watchers (fray_watchers) than there were jobs, and Config.Watchers;
//   - no call that waits (fray_waiting_calls), and nothing ready (fray_ready_tasks) or queued (fray_queued_bytes), if all tasks that
//     clients know of have ended, and no worker may have a session.
//
// So what a controller holds after a long run is what is alive, and what is retained. What
// Oracles.Metrics was not given is not compared.
type nothingKept struct {
	oracle

	cfg      *Config
	scraped  map[string]float64
	sessions map[string]*keptSession // by worker
	jobs     map[string]bool
	open     map[string]bool // tasks
	ended    map[string]bool
}

// keptSession is a session that a worker may have.
type keptSession struct {
	until time.Duration // without another word of the worker
	ttl   time.Duration
}

func newNothingKept(cfg *Config) *nothingKept {
	return &nothingKept{
		oracle: oracle{"nothing-kept", "When all is over, the controller holds no lease, no session and no call any longer."},
		cfg:    cfg, sessions: make(map[string]*keptSession), jobs: make(map[string]bool),
		open: make(map[string]bool), ended: make(map[string]bool),
	}
}

// longestTTL is how long a session may last whose answer nobody got.
const longestTTL = time.Minute

// Observe implements Oracle.
func (o *nothingKept) Observe(e *Event, _ *Judge) {
	switch e.Kind {
	case RegisterCall:
		o.sessions[e.Worker] = &keptSession{until: e.At + longestTTL}
	case RegisterReply:
		o.sessions[e.Worker] = &keptSession{until: e.At + e.TTL, ttl: e.TTL}
	case HeartbeatReply:
		if s := o.sessions[e.Worker]; s != nil && s.ttl > 0 {
			s.until = max(s.until, e.At+s.ttl)
		}
	case UnregisterCall:
		delete(o.sessions, e.Worker)
	case ControllerCrash:
		clear(o.sessions)
		if o.cfg.AllowLossAfterRestart {
			clear(o.open)
		}
	case SubmitCall:
		o.jobs[e.Job] = true
		if !o.ended[e.Task] {
			o.open[e.Task] = true
		}
	case ReadReply:
		if e.View != nil && e.View.Terminal() {
			o.ended[e.Task] = true
			delete(o.open, e.Task)
		}
	default:
	}
}

// Finish implements Oracle.
func (o *nothingKept) Finish(end time.Duration, j *Judge) {
	alive := 0
	for _, s := range o.sessions { // order-free: a count
		if s.until >= end {
			alive++
		}
	}
	if !o.cfg.Redelivery {
		o.most("fray_workers", alive, j)
	}
	o.most("fray_watchers", len(o.jobs)+o.cfg.Watchers, j)
	if alive > 0 || o.cfg.Redelivery {
		return
	}
	o.most("fray_leases", 0, j)
	if len(o.open) > 0 {
		return
	}
	for _, name := range []string{"fray_waiting_calls", "fray_ready_tasks", "fray_queued_bytes"} {
		o.most(name, 0, j)
	}
}

func (o *nothingKept) most(name string, most int, j *Judge) {
	got, ok := o.scraped[name]
	if !ok {
		return
	}
	j.Check()
	if got > float64(most) {
		j.Violated("", fmt.Sprintf("%s is %v when all is over, and may be %d", name, got, most))
	}
}
