package core_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// epoch is when every scripted scheduler starts.
const epoch = core.Time(1_000_000 * time.Second)

// script drives a scheduler by readable commands, and tells its effects as readable lines. It plays
// the workers' part in counting polls and heartbeats, and names attempts task#attempt instead of by
// their tokens.
type script struct {
	s         *core.Scheduler
	cfg       core.Config
	ledger    *ledger
	unsynced  bool
	now       core.Time
	nextCall  core.CallID
	calls     map[core.CallID]string
	lost      map[core.CallID]bool
	parked    map[string]core.CallID
	alone     string // the task of the last submission that waits for its end
	shapes    map[string]*core.Shape
	needs     map[string][]string
	actors    map[string]*core.NewActor
	mail      map[string]*core.NewCall
	limits    map[string][]core.Limit
	schedules map[string]*core.NewSchedule
	uniques   map[string]*core.Unique
	gangs     map[string]*core.Gang
	ids       map[core.TaskNum]string
	tokens    map[string]core.Token
	names     map[core.Token]string
	submitted map[core.TaskNum]core.Time
	workers   map[string]*scriptWorker
	polls     map[core.CallID]*scriptSession
	lines     []string
}

type scriptWorker struct {
	registrations int
	sessions      []*scriptSession
}

type scriptSession struct {
	name              string
	token             core.Token
	pollSeq, received uint64
	beatSeq           uint64
	inFlight          map[core.CallID]uint64
}

func newScript() *script {
	cfg := core.Config{Incarnation: 1, Seed: 1, Cause: cause, Death: death}
	return &script{
		s: core.NewScheduler(cfg), cfg: cfg, ledger: newLedger(), now: epoch,
		calls: make(map[core.CallID]string), lost: make(map[core.CallID]bool), parked: make(map[string]core.CallID),
		shapes: make(map[string]*core.Shape), needs: make(map[string][]string), actors: make(map[string]*core.NewActor), mail: make(map[string]*core.NewCall), limits: make(map[string][]core.Limit), schedules: make(map[string]*core.NewSchedule), uniques: make(map[string]*core.Unique), gangs: make(map[string]*core.Gang), ids: make(map[core.TaskNum]string),
		tokens: make(map[string]core.Token), names: make(map[core.Token]string), submitted: make(map[core.TaskNum]core.Time),
		workers: make(map[string]*scriptWorker), polls: make(map[core.CallID]*scriptSession),
	}
}

// following tells the times of schedules: every so long since the epoch.
func following(times string, after core.Time) core.Time {
	d, err := time.ParseDuration(times)
	if err != nil {
		return core.Never
	}
	return after - after%core.Time(d) + core.Time(d)
}

// created notes a run. Its spec is its id.
func (x *script) created(_ []byte, id string, _, _ core.Time) []byte {
	schedule := id[:strings.LastIndexByte(id, '/')]
	sh := *x.shapes[schedule]
	sh.Role = core.Plain
	x.shapes[id], x.limits[id] = &sh, x.limits[schedule]
	return []byte(id)
}

// run carries out one line of commands and returns what came of it. Commands with " ; " between
// them make one step.
func (x *script) run(line string) ([]string, error) {
	x.lines = nil
	var events []core.Event
	for cmd := range strings.SplitSeq(line, " ; ") {
		a, err := parseArgs(cmd)
		if err != nil {
			return nil, err
		}
		switch a.verb {
		case "config":
			err = x.config(a)
		case "advance":
			err = x.advance(a)
		case "stall":
			err = x.stall(a)
		case "restart":
			err = x.restart(a)
		case "unsynced":
			x.unsynced = true
		default:
			var e core.Event
			if e, err = x.event(a); err == nil {
				events = append(events, e)
			}
		}
		if err == nil {
			err = a.unused()
		}
		if err != nil {
			return nil, fmt.Errorf("run %q: %w", cmd, err)
		}
	}
	if len(events) > 0 {
		if err := x.step(events...); err != nil {
			return nil, err
		}
	}
	return x.lines, nil
}

// step applies events at the present time and tells the effects.
func (x *script) step(events ...core.Event) error {
	var out core.Effects
	x.s.Step(x.now, &out, events...)
	if x.cfg.Durable && !x.unsynced {
		x.ledger.commit(out.Records)
	}
	x.tell(&out)
	return x.s.Check()
}

// advance lets time pass from one alarm of the scheduler to the next.
func (x *script) advance(a *args) error {
	d, err := time.ParseDuration(a.word())
	if err != nil {
		return err
	}
	end := x.now.Add(d)
	for alarms := 0; ; alarms++ {
		if alarms > 10_000 {
			return fmt.Errorf("the scheduler wants to be woken at %v for ever", x.now.Sub(epoch))
		}
		x.now = max(x.now, min(x.s.Next(), end))
		told := len(x.lines)
		if err := x.step(); err != nil {
			return err
		}
		if len(x.lines) > told {
			x.lines = slices.Insert(x.lines, told, fmt.Sprintf("at %v", x.now.Sub(epoch)))
		}
		if x.now >= end && x.s.Next() > end {
			return nil
		}
	}
}

// stall lets time pass without a step, as when the controller's process is stopped.
func (x *script) stall(a *args) error {
	d, err := time.ParseDuration(a.word())
	x.now = x.now.Add(d)
	return err
}

// config starts anew, clock and all.
func (x *script) config(a *args) error {
	*x = *newScript()
	x.cfg = core.Config{
		Cause: cause, Death: death, Following: following, Run: x.created,
		Incarnation: 1, Seed: 1, Durable: a.flag("durable"),
		SessionTTL: a.duration("ttl"), DeliveryTimeout: a.duration("delivery"),
		TimeoutGrace: a.duration("timeout_grace"), CancelGrace: a.duration("cancel_grace"),
		Retention: a.duration("retention"), MaxRetained: a.int("retained"), MaxRetainedBytes: int64(a.int("retained_bytes")),
		MaxOpenTasks: a.int("tasks"), MaxQueuedBytes: int64(a.int("bytes")), MaxClasses: a.int("classes"),
		MaxGrantBytes: a.int("grant_bytes"), MaxJobs: a.int("jobs"), MaxSessions: a.int("sessions"), MaxFleetBytes: int64(a.int("fleet_bytes")), BlackHoleFailures: a.int("black_hole"), BlackHoleCap: a.duration("black_hole_cap"),
		WatchGrace: a.duration("grace"), MaxWatchers: a.int("watchers"), MaxSchedules: a.int("schedules"),
	}
	x.s = core.NewScheduler(x.cfg)
	return a.err
}

// restart has the scheduler die and another go on from what it has recorded; with the word power,
// without what was not durable yet, and with back=1h, by a clock that was set back.
func (x *script) restart(a *args) error {
	x.unsynced = false
	x.cfg.Incarnation++
	x.now = x.now.Add(-a.duration("back"))
	var err error
	x.s, err = x.ledger.restore(x.cfg, x.now, a.flag("power"), func(r *core.Restored) {
		r.ID, r.Shape, r.Submitted = x.ids[r.Num], x.shapes[x.ids[r.Num]], x.submitted[r.Num]
		r.NeedsTasks, r.Actor, r.ActorCall, r.Limits = x.needs[r.ID], x.actors[r.ID], x.mail[r.ID], x.limits[r.ID]
		r.Schedule, r.Unique, r.Gang = x.schedules[r.ID], x.uniques[r.ID], x.gangs[r.ID]
	})
	if err != nil {
		return err
	}
	x.now = x.s.Now()
	return x.s.Check()
}

// event builds the event that a command stands for.
func (x *script) event(a *args) (core.Event, error) {
	x.nextCall++
	call := x.nextCall
	x.calls[call] = a.verb
	switch a.verb {
	case "submit":
		return x.submit(call, a), a.err
	case "register":
		return x.register(call, a)
	case "poll":
		return x.poll(call, a)
	case "report":
		return x.report(call, a)
	case "beat":
		return x.beat(call, a)
	case "unregister":
		s, err := x.session(a.word())
		if err != nil {
			return nil, err
		}
		return &core.Unregister{Call: call, Session: s.token}, nil
	case "cancel":
		return &core.Cancel{
			Call: call, WithDependants: a.flag("all"), Job: a.opt("job"), Owner: a.opt("owner"), IDs: a.words(),
		}, nil
	case "drain":
		return &core.Drain{Call: call, WorkerID: a.word(), Grace: a.duration("grace")}, a.err
	case "get":
		return &core.Get{Call: call, ID: a.word(), Owner: a.opt("owner")}, nil
	case "await":
		id := a.word()
		x.park(call, "await "+id)
		return &core.Await{Call: call, ID: id, Until: x.until(a), Read: a.flag("read"), Owner: a.opt("owner")}, a.err
	case "await_any":
		e := &core.AwaitAny{Call: call, Until: x.until(a), Read: a.flag("read"), Owner: a.opt("owner"), IDs: a.words()}
		x.park(call, "await_any "+strings.Join(e.IDs, " "))
		return e, a.err
	case "watch":
		job, cursor := a.word(), a.word()
		n, err := strconv.ParseUint(cursor, 10, 64)
		x.park(call, "watch "+job+"@"+cursor)
		return &core.Watch{
			Call: call, Job: job, Cursor: n, Max: a.intOr("max", 100), Until: x.until(a),
			Watcher: a.opt("as"), Unconfirmed: uint64(a.int("unconfirmed")), Read: a.flag("read"), Owner: a.opt("owner"),
		}, err
	case "schedules":
		return &core.ListSchedules{Call: call, Name: a.opt("name"), By: a.opt("by"), Owner: a.opt("owner"), Max: a.intOr("max", 100)}, a.err
	case "actors":
		return &core.ListActors{Call: call, Name: a.opt("name"), By: a.opt("by"), Owner: a.opt("owner"), Max: a.intOr("max", 100)}, a.err
	case "job":
		e := &core.GetJob{Call: call, Job: a.word(), Owner: a.opt("owner")}
		if a.has("wait") {
			e.Until = x.until(a)
		}
		return e, a.err
	case "list":
		e := &core.List{Call: call, Job: a.opt("job"), Owner: a.opt("owner"), After: core.TaskNum(a.int("after")), Max: a.intOr("max", 100), Newest: a.flag("newest"), Function: a.opt("fn"), Worker: a.opt("worker")}
		for _, name := range a.list("status") {
			for _, s := range core.Statuses() {
				if s.String() == name {
					e.Statuses[s] = true
				}
			}
		}
		return e, a.err
	case "workers":
		return &core.ListWorkers{Call: call, After: a.opt("after"), Max: a.intOr("max", 100)}, a.err
	case "info":
		return &core.Info{Call: call}, nil
	case "forsake":
		return &core.Forsake{Call: x.parked[strings.Join(a.words(), " ")]}, nil
	}
	return nil, fmt.Errorf("unknown command %q", a.verb)
}

func (x *script) submit(call core.CallID, a *args) core.Event {
	sh := &core.Shape{
		Function: a.optOr("fn", "f"), Resources: a.resources("res"), Priority: int32(a.int("prio")),
		MaxRetries: uint32(a.int("retries")), MaxWorkerLosses: uint32(a.intOr("losses", core.DefaultMaxWorkerLosses)),
		BackoffBase: a.durationOr("backoff", core.DefaultBackoffBase), BackoffCap: a.durationOr("cap", core.DefaultBackoffCap),
		BackoffFactor: a.floatOr("factor", core.DefaultBackoffFactor), BackoffJitter: a.floatOr("jitter", 0),
		ExecutionTimeout: a.duration("exec"), SchedulingTimeout: a.duration("sched"),
	}
	for _, l := range a.list("label") {
		n, v, _ := strings.Cut(l, ":")
		sh.Labels = append(sh.Labels, core.Label{Name: n, Value: v})
	}
	e := &core.Submit{
		Call: call, Job: a.optOr("job", "j"), Watcher: a.opt("as"), By: a.opt("by"), Confirmed: uint64(a.int("confirmed")), Read: a.flag("read"),
	}
	e.Options = jobOptions(a)
	waits := a.has("wait")
	if waits {
		e.Until = x.until(a)
	}
	e.Owner = a.optOr("owner", e.By)
	if a.flag("any") {
		e.Owner = ""
	}
	spec := make([]byte, a.int("bytes"))
	needs := a.list("after")
	life, to, number := a.has("actor"), a.opt("to"), uint64(a.intOr("no", 1))
	actor := &core.NewActor{Name: a.opt("actor"), Concurrency: a.int("conc")}
	caller := a.optOr("from", "c")
	switch {
	case life:
		sh.Role, sh.MaxRetries = core.Life, sh.MaxWorkerLosses
	case to != "":
		sh.Role = core.ActorCall
	}
	var schedule *core.NewSchedule
	if times := a.opt("every"); times != "" {
		sh.Role = core.Schedule
		schedule = &core.NewSchedule{Name: a.optOr("name", "n"), Times: times, Overlaps: a.flag("overlaps")}
		switch a.opt("catchup") {
		case "all":
			schedule.CatchUp = core.CatchUpAll
		case "none":
			schedule.CatchUp = core.CatchUpNone
		}
	}
	var unique *core.Unique
	if key := a.opt("key"); key != "" {
		unique = &core.Unique{Key: key, Period: a.duration("period")}
	}
	limits := a.limits("limit")
	var gang *core.Gang
	if name := a.opt("gang"); name != "" {
		gang = &core.Gang{ID: name, Size: len(a.rest)}
		sh.Gang = gang.Size
	}
	for i, id := range a.words() {
		n := core.NewTask{Gang: gang, ID: id, Shape: sh, Spec: spec, NeedsTasks: needs, Limits: limits, Schedule: schedule, Unique: unique}
		switch sh.Role {
		case core.Life:
			n.Actor = actor
		case core.ActorCall:
			n.ActorCall = &core.NewCall{Actor: to, Caller: caller, Number: number + uint64(i)}
		}
		e.Tasks = append(e.Tasks, n)
		if x.shapes[id] == nil {
			x.actors[id], x.mail[id], x.limits[id], x.schedules[id] = n.Actor, n.ActorCall, limits, schedule
			x.uniques[id], x.gangs[id] = unique, gang
		}
		x.needs[id] = needs
		x.calls[call] += " " + id
		if x.shapes[id] == nil {
			x.shapes[id] = sh
		}
	}
	if waits {
		x.parked[x.calls[call]], x.alone = call, e.Tasks[0].ID
	}
	return e
}

func (x *script) register(call core.CallID, a *args) (core.Event, error) {
	id := a.word()
	w := x.workers[id]
	if w == nil {
		w = &scriptWorker{}
		x.workers[id] = w
	}
	registration := w.registrations
	switch {
	case a.flag("late"):
		registration--
	case !a.flag("again"):
		w.registrations++
		registration++
	}
	x.calls[call] = "register " + id
	e := &core.Register{
		Call: call, WorkerID: id, RegistrationID: fmt.Sprintf("r%d", registration), URL: a.opt("url"),
		Slots: a.intOr("slots", 1), Resources: a.resources("res"), Labels: make(map[string]string),
		Functions: strings.Split(a.optOr("fn", "f"), ","), Fresh: a.flag("fresh"), Process: a.opt("process"), Number: uint64(a.intOr("number", 0)),
	}
	for _, l := range a.list("label") {
		n, v, _ := strings.Cut(l, ":")
		e.Labels[n] = v
	}
	for _, held := range a.list("held") {
		name, phase, _ := strings.Cut(held, ":")
		phase, other, _ := strings.Cut(phase, ":")
		token, err := x.token(cmp.Or(other, name))
		if err != nil {
			return nil, err
		}
		id, attempt, _ := strings.Cut(name, "#")
		attempt, _, _ = strings.Cut(attempt, "@")
		n, err := strconv.ParseUint(attempt, 10, 32)
		h := core.Held{Task: id, Attempt: uint32(n), Token: token, Phase: heldPhases[phase]}
		if err != nil || h.Phase == 0 {
			return nil, fmt.Errorf("attempt %q is held as %q", name, phase)
		}
		e.Held = append(e.Held, h)
	}
	return e, nil
}

var heldPhases = map[string]core.HeldPhase{"queued": core.HeldQueued, "run": core.HeldRunning, "done": core.HeldFinished}

// poll asks as a worker does: under the next number, or under the last one while that has no
// answer. With the word lost, the answer never arrives.
func (x *script) poll(call core.CallID, a *args) (core.Event, error) {
	s, err := x.session(a.word())
	if err != nil {
		return nil, err
	}
	seq := max(s.pollSeq, 1)
	if s.pollSeq == s.received {
		seq = s.pollSeq + 1
	}
	free := a.int("free")
	lent, err := x.tokenList(a, "lent")
	if err != nil {
		return nil, err
	}
	e := &core.Poll{
		Call: call, Session: s.token, Seq: uint64(a.intOr("seq", int(seq))), Received: uint64(a.intOr("received", int(s.received))),
		Free: free, Max: a.intOr("max", free), Held: a.intOr("held", -1), Lent: lent, Until: x.until(a),
	}
	x.park(call, fmt.Sprintf("poll %s/%d", s.name, e.Seq))
	if len(a.told) > 0 {
		if e.Items, err = x.items(call, &args{rest: a.told}); err != nil {
			return nil, err
		}
	}
	s.pollSeq = max(s.pollSeq, e.Seq)
	s.inFlight[call] = e.Seq
	x.polls[call] = s
	x.lost[call] = a.flag("lost")
	return e, a.err
}

// report takes items with commas between them: report w1 a#1 ok ran=5ms , b#1 fail nonretryable.
func (x *script) report(call core.CallID, a *args) (core.Event, error) {
	s, err := x.session(a.word())
	if err != nil {
		return nil, err
	}
	e := &core.Report{Call: call, Session: s.token}
	x.calls[call] = "report " + s.name
	e.Items, err = x.items(call, a)
	return e, err
}

// items takes what report tells, and a poll after the word tells.
func (x *script) items(call core.CallID, a *args) ([]core.ReportItem, error) {
	told, err := a.split()
	if err != nil {
		return nil, err
	}
	var items []core.ReportItem
	outcomes := map[string]core.Outcome{
		"started": core.Started, "ok": core.Succeeded, "fail": core.FailedOutcome, "timeout": core.TimedOut,
		"stopped": core.Stopped, "returned": core.Returned, "undecodable": core.UndecodableOutcome, "ready": core.ReadyOutcome,
	}
	for _, i := range told {
		name, outcome := i.verb, i.word()
		id, attempt, _ := strings.Cut(name, "#")
		n, err := strconv.ParseUint(attempt, 10, 32)
		if err != nil || outcomes[outcome] == 0 {
			return nil, fmt.Errorf("report of %q as %q", name, outcome)
		}
		token, err := x.token(i.optOr("token", name))
		if err != nil {
			return nil, err
		}
		items = append(items, core.ReportItem{
			Task: id, Attempt: uint32(n), Token: token, Outcome: outcomes[outcome], Ran: i.durationOr("ran", 10*time.Millisecond),
			Checkpoint: []byte(i.opt("checkpoint")), Result: make([]byte, i.int("bytes")), NonRetryable: i.flag("nonretryable"), RetryAfter: i.duration("after"),
		})
		if last := &items[len(items)-1]; len(last.Checkpoint) == 0 {
			last.Checkpoint = nil
		}
		x.calls[call] += " " + name
		if err := i.unused(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (x *script) beat(call core.CallID, a *args) (core.Event, error) {
	s, err := x.session(a.word())
	if err != nil {
		return nil, err
	}
	e := &core.Heartbeat{
		Call: call, Session: s.token, Seq: uint64(a.intOr("seq", int(s.beatSeq+1))), Received: uint64(a.intOr("received", int(s.received))),
		Draining: a.flag("draining"), Until: x.until(a),
	}
	s.beatSeq = max(s.beatSeq, e.Seq)
	x.park(call, fmt.Sprintf("beat %s/%d", s.name, e.Seq))
	for _, held := range []struct {
		to   *[]core.Token
		name string
	}{{&e.Queued, "queued"}, {&e.Running, "run"}, {&e.Finished, "done"}} {
		if *held.to, err = x.tokenList(a, held.name); err != nil {
			return nil, err
		}
	}
	return e, a.err
}

func (x *script) park(call core.CallID, name string) {
	x.calls[call], x.parked[name] = name, call
}

func (x *script) until(a *args) core.Time { return x.now.Add(a.durationOr("wait", 5*time.Second)) }

// session finds a worker's newest session, or with w1/2 its second one.
func (x *script) session(name string) (*scriptSession, error) {
	id, number, exact := strings.Cut(name, "/")
	w := x.workers[id]
	if w == nil || len(w.sessions) == 0 {
		return nil, fmt.Errorf("worker %q has no session", id)
	}
	n := len(w.sessions)
	if exact {
		var err error
		if n, err = strconv.Atoi(number); err != nil || n < 1 || n > len(w.sessions) {
			return nil, fmt.Errorf("worker %q has no session %q", id, number)
		}
	}
	return w.sessions[n-1], nil
}

// token finds an attempt's, with a#1@2 the one that the second incarnation granted, or makes the
// one that ?n stands for, which nobody was given.
func (x *script) token(name string) (core.Token, error) {
	if n, found := strings.CutPrefix(name, "?"); found {
		v, err := strconv.ParseUint(n, 10, 64)
		x.names[core.Token(v)] = name
		return core.Token(v), err
	}
	t, ok := x.tokens[name]
	if !ok {
		return 0, fmt.Errorf("no attempt %q was granted", name)
	}
	return t, nil
}

func (x *script) tokenList(a *args, key string) ([]core.Token, error) {
	var ts []core.Token
	for _, name := range a.list(key) {
		t, err := x.token(name)
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	return ts, nil
}

func cause(_ core.FailureReason, text string) []byte { return []byte(text) }

func death(actor string, deleted bool, _ []byte) []byte {
	if deleted {
		return []byte(actor + " was deleted")
	}
	return []byte(actor + " failed")
}
