package check

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// limitsKept holds the controller to the limits that tasks name, by their owner, name and key:
//
//   - with each grant, and with each attempt that a worker is told to keep in a new session, the attempts of a key that cannot be
//     over yet, as far as leaseBook can tell, are no more than the greatest max_concurrent that a task has named for it;
//   - of the grants of a key, no more fall between two instants that lie a time w apart than
//     max_starts + w / (period / max_starts): what a full bucket holds, and what flows in meanwhile. A grant falls between the later of
//     its poll and the first submission of its task, and its answer, and counts only if all of that lies between the two.
//
// Attempts of tasks that somebody asked to cancel are not counted: they may have ended at the controller
// without a word. Starts are not judged where the controller's clock may be set, where a key has been named with
// several numbers, and across a restart of a controller that keeps nothing. It is vacuous where no task names a limit.
type limitsKept struct {
	oracle

	cfg       *Config
	book      *leaseBook
	owners    map[string]string // by job
	offered   map[string]time.Duration
	cancelled map[string]bool // tasks and jobs
	keys      map[limitName]*limitUse
	byToken   map[uint64]*limitedLease // those of which somebody may still tell
}

type limitName struct{ owner, name, key string }

// limitUse is what is known of one key of a limit.
type limitUse struct {
	most    int // max_concurrent, the greatest; 0: none yet
	rate    LimitSpec
	several bool // it was named with different numbers
	open    []*limitedLease
	starts  []grantSpan // the last ones
}

// limitedLease is an attempt of a task with limits.
type limitedLease struct {
	grant *Event
	lease *lease
	// kept is when it was told to go on in a new session; nil: it was not.
	kept    *Event
	session *workerSession
	over    bool
}

// grantSpan is when a grant was made: after one instant and before another.
type grantSpan struct {
	from, to time.Duration
	grant    *Event
}

// keptStarts is how many starts of a key are looked at beyond twice what its bucket holds.
const keptStarts = 64

func newLimitsKept(cfg *Config, book *leaseBook) *limitsKept {
	return &limitsKept{
		oracle: oracle{"limits-kept", "No more attempts of a limit run at once, or start in a time, than it allows."},
		cfg:    cfg, book: book, owners: make(map[string]string), offered: make(map[string]time.Duration), cancelled: make(map[string]bool),
		keys: make(map[limitName]*limitUse), byToken: make(map[uint64]*limitedLease),
	}
}

// Observe implements Oracle.
func (o *limitsKept) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case SubmitCall:
		o.submitted(e)
	case CancelCall:
		if e.Task != "" {
			o.cancelled[e.Task] = true
		} else {
			o.cancelled["job "+e.Job] = true
		}
	case ControllerCrash:
		if o.cfg.AllowLossAfterRestart {
			for _, u := range o.keys { // order-free: each is cleared
				u.starts = nil
			}
		}
	case ReportCall:
		if l := o.byToken[e.Token]; l != nil && endsAttempt(e.Outcome) {
			l.over = true
			delete(o.byToken, e.Token)
		}
	case ReadReply:
		if e.View != nil && e.View.Terminal() {
			o.ended(e.Task)
		}
	case GrantReply:
		if len(e.Spec.Limits) > 0 {
			o.granted(e, j)
		}
	case RegisterReply:
		o.registered(e, j)
	default:
	}
}

func (o *limitsKept) submitted(e *Event) {
	if len(e.Spec.Limits) == 0 {
		return
	}
	if _, again := o.offered[e.Task]; !again {
		o.offered[e.Task] = e.At
	}
	if o.cfg.NamesByHost && o.owners[e.Job] == "" {
		o.owners[e.Job] = e.Host
	}
	for _, l := range e.Spec.Limits {
		u := o.use(e.Job, l)
		most := l.Concurrent
		if most == 0 {
			most = math.MaxInt
		}
		u.most = max(u.most, most)
		if u.rate != (LimitSpec{}) && u.rate != l {
			u.several = true
		}
		u.rate = l
	}
}

func (o *limitsKept) use(job string, l LimitSpec) *limitUse {
	k := limitName{o.owners[job], l.Name, l.Key}
	u := o.keys[k]
	if u == nil {
		u = &limitUse{}
		o.keys[k] = u
	}
	return u
}

// ended forgets the attempts of a task that has ended, which give their places back then.
func (o *limitsKept) ended(task string) {
	for token, l := range o.byToken { // order-free: each is looked at by itself
		if l.grant.Task == task {
			l.over = true
			delete(o.byToken, token)
		}
	}
}

func (o *limitsKept) granted(e *Event, j *Judge) {
	l := o.book.last[e.Task]
	if l == nil || l.grant != e {
		return // It is told again.
	}
	x := &limitedLease{grant: e, lease: l}
	o.byToken[e.Token] = x
	for _, limit := range e.Spec.Limits {
		u := o.use(e.Job, limit)
		u.open = append(u.open, x)
		o.compare(u, limit, e, j)
		o.started(u, limit, e, j)
	}
}

// registered goes on with the attempts that a worker is told to keep.
func (o *limitsKept) registered(e *Event, j *Judge) {
	for _, token := range e.Kept {
		l := o.byToken[token]
		if l == nil {
			continue
		}
		l.kept, l.session = e, o.book.sessions[e.Session]
		for _, limit := range l.grant.Spec.Limits {
			o.compare(o.use(l.grant.Job, limit), limit, e, j)
		}
	}
}

// compare checks how many of a key there are at once.
func (o *limitsKept) compare(u *limitUse, limit LimitSpec, e *Event, j *Judge) {
	left := u.open[:0]
	var proof []*Event
	for _, l := range u.open {
		if l.over || o.cancelled[l.grant.Task] || o.cancelled["job "+l.grant.Job] || o.cfg.jobs.mayEnd(l.grant.Job) || o.superseded(l) {
			continue
		}
		left = append(left, l)
		if !o.isOver(l, e) {
			proof = append(proof, l.grant, l.kept)
		}
	}
	clear(u.open[len(left):])
	u.open = left
	if u.most == math.MaxInt || u.most == 0 {
		return
	}
	j.Check()
	if n := len(proof) / 2; n > u.most {
		j.Violated(e.Task, fmt.Sprintf("makes %d attempts at once of limit %s, which allows %d", n, limit, u.most), append(proof, e)...)
	}
}

// superseded says whether a later attempt of the task was granted.
func (o *limitsKept) superseded(l *limitedLease) bool {
	last := o.book.last[l.grant.Task]
	return last == nil || last.grant.Token != l.grant.Token
}

// isOver says whether the controller may have taken an attempt for over by an event. One that was kept is judged by the
// session that it goes on in.
func (o *limitsKept) isOver(l *limitedLease, e *Event) bool {
	if l.kept == nil {
		return o.book.over(l.lease, e.Seq, e.At)
	}
	s := l.session
	if s == nil || s.silent(e.At) || s.closed != nil && s.closed.Seq < e.Seq || o.book.crash > l.kept.Invoked {
		return true
	}
	timeout := l.grant.Spec.ExecutionTimeout
	return timeout > 0 && e.At-l.grant.InvokedAt >= timeout
}

// started checks how many of a key have started in a time.
func (o *limitsKept) started(u *limitUse, limit LimitSpec, e *Event, j *Judge) {
	if limit.Starts == 0 || u.several || o.cfg.Wall == nil {
		u.starts = nil
		return
	}
	u.starts = append(u.starts, grantSpan{max(e.InvokedAt, o.offered[e.Task]), e.At, e})
	if kept := 2*limit.Starts + keptStarts; len(u.starts) > 2*kept {
		u.starts = slices.Delete(u.starts, 0, len(u.starts)-kept)
	}
	j.Check()
	each := limit.Period / time.Duration(limit.Starts)
	from := e.At
	for i, n := len(u.starts)-1, 1; i >= 0; i, n = i-1, n+1 {
		from = min(from, u.starts[i].from)
		if most := limit.Starts + int((e.At-from)/each); n > most {
			j.Violated(e.Task, fmt.Sprintf("is start %d of limit %s within %v, in which there are %d at most", n, limit, e.At-from, most), u.starts[i].grant, e)
			return
		}
	}
}
