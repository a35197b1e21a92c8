package check

import (
	"fmt"
	"math"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// metricsAgree holds metrics to the history, at quiescence. What Oracles.Metrics was not given is
// not compared.
//
//	fray_tasks_submitted_total           tasks that were acknowledged or seen, and at most those offered without an answer besides
//	fray_tasks{status="..."}             ended tasks as clients saw them, and at most those that they did not see end besides
//	fray_leases_granted_total            the sum of the tasks' attempts, if all of them were seen to end; else at least that
//	fray_stale_reports_total             stale verdicts, and at most the reports without an answer besides
//	fray_duplicate_reports_total         the same of duplicates
//	fray_worker_reports_total{verdict=}  verdicts that workers got, exactly
//
// The controller's are not compared when it crashed, nor the workers' when one did, because they
// count from a process's start. With Config.Redelivery or Config.Forgeries there are no upper bounds on reports; after
// a Retention, none of the bounds on tasks by status. It is vacuous where the metrics are not
// given.
type metricsAgree struct {
	oracle

	cfg      *Config
	scraped  map[string]float64
	tasks    map[string]*metricTask
	verdicts map[Answer]uint64
	// Reports without an answer: also those of workers that died before there was one.
	unanswered       int
	controller, work bool // crashed
}

type metricTask struct {
	known   bool
	ended   frayv1.TaskStatus
	attempt uint32
}

func newMetricsAgree(cfg *Config) *metricsAgree {
	return &metricsAgree{
		oracle: oracle{"metrics-agree", "At quiescence, metrics say what happened."},
		cfg:    cfg, tasks: make(map[string]*metricTask), verdicts: make(map[Answer]uint64),
	}
}

// Observe implements Oracle.
func (o *metricsAgree) Observe(e *Event, _ *Judge) {
	switch e.Kind {
	case ControllerCrash:
		o.controller = true
	case WorkerCrash:
		o.work = true
	case SubmitCall:
		of(o.tasks, e.Task)
	case SubmitReply:
		t := of(o.tasks, e.Task)
		t.known = t.known || e.Answer.acknowledges()
	case GrantReply:
		t := of(o.tasks, e.Task)
		t.known, t.attempt = true, max(t.attempt, e.Attempt)
	case ReadReply:
		if e.View == nil {
			return
		}
		t := of(o.tasks, e.Task)
		t.known, t.attempt = true, max(t.attempt, e.View.Attempt)
		if e.View.Terminal() {
			t.ended = e.View.Status
		}
	case ReportCall:
		o.unanswered++
	case ReportReply:
		if e.Answer != Unanswered {
			o.unanswered--
			o.verdicts[e.Answer]++
		}
	default:
	}
}

// Finish implements Oracle.
func (o *metricsAgree) Finish(end time.Duration, j *Judge) {
	if !o.controller {
		o.controllers(end, j)
	}
	if !o.work {
		for _, v := range []Answer{Accepted, Duplicate, Stale} {
			n := float64(o.verdicts[v])
			o.compare(fmt.Sprintf("fray_worker_reports_total{verdict=%q}", v), n, n, j)
		}
	}
}

func (o *metricsAgree) controllers(end time.Duration, j *Judge) {
	var known, open, leases float64
	unknown := float64(o.cfg.runs.hidden())
	ended := make(map[frayv1.TaskStatus]float64)
	for _, t := range o.tasks { // order-free: sums
		leases += float64(t.attempt)
		switch {
		case !t.known:
			unknown++
		case t.ended == 0:
			known++
			open++
		default:
			known++
			ended[t.ended]++
		}
	}
	o.compare("fray_tasks_submitted_total", known, known+unknown, j)
	if !o.cfg.mayForget(end) {
		for _, s := range []frayv1.TaskStatus{
			frayv1.TaskStatus_TASK_STATUS_COMPLETED, frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.TaskStatus_TASK_STATUS_CANCELLED,
		} {
			o.compare(fmt.Sprintf("fray_tasks{status=%q}", statusName(s)), ended[s], ended[s]+open+unknown, j)
		}
	}
	most := leases
	if open+unknown > 0 {
		most = math.Inf(1)
	}
	o.compare("fray_leases_granted_total", leases, most, j)
	slack := float64(o.unanswered)
	if o.cfg.Redelivery || o.cfg.Forgeries {
		slack = math.Inf(1)
	}
	o.compare("fray_stale_reports_total", float64(o.verdicts[Stale]), float64(o.verdicts[Stale])+slack, j)
	o.compare("fray_duplicate_reports_total", float64(o.verdicts[Duplicate]), float64(o.verdicts[Duplicate])+slack, j)
}

func (o *metricsAgree) compare(name string, least, most float64, j *Judge) {
	got, ok := o.scraped[name]
	if !ok {
		return
	}
	j.Check()
	if got < least || got > most {
		j.Violated("", fmt.Sprintf("%s is %v, and the history says %v to %v", name, got, least, most))
	}
}
