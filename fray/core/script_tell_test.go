package core_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/frayrpc/fray/fray/core"
)

// tell adds a line for each effect, in the order in which they are to be carried out.
func (x *script) tell(out *core.Effects) {
	for _, r := range out.Replies {
		x.learn(r)
	}
	for _, r := range out.Records {
		if id := string(r.Data); r.Kind == core.RecordSpec && x.shapes[id] != nil { // A run.
			x.ids[r.Task], x.submitted[r.Task] = id, x.now
		}
		if r.Kind == core.RecordSpec && x.ids[r.Task] == "" { // Its submission is not answered yet.
			x.ids[r.Task], x.submitted[r.Task] = x.alone, x.now
		}
		x.tellRecord(r)
	}
	for _, r := range out.Replies {
		line := x.calls[r.Call] + ":"
		if x.lost[r.Call] {
			line = "(lost) " + line
		}
		if r.Err != nil {
			line += " error: " + r.Err.Error()
		} else {
			line += x.body(r.Body)
		}
		x.line("%s", line)
		delete(x.calls, r.Call)
	}
	for _, n := range out.Attempts {
		x.line("note %s %v %v", n.Function, n.End, n.Took)
	}
}

func (x *script) line(format string, a ...any) { x.lines = append(x.lines, fmt.Sprintf(format, a...)) }

// learn takes from a reply what later commands and lines refer to.
func (x *script) learn(r core.Reply) {
	switch b := r.Body.(type) {
	case core.SubmitReply:
		for i, id := range strings.Fields(x.calls[r.Call])[1:] {
			if b.Results[i].Verdict == core.SubmitCreated {
				x.ids[b.Results[i].Task], x.submitted[b.Results[i].Task] = id, x.now
			}
		}
	case core.RegisterReply:
		id := strings.Fields(x.calls[r.Call])[1]
		w := x.workers[id]
		if len(w.sessions) == 0 || w.sessions[len(w.sessions)-1].token != b.Session {
			w.sessions = append(w.sessions, &scriptSession{
				name: id, token: b.Session, inFlight: make(map[core.CallID]uint64),
			})
		}
		x.calls[r.Call] += fmt.Sprintf(": session %d", slices.IndexFunc(w.sessions, func(s *scriptSession) bool { return s.token == b.Session })+1)
	case core.PollReply:
		if s := x.polls[r.Call]; !x.lost[r.Call] {
			s.received = max(s.received, s.inFlight[r.Call])
		}
		for _, g := range b.Grants {
			name := fmt.Sprintf("%s#%d", g.ID, g.Attempt)
			x.tokens[name], x.names[g.Token] = g.Token, name
			x.tokens[fmt.Sprintf("%s@%d", name, x.cfg.Incarnation)] = g.Token
		}
	}
}

func (x *script) tellRecord(r core.Record) {
	switch id := x.ids[r.Task]; r.Kind {
	case core.RecordSpec:
		x.line("record spec of %s: %d bytes", id, len(r.Data))
	case core.RecordEnd:
		because := ""
		if r.View.Reason == core.SchedulingTimeout || r.View.Reason == core.ActorDead {
			because = ": " + string(r.Data)
		}
		x.line("record end of %s: %d bytes, %s%s", id, len(r.Data), viewLine(*r.View), because)
	case core.RecordForget:
		x.line("record forget %s", id)
	case core.RecordState:
		x.line("%srecord state of %s: %s", lazily(r), id, stateLine(r.State))
	case core.RecordCheckpoint:
		x.line("record checkpoint of %s: %s", id, r.Data)
	case core.RecordForgetCheckpoint:
		x.line("%srecord forget checkpoint of %s", lazily(r), id)
	case core.RecordJob:
		of := ""
		if r.Owner != "" {
			of = " of " + r.Owner
		}
		x.line("%srecord job %d%s: %s without its first %d%s", lazily(r), r.JobNum, of, r.Job, r.DoneBase,
			detailsLine(r.Details))
	case core.RecordForgetJob:
		x.line("%srecord forget job %d", lazily(r), r.JobNum)
	}
}

// detailsLine tells what a record has of a job besides.
func detailsLine(d *core.JobDetails) string {
	if d == nil {
		return ""
	}
	var b strings.Builder
	if o := d.Options; o != nil {
		for _, f := range []struct {
			is   bool
			text string
		}{
			{o.Parent != "", "parent=" + o.Parent},
			{d.Orphaned, "orphaned"},
			{len(o.Environment) > 0, "env=" + environmentLine(o.Environment)},
			{len(d.Inherited) > 0, "inherited=" + environmentLine(d.Inherited)},
			{o.FailsPast, fmt.Sprintf("max_failed=%d", o.MaxFailed)},
			{o.MaxFailedShare > 0, fmt.Sprintf("max_share=%v", o.MaxFailedShare)},
			{o.Weight > 0, fmt.Sprintf("weight=%d", o.Weight)},
			{d.Failed, "FAILED"},
		} {
			if f.is {
				b.WriteString(" " + f.text)
			}
		}
	}
	if d.FailedBase > 0 {
		fmt.Fprintf(&b, " forgotten_failed=%d", d.FailedBase)
	}
	return b.String()
}

func environmentLine(vs []core.Variable) string {
	texts := make([]string, len(vs))
	for i, v := range vs {
		texts[i] = v.Name + ":" + v.Value
	}
	return strings.Join(texts, ",")
}

func lazily(r core.Record) string {
	if r.Lazy {
		return "lazily "
	}
	return ""
}

func stateLine(s *core.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v attempts=%d", s.Status, s.Attempts)
	for _, f := range []struct {
		name string
		is   bool
	}{
		{"leased", s.Leased},
		{"ahead", s.Ahead},
		{"started", s.Started},
		{"cancelling", s.CancelRequested},
		{"reported", s.LastToken != 0},
		{"outlived", s.Outlived},
		{"with_dependants", s.CancelsDependants},
	} {
		if f.is {
			b.WriteString(" " + f.name)
		}
	}
	for _, f := range []struct {
		name string
		n    uint32
	}{{"failures", s.Failures}, {"losses", s.Losses}, {"in_company", s.InCompany}, {"deliveries", s.Deliveries}} {
		if f.n > 0 {
			fmt.Fprintf(&b, " %s=%d", f.name, f.n)
		}
	}
	if came := s.Schedule; came != nil {
		fmt.Fprintf(&b, " through=%v runs=%d missed=%d", came.Through.Sub(epoch), came.Runs, came.Missed)
	}
	if s.BackoffUntil > 0 {
		fmt.Fprintf(&b, " until=%v", s.BackoffUntil.Sub(epoch))
	}
	return b.String()
}

var submitVerdicts = []string{
	"", "CREATED", "EXISTING", "OTHER_JOB", "FULL", "TOO_MANY_CLASSES", "SHARE", "BEHIND", "NEEDED", "UNKNOWN_TASK", "UNKNOWN_OBJECT", "TASK_OF_OTHER",
	"NAMED", "TOO_MANY_LIMITS", "TOO_MANY_SCHEDULES", "LEAVING", "UNKNOWN_ACTOR", "ACTOR_OF_OTHER", "CALL_LATE",
	"GANG_REFUSED", "GANG_NAMED", "GANG_GONE", "JOB_FAILED",
}

func (x *script) body(body any) string {
	var b strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&b, " "+format, a...) }
	switch r := body.(type) {
	case core.Done:
		say("done")
	case core.SubmitReply:
		for _, t := range r.Results {
			say("%s", submitVerdicts[t.Verdict])
			if t.ID != "" {
				say("as %s", t.ID)
			}
		}
		if r.RetryAfter > 0 {
			say("retry after %v", r.RetryAfter)
		}
		if r.Cursor > 0 {
			say("watch from %d", r.Cursor)
		}
		if r.View.Status.Terminal() {
			say("%v", r.View.Status)
		}
		if r.End > 0 {
			say("ended before %d", r.End)
		}
	case core.RegisterReply:
		if say("registered"); len(r.Kept) > 0 {
			say("kept%s", x.tokensLine(r.Kept))
		}
	case core.PollReply:
		for _, g := range r.Grants {
			say("%s#%d", g.ID, g.Attempt)
			if g.Environment != nil {
				say("with %s", environmentLine(*g.Environment))
			}
		}
		if len(r.Grants) == 0 {
			say("nothing")
		}
		for _, v := range r.Verdicts {
			say("%v", v)
		}
	case core.ReportReply:
		for _, v := range r.Verdicts {
			say("%v", v)
		}
	case core.HeartbeatReply:
		if len(r.Stop) > 0 {
			say("stop%s", x.tokensLine(r.Stop))
		}
		if r.Drain {
			say("drain within %v", r.Grace)
		}
		if len(r.Stop) == 0 && !r.Drain {
			say("nothing")
		}
	case core.CancelReply:
		for _, v := range r.Verdicts {
			say("%v", v)
		}
		if r.JobTasks > 0 {
			say("%d of the job", r.JobTasks)
		}
	case core.TaskReply:
		say("%s", viewLine(r.View))
	case core.TasksReply:
		for _, v := range r.Tasks {
			say("%s=%v", v.ID, v.Status)
		}
		for _, id := range r.Unknown {
			say("%s=unknown", id)
		}
		for _, id := range r.Refused {
			say("%s=refused", id)
		}
	case core.WatchReply:
		for _, v := range r.Tasks {
			say("%s=%v", v.ID, v.Status)
		}
		say("next=%d missed=%d open=%d", r.Next, r.Missed, r.Open)
	case core.JobReply:
		if !r.Known {
			say("unknown")
			break
		}
		say("open=%d ended=%d next=%d watchers=%d", r.Open, r.Ended, r.Next, r.Watchers)
		if r.Owner != "" {
			say("owner=%s", r.Owner)
		}
		if r.FailedTasks > 0 {
			say("failed=%d/%d", r.FailedTasks, r.Submitted)
		}
		if r.Parent != "" {
			say("parent=%s", r.Parent)
		}
		if r.Children > 0 {
			say("children=%d", r.Children)
		}
		if r.Weight > 1 {
			say("weight=%d", r.Weight)
		}
		if r.Failed {
			say("FAILED")
		}
	case core.ActorsReply:
		for _, a := range r.Actors {
			say("%s", actorLine(a))
		}
		if len(r.Actors) == 0 {
			say("none")
		}
	case core.SchedulesReply:
		for _, s := range r.Schedules {
			say("%s", scheduleLine(s))
		}
		if len(r.Schedules) == 0 {
			say("none")
		}
	case core.ListReply:
		for _, v := range r.Tasks {
			say("%s=%v", v.ID, v.Status)
		}
		say("next=%s", cmp.Or(x.ids[r.Next], "none"))
	case core.WorkersReply:
		for _, w := range r.Workers {
			say("%s", workerLine(w))
		}
		say("(%d workers)", len(r.Workers))
		if r.More {
			say("and more")
		}
	case core.InfoReply:
		s := r.Stats
		for _, status := range core.Statuses() {
			if n := s.Tasks[status]; n > 0 {
				say("%v=%d", status, n)
			}
		}
		s.Tasks = [len(s.Tasks)]int{}
		say("oldest=%v %+v", r.OldestReadyAge, s)
	default:
		say("%#v", body)
	}
	return b.String()
}

func (x *script) tokensLine(ts []core.Token) string {
	var b strings.Builder
	for _, t := range ts {
		b.WriteString(" " + cmp.Or(x.names[t], "?"))
	}
	return b.String()
}

func workerLine(w core.WorkerView) string {
	line := fmt.Sprintf("%s slots=%d held=%d", w.ID, w.Slots, w.Held)
	for i, r := range w.InUse {
		line += fmt.Sprintf(" %s=%d/%d", r.Name, r.Amount, w.Resources[i].Amount)
	}
	if w.Draining {
		line += " draining"
	}
	if w.SetAside {
		line += " set_aside"
	}
	if w.BackedOff != 0 {
		line += fmt.Sprintf(" backed_off_until=%v", w.BackedOff.Sub(epoch))
	}
	return line
}

// viewLine tells what is worth telling of a task.
func viewLine(v core.View) string {
	line := v.Status.String()
	if v.Status == core.Pending {
		line += " " + v.Pending.String()
		if v.Detail != "" {
			line += fmt.Sprintf(" (%s)", v.Detail)
		}
	}
	if v.Status == core.Failed {
		line += " " + v.Reason.String()
	}
	if v.Cause != "" {
		line += " cause=" + v.Cause
	}
	for _, n := range []struct {
		name  string
		value uint32
	}{{"attempts", v.Attempts}, {"failures", v.Failures}, {"losses", v.Losses}, {"deliveries", v.Deliveries}} {
		if n.value > 0 {
			line += fmt.Sprintf(" %s=%d", n.name, n.value)
		}
	}
	if v.WorkerID != "" {
		line += " worker=" + v.WorkerID
	}
	if v.CancelRequested {
		line += " cancel_requested"
	}
	return line
}

func actorLine(a core.ActorView) string {
	line := fmt.Sprintf("%s=%v", a.ID, a.State)
	if a.Name != "" {
		line += " name=" + a.Name
	}
	if a.WorkerID != "" {
		line += " worker=" + a.WorkerID
	}
	return line + fmt.Sprintf(" restarts=%d/%d calls=%d handed=%d", a.Restarts, a.Allowed, a.Open, a.Handed)
}

func scheduleLine(s core.ScheduleView) string {
	return fmt.Sprintf("%s name=%s times=%s through=%v next=%v runs=%d missed=%d last=%s",
		s.ID, s.Name, s.Times, s.Through.Sub(epoch), s.Next.Sub(epoch), s.Runs, s.Missed, cmp.Or(s.LastID, "none"))
}
