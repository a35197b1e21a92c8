package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// uniquesKept holds the controller to the keys that tasks name, by their owner and key. A task has its key while it
// is open and, if it completes, for its period from its submission, unless it is forgotten before. So
//
//   - no task is created while another has its key, and no two have it at once;
//   - whoever submits one and is told of another, is told of one of the key, which had it at some instant of the
//     call: it had not failed, been cancelled, or completed with its period over by then, and no other had the key all
//     through the call;
//   - a task is not granted all of whose submissions were answered with another;
//   - a task that was told of is known.
//
// When a task was created, and until when it had its key, is known from calls and their answers: it had the key for
// certain from the first event that shows it to the last that proves it. Periods, and ends by the controller's word,
// are compared only where the controller's clock is not set and its machine does not sleep; periods prove that a task
// had its key only where nothing is forgotten early. What was before the crash of a controller that keeps nothing is
// judged by itself. All but the last two claims are judged at the end. It is vacuous where no task names a key.
type uniquesKept struct {
	oracle

	cfg    *Config
	clock  historyClock
	some   bool // task names a key
	owners map[string]string
	tasks  tasks[uniqueTask]
	told   []toldOther
	// The last crash that lost everything, and the tasks that were offered before it: their submissions may arrive yet.
	crash  instant
	before map[string]bool
}

type uniqueName struct{ owner, key string }

// uniqueTask is what is known of a task with a key.
type uniqueTask struct {
	name   uniqueName
	period time.Duration
	offer  *Event // the first
	again  bool   // it was created twice, or offered with several keys, and is not judged
	// How many of its submissions may create it, or have, and the last that was answered with another.
	mayCreate int
	refused   *Event

	// It was created after what was known then, and before the event.
	after instant
	shown *Event
	// It had its key at that instant or later, by the event; and was open at openUntil or later, by the controller's
	// word.
	had       instant
	proof     *Event
	openUntil time.Duration
	ended     *Event // without a value
	completed *Event
	endBy     time.Duration // when it had ended at the latest, by the controller's word; 0: it is not known
	named     *Event        // the first answer that tells another of it
}

// toldOther is an answer by which a task is not created because there is another.
type toldOther struct {
	task  *uniqueTask
	reply *Event
}

// clockSlack is how far the controller's clock may be from the history's where it is not set.
const clockSlack = 50 * time.Millisecond

func newUniquesKept(cfg *Config) *uniquesKept {
	const claim = "At most one task has a key at a time; whoever submits another is told of it, " +
		"and may have the key once it has it no longer."
	return &uniquesKept{
		oracle: oracle{"uniques-kept", claim},
		cfg:    cfg, clock: historyClock{wall: cfg.Wall}, owners: make(map[string]string), tasks: newTasks[uniqueTask](cfg),
		before: make(map[string]bool),
	}
}

// Observe implements Oracle.
func (o *uniquesKept) Observe(e *Event, j *Judge) {
	o.clock.observe(e)
	if e.Kind == ControllerCrash && o.cfg.AllowLossAfterRestart {
		o.settle(j)
		o.crashed(e)
	}
	o.some = o.some || e.Kind == SubmitCall && e.Spec.Unique != nil
	if !o.some && e.Task != "" {
		return
	}
	t := o.tasks.get(e)
	switch {
	case t == nil:
	case e.Kind == SubmitCall:
		o.offered(t, e)
	case t.offer == nil:
	case e.Kind == SubmitReply:
		o.answered(t, e)
	case e.Kind == GrantReply:
		t.has(e)
		if j.Check(); t.mayCreate == 0 && !o.before[e.Task] && !o.cfg.Redelivery {
			text := fmt.Sprintf("is granted, and whoever submitted it was told that task %s has its key, %s",
				t.refused.There, t.name)
			j.Violated(e.Task, text, t.offer, t.refused, e)
		}
	case e.Kind == ReportReply && e.Answer == Accepted && needsCurrent(e.Outcome):
		t.has(e)
		if commits(e) && t.completed == nil {
			t.completed = e
		}
	case e.Kind == CancelReply && e.Answer == Stopping:
		t.has(e)
	case e.Kind == CancelReply && e.Answer == Cancelled && t.ended == nil:
		t.ended = e
	case e.Answer == NotFound:
		o.unknown(t, e, j)
	case e.Kind == ReadReply && e.View != nil:
		o.viewed(t, e)
	}
}

// crashed takes in that a controller has lost everything.
func (o *uniquesKept) crashed(e *Event) {
	o.crash = instant{e.Seq, e.At}
	for id, t := range o.tasks.all() {
		if t.offer != nil {
			o.before[id] = true
		}
	}
}

// offered takes in a submission of a task.
func (o *uniquesKept) offered(t *uniqueTask, e *Event) {
	u := e.Spec.Unique
	if u == nil {
		return
	}
	if o.cfg.NamesByHost && o.owners[e.Job] == "" {
		o.owners[e.Job] = e.Host
	}
	name := uniqueName{o.owners[e.Job], u.Key}
	if t.offer == nil {
		t.name, t.period, t.offer, t.after = name, u.Period, e, instant{e.Seq, e.At}
		if o.before[e.Task] {
			t.after = o.crash
		}
	}
	t.again = t.again || t.name != name || t.period != u.Period
	t.mayCreate++
}

// answered takes in the answer to one.
func (o *uniquesKept) answered(t *uniqueTask, e *Event) {
	if e.There != "" {
		t.mayCreate--
		t.refused = e
		o.told = append(o.told, toldOther{t, e})
		if other := o.tasks.peek(e.There); other != nil && other.offer != nil {
			if other.named == nil {
				other.named = e
			}
			other.has(e)
		}
		return
	}
	if !e.Answer.acknowledges() {
		return
	}
	if e.Answer == Created {
		if t.shown != nil && e.follows(t.shown.Seq) {
			t.again = true
		}
		if !o.cfg.ForgetsEarly {
			t.after = instant{e.Invoked, e.InvokedAt} // This call has created it, and none before.
		}
	}
	t.show(e)
}

func (t *uniqueTask) show(e *Event) {
	if t.shown == nil {
		t.shown = e
	}
}

// has takes note that a task had its key when a call was made, or later.
func (t *uniqueTask) has(e *Event) {
	t.show(e)
	if e.Invoked >= t.had.seq {
		t.had, t.proof = instant{e.Invoked, e.InvokedAt}, e
	}
}

// viewed takes in what a client was shown of a task.
func (o *uniquesKept) viewed(t *uniqueTask, e *Event) {
	if !e.View.Terminal() {
		t.has(e)
		return
	}
	t.show(e)
	if ended, known := o.byClock(e.Ended); known {
		t.openUntil, t.endBy = max(t.openUntil, ended-clockSlack), ended+clockSlack
	}
	switch {
	case e.View.Status != frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		t.ended = cmp.Or(t.ended, e)
	case t.completed == nil:
		t.completed = e
	}
}

// byClock returns the time of the history at which the controller's clock showed a time, if that is known.
func (o *uniquesKept) byClock(unixMilli int64) (time.Duration, bool) {
	at, known := o.clock.since(time.UnixMilli(unixMilli))
	return at, known && unixMilli != 0 && o.onTime()
}

// onTime says whether the controller's time is that of the history.
func (o *uniquesKept) onTime() bool { return o.cfg.Wall != nil && !o.cfg.Sleeps }

// unknown judges that a task is not known.
func (o *uniquesKept) unknown(t *uniqueTask, e *Event, j *Judge) {
	if t.named == nil || !e.follows(t.named.Seq) || o.cfg.mayForget(e.At-max(t.after.at, t.had.at-t.period)) {
		return
	}
	j.Check()
	text := fmt.Sprintf("is unknown, and whoever submitted task %s was told that it has the key, %s",
		t.named.Task, t.name)
	j.Violated(e.Task, text, t.named, e)
}

// Finish implements Oracle.
func (o *uniquesKept) Finish(_ time.Duration, j *Judge) { o.settle(j) }

// settle judges what is known of all keys, up to a crash or to the end.
func (o *uniquesKept) settle(j *Judge) {
	of := make(map[uniqueName][]*uniqueTask)
	for _, t := range o.tasks.all() {
		if t.offer != nil && t.shown != nil && !t.again {
			of[t.name] = append(of[t.name], t)
		}
	}
	for _, all := range of { // order-free: sorted below
		slices.SortFunc(all, func(a, b *uniqueTask) int { return cmp.Compare(a.shown.Seq, b.shown.Seq) })
	}
	for _, all := range o.sorted(of) {
		for i, t := range all {
			j.Check()
			o.alone(t, all[:i], j)
		}
	}
	for _, told := range o.told {
		if !told.task.again {
			j.Check()
			o.truly(told, of[told.task.name], j)
		}
	}
	o.told = nil
}

// sorted returns the tasks of each key, in an order that is the same each time.
func (o *uniquesKept) sorted(of map[uniqueName][]*uniqueTask) [][]*uniqueTask {
	groups := make([][]*uniqueTask, 0, len(of))
	for _, all := range of { // order-free: sorted below
		groups = append(groups, all)
	}
	slices.SortFunc(groups, func(a, b []*uniqueTask) int { return cmp.Compare(a[0].shown.Seq, b[0].shown.Seq) })
	return groups
}

// alone judges that no task that was shown before another had the key when that one was created, or later beside it.
func (o *uniquesKept) alone(t *uniqueTask, before []*uniqueTask, j *Judge) {
	at := instant{t.shown.Seq, t.shown.At}
	for _, other := range before {
		switch {
		case !o.holds(other, at):
		case other.shown.Seq <= t.after.seq:
			text := fmt.Sprintf("is created while task %s has its key, %s", other.offer.Task, t.name)
			j.Violated(t.offer.Task, text, other.shown, other.proof, other.completed, t.shown)
			return
		case o.holds(t, at):
			text := fmt.Sprintf("has the key %s, and task %s has it, too", t.name, other.offer.Task)
			j.Violated(t.offer.Task, text, other.shown, other.proof, other.completed, t.shown, t.proof)
			return
		}
	}
}

// holds says whether a task has its key for certain at an instant after it was shown.
func (o *uniquesKept) holds(t *uniqueTask, at instant) bool {
	if at.seq <= t.had.seq || at.at < t.openUntil {
		return true
	}
	return t.completed != nil && o.onTime() && !o.cfg.ForgetsEarly && at.at < t.after.at+t.period-clockSlack
}

// truly judges that whoever was told of another task was told of the one that had the key.
func (o *uniquesKept) truly(told toldOther, all []*uniqueTask, j *Judge) {
	t, e := told.task, told.reply
	other := o.tasks.peek(e.There)
	switch {
	case other != nil && other.again:
		return
	case other == nil || other.offer == nil || other.offer.Seq > e.Seq:
		if o.cfg.AllowLossAfterRestart {
			return // It may have been offered before.
		}
		j.Violated(e.Task, fmt.Sprintf("is refused for task %s, which nobody has submitted with a key", e.There), e)
		return
	case other.name != t.name:
		text := fmt.Sprintf("is refused for task %s, which has another key or owner: %s, not %s",
			e.There, other.name, t.name)
		j.Violated(e.Task, text, other.offer, t.offer, e)
		return
	}
	if ended := o.over(other, e); ended != nil {
		text := fmt.Sprintf("is refused for task %s, which has the key %s no longer", e.There, t.name)
		j.Violated(e.Task, text, other.offer, other.shown, ended, e)
		return
	}
	for _, x := range all {
		if x.shown.Seq > e.Invoked {
			return
		}
		if x != other && o.holds(x, instant{e.Seq, e.At}) {
			text := fmt.Sprintf("is refused for task %s, and task %s has the key, %s", e.There, x.offer.Task, t.name)
			j.Violated(e.Task, text, x.shown, x.proof, x.completed, e)
			return
		}
	}
}

// over returns what proves that a task had its key no longer when a call was made, or nil.
func (o *uniquesKept) over(t *uniqueTask, e *Event) *Event {
	past := func(end *Event) bool {
		return end != nil && (e.follows(end.Seq) || t.endBy > 0 && t.endBy < e.InvokedAt)
	}
	switch {
	case past(t.ended):
		return t.ended
	case past(t.completed) && o.onTime() && t.shown.At+t.period+clockSlack < e.InvokedAt:
		return t.completed
	default:
		return nil
	}
}

// String names the key.
func (n uniqueName) String() string {
	if n.owner == "" {
		return n.key
	}
	return n.key + " of " + n.owner
}
