package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// conditions are the expectations of a run that are expressions.
type conditions struct {
	eventually, sometimes, finally []*expectation
	// The first expectation that did not come true in time; what could not be evaluated.
	late    *expectation
	evalErr error
	// The time of the run is over, and clients have not begun all that they are to do.
	unfinished bool

	// The facts that were judged last, and when.
	judged uint64
	// When the clients had submitted everything; 0: not yet.
	submitted time.Duration
}

type expectation struct {
	*scenario.Condition

	that, because string
	within        time.Duration // if it is to come true eventually
	met           bool
	// When it was, counted from the heal or the last submission, and from the start of the run.
	took, at time.Duration
}

func newConditions(of *scenario.Subject, x *scenario.Expect) (c conditions, err error) {
	add := func(list *[]*expectation, that, because string, within scenario.Duration) {
		compiled, compileErr := of.Compile(that)
		err = cmp.Or(err, compileErr)
		*list = append(*list, &expectation{Condition: compiled, that: that, because: because, within: time.Duration(within)})
	}
	eventually := x.Eventually
	if len(eventually) == 0 && of.Eventually.That != "" {
		eventually = []scenario.Eventually{of.Eventually}
	}
	for _, v := range eventually {
		add(&c.eventually, v.That, v.Because, v.Within)
	}
	for _, v := range x.Sometimes {
		add(&c.sometimes, v.That, v.Because, 0)
	}
	for _, v := range x.Finally {
		add(&c.finally, v.That, v.Because, 0)
	}
	return c, err
}

// judgeConditions looks at the facts and says whether the run is over: everything that is expected
// eventually is true, something is late, or an expression failed.
func (e *Run) judgeConditions() bool {
	now := e.backend.Elapsed()
	changed := e.system.Changes() + e.changes + e.worked.Load()
	counts := e.healed && e.submitted > 0
	if changed == e.judged && (!counts || !e.overdue(now)) && now < e.maxTime() {
		return false
	}
	e.judged = changed
	if e.submitted == 0 && e.system.Begun() {
		e.submitted = max(now, 1)
	}
	counts = e.healed && e.submitted > 0
	if !counts && !e.hoping() && now < e.maxTime() {
		return false // No expression is to be judged yet.
	}
	facts := e.system.Facts(now)
	e.common.Times.Now = now
	for _, s := range e.sometimes {
		if !s.met {
			s.met = e.holds(s, facts)
		}
	}
	if counts {
		open := 0
		for _, v := range e.eventually {
			if !v.met && e.holds(v, facts) {
				v.met, v.took, v.at = true, now-max(e.submitted, e.common.Times.Healed), now
			}
			switch {
			case v.met:
			case now > max(e.submitted, e.common.Times.Healed)+v.within:
				e.late = v
			default:
				open++
			}
		}
		if e.late != nil || open == 0 {
			return true
		}
	}
	if now >= e.maxTime() {
		for _, v := range e.eventually {
			if !v.met {
				e.late = v
			}
		}
		e.unfinished = e.submitted == 0
		return true
	}
	return e.evalErr != nil
}

// hoping says whether something that must happen sometimes has not happened yet.
func (e *Run) hoping() bool {
	return slices.ContainsFunc(e.sometimes, func(s *expectation) bool { return !s.met })
}

// maxTime returns how much time the run may take.
func (e *Run) maxTime() time.Duration {
	most := time.Duration(e.Run.MaxVirtualTime)
	if e.options.MaxTime > 0 {
		most = min(most, e.options.MaxTime)
	}
	return most
}

// overdue says whether something that is expected should have come true.
func (e *Run) overdue(now time.Duration) bool {
	healed := e.HealAt()
	return slices.ContainsFunc(e.eventually, func(v *expectation) bool {
		return !v.met && now > max(e.submitted, healed)+v.within
	})
}

// holds evaluates an expectation, and keeps the first error.
func (e *Run) holds(c *expectation, facts any) bool {
	held, err := c.Holds(facts, &e.common)
	if err != nil && e.evalErr == nil {
		e.evalErr = err
	}
	return held
}
