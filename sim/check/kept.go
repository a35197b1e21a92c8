package check

import (
	"fmt"
	"time"
)

// nothingKept holds the controller to let go of what is over, at quiescence, when workers have left.
// By its metrics it then knows of
//
//   - no more workers (fray_workers) than may have a session: one that was opened, or asked for, that its worker was not told before
//     Quiescent to be over, and that is not silent for its TTL and keptSlack;
//   - no lease (fray_leases) if no worker may have a session;
//   - no more watchers (fray_watchers) than there were jobs, and Config.Watchers;
//   - nothing ready (fray_ready_tasks) or queued (fray_queued_bytes) but the options of jobs, and once faults have
//     ended no call that waits (fray_waiting_calls), if all tasks that were offered, and all runs of schedules,
//     have ended, and no worker may have a session.
//
// So what a controller holds after a long run is what is alive, and what is retained. Nothing is
// said of sessions where a call may be delivered twice: a late copy of a registration opens one.
// What Oracles.Metrics was not given is not compared. It is vacuous where tasks stay open, or the
// metrics are not given.
type nothingKept struct {
	oracle

	cfg      *Config
	scraped  map[string]float64
	sessions map[string]*keptSession // by worker
	jobs     map[string]bool
	healed   bool
	quiet    bool
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

// keptSlack is how much longer than its TTL a session may last: for calls whose answers were lost,
// and a controller that stood still.
const keptSlack = time.Minute

// Observe implements Oracle.
func (o *nothingKept) Observe(e *Event, _ *Judge) {
	switch e.Kind {
	case RegisterCall:
		o.sessions[e.Worker] = &keptSession{until: e.At + keptSlack}
	case RegisterReply:
		o.sessions[e.Worker] = &keptSession{until: e.At + e.TTL + keptSlack, ttl: e.TTL}
	case HeartbeatCall, HeartbeatReply, ReportCall, UnregisterCall, WorkerCrash:
		if s := o.sessions[e.Worker]; s != nil {
			s.until = max(s.until, e.At+s.ttl+keptSlack)
		}
	case Heal:
		o.healed = !o.cfg.FaultsGoOn
	case UnregisterReply:
		if !o.quiet { // Later ones may be later than the metrics.
			delete(o.sessions, e.Worker)
		}
	case Quiescent:
		o.quiet = true
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
	o.most("fray_watchers", len(o.jobs)+o.cfg.Watchers, j)
	if o.cfg.Redelivery {
		return
	}
	o.most("fray_workers", alive, j)
	if alive > 0 {
		return
	}
	o.most("fray_leases", 0, j)
	if len(o.open) > 0 || o.cfg.runs.hidden() > 0 {
		return
	}
	o.most("fray_ready_tasks", 0, j)
	o.most("fray_queued_bytes", o.cfg.jobs.bytes(), j)
	if o.healed {
		o.most("fray_waiting_calls", 0, j)
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
