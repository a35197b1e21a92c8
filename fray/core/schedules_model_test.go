package core_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestSchedulesModel has schedules of all kinds come and go, their runs end or stay open, time pass or stand still
// while nobody looks, and the scheduler start anew, also without what was not durable. It foretells each run, and
// what the scheduler says of each schedule.
func TestSchedulesModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &schedulesDriver{
			t: rt, now: epoch, ledger: newLedger(), ids: make(map[core.TaskNum]string), submitted: make(map[core.TaskNum]core.Time), news: make(map[string]*core.NewSchedule),
			model: schedulesModel{schedules: make(map[string]*modelSchedule), open: make(map[string]bool)},
			cfg: core.Config{
				Incarnation: 1, Durable: true, Retention: 1000 * time.Hour, Following: following,
				Run: func(_ []byte, id string, _, _ core.Time) []byte { return []byte(id) },
			},
		}
		d.s = core.NewScheduler(d.cfg)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "action") {
			case 0, 1:
				d.submit()
			case 2, 3:
				d.end()
			case 4, 5, 6:
				d.advance(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
			case 7:
				d.now = d.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(rt, "stall")) * time.Second)
				d.step()
			case 8:
				d.hold()
			case 9:
				d.restart()
			}
		}
	})
}

type schedulesDriver struct {
	t      *rapid.T
	s      *core.Scheduler
	cfg    core.Config
	now    core.Time
	calls  core.CallID
	made   int
	ledger *ledger
	// What the ledger does not tell of a task.
	ids       map[core.TaskNum]string
	submitted map[core.TaskNum]core.Time
	news      map[string]*core.NewSchedule

	model schedulesModel
	// As it was when the last step became durable; nil: each has.
	durable *schedulesModel
}

// schedulesModel is what there should be.
type schedulesModel struct {
	schedules map[string]*modelSchedule
	open      map[string]bool // runs, by their ids
	known     int             // runs, ended ones included
}

type modelSchedule struct {
	core.NewSchedule
	core.ScheduleState
}

func (m *schedulesModel) clone() *schedulesModel {
	c := &schedulesModel{schedules: make(map[string]*modelSchedule), open: maps.Clone(m.open), known: m.known}
	for id, s := range m.schedules {
		copied := *s
		c.schedules[id] = &copied
	}
	return c
}

func runOf(schedule string, at core.Time) string {
	return schedule + "/" + time.Unix(0, int64(at)).UTC().Format(time.RFC3339)
}

// pass runs the times that have come.
func (m *schedulesModel) pass(now core.Time) {
	for id, s := range m.schedules {
		var due []core.Time
		for at := following(s.Times, s.Through); at <= now; at = following(s.Times, at) {
			due = append(due, at)
		}
		for i, at := range due {
			run := true
			switch s.CatchUp {
			case core.CatchUpLast:
				run = i == len(due)-1
			case core.CatchUpNone:
				run = now.Sub(at) <= core.OnTime
			}
			if run && (s.Overlaps || s.LastRun == 0 || !m.open[runOf(id, s.LastRun)]) {
				m.open[runOf(id, at)] = true
				m.known++
				s.Runs, s.LastRun = s.Runs+1, at
			} else {
				s.Missed++
			}
			s.Through = at
		}
	}
}

func (d *schedulesDriver) call() core.CallID {
	d.calls++
	return d.calls
}

// step makes a step, and as many more as there is something left to do at once.
func (d *schedulesDriver) step(events ...core.Event) (replies []core.Reply) {
	for i := 0; ; i++ {
		if i > 1000 {
			d.t.Fatal("the scheduler wants to be woken for ever")
		}
		var out core.Effects
		d.s.Step(d.now, &out, events...)
		events = nil
		for _, r := range out.Records {
			if r.Kind == core.RecordSpec {
				d.ids[r.Task], d.submitted[r.Task] = string(r.Data), d.now
			}
		}
		if d.durable == nil {
			d.ledger.commit(out.Records)
		}
		replies = append(replies, out.Replies...)
		if err := d.s.Check(); err != nil {
			d.t.Fatal(err)
		}
		if d.s.Next() > d.now {
			break
		}
	}
	d.model.pass(d.now)
	d.compare()
	return replies
}

func (d *schedulesDriver) compare() {
	var out core.Effects
	d.s.Idle(d.now, &out, &core.ListSchedules{Max: 1000})
	d.s.Idle(d.now, &out, &core.List{Max: 100_000})
	listed := out.Replies[0].Body.(core.SchedulesReply)
	if len(listed.Schedules) != len(d.model.schedules) {
		d.t.Fatalf("%d schedules, want %d", len(listed.Schedules), len(d.model.schedules))
	}
	for _, v := range listed.Schedules {
		want := d.model.schedules[v.ID]
		if want == nil || v.ScheduleState != want.ScheduleState || v.Name != want.Name || v.Next != following(want.Times, want.Through) {
			d.t.Fatalf("schedule %s is %+v, want %+v", v.ID, v, want)
		}
	}
	open, runs := 0, 0
	for _, v := range out.Replies[1].Body.(core.ListReply).Tasks {
		if d.news[v.ID] != nil {
			continue
		}
		if runs++; !v.Status.Terminal() {
			open++
			if !d.model.open[v.ID] {
				d.t.Fatalf("run %s is open", v.ID)
			}
		}
	}
	if open != len(d.model.open) || runs != d.model.known {
		d.t.Fatalf("%d of %d runs are open, want %d of %d", open, runs, len(d.model.open), d.model.known)
	}
}

func (d *schedulesDriver) submit() {
	id := fmt.Sprintf("s%d", d.made)
	n := &core.NewSchedule{
		Name:     rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(d.t, "name"),
		Times:    rapid.SampledFrom([]string{"1s", "7s", "10s", "1m", "30m", "never"}).Draw(d.t, "times"),
		CatchUp:  rapid.SampledFrom([]core.CatchUp{core.CatchUpLast, core.CatchUpAll, core.CatchUpNone}).Draw(d.t, "catch up"),
		Overlaps: rapid.Bool().Draw(d.t, "overlaps"),
	}
	taken := ""
	for other, s := range d.model.schedules {
		if s.Name == n.Name {
			taken = other
		}
	}
	if taken == "" {
		d.made++
		d.news[id] = n
		d.model.pass(d.now)
		d.model.schedules[id] = &modelSchedule{*n, core.ScheduleState{Through: d.now}}
	}
	replies := d.step(&core.Submit{Call: d.call(), Job: "j", Tasks: []core.NewTask{{
		ID: id, Shape: &core.Shape{Function: "f", Role: core.Schedule}, Spec: []byte(id), Schedule: n,
	}}})
	if r := replies[0].Body.(core.SubmitReply).Results[0]; (r.Verdict == core.SubmitCreated) != (taken == "") || r.ID != taken {
		d.t.Fatalf("schedule %q is told as %+v, taken by %q", n.Name, r, taken)
	}
}

// end cancels a run, or a schedule.
func (d *schedulesDriver) end() {
	ids := slices.Concat(slices.Sorted(maps.Keys(d.model.open)), slices.Sorted(maps.Keys(d.model.schedules)))
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(d.t, "id")
	delete(d.model.open, id)
	delete(d.model.schedules, id)
	d.step(&core.Cancel{Call: d.call(), IDs: []string{id}})
}

func (d *schedulesDriver) advance(by time.Duration) {
	for end := d.now.Add(by); ; {
		d.now = max(d.now, min(d.s.Next(), end))
		d.step()
		if d.now >= end {
			return
		}
	}
}

// hold has nothing become durable from now on, until a restart that loses it.
func (d *schedulesDriver) hold() {
	if d.durable == nil {
		d.durable = d.model.clone()
	}
}

func (d *schedulesDriver) restart() {
	if d.durable != nil {
		d.model, d.durable = *d.durable, nil
	}
	d.cfg.Incarnation++
	d.now = d.now.Add(time.Duration(rapid.IntRange(-60, 600).Draw(d.t, "away")) * time.Second)
	var err error
	d.s, err = d.ledger.restore(d.cfg, d.now, true, func(r *core.Restored) {
		r.ID, r.Submitted, r.Shape = d.ids[r.Num], d.submitted[r.Num], &core.Shape{Function: "f"}
		if n := d.news[r.ID]; n != nil {
			r.Schedule, r.Shape, r.Spec = n, &core.Shape{Function: "f", Role: core.Schedule}, []byte(r.ID)
		}
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.now = d.s.Now()
	d.step()
}
