package engine

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/sim/scenario"
)

// conditions are the expectations of a run that are expressions.
type conditions struct {
	eventually []*eventual
	sometimes  []*occasional
	finally    []*scenario.Condition
	// The first expectation that did not come true in time; what could not be evaluated.
	late    *eventual
	evalErr error

	// The facts that were judged last, and when.
	judged uint64
	// When the clients had submitted everything; 0: not yet.
	submitted time.Duration
}

type eventual struct {
	*scenario.Eventually

	condition *scenario.Condition
	within    time.Duration
	met       bool
	// When it was, counted from the heal or the last submission.
	took time.Duration
}

type occasional struct {
	*scenario.Expression

	condition *scenario.Condition
	met       bool
}

// byDefault is what is expected where a scenario says nothing.
var byDefault = scenario.Eventually{That: "tasks.open == 0 && tasks.unsent == 0", Within: scenario.Duration(time.Minute), Because: "every task must end"}

func newConditions(x *scenario.Expect) (conditions, error) {
	var c conditions
	list := []*scenario.Eventually{&byDefault}
	if len(x.Eventually) > 0 {
		list = list[:0]
		for i := range x.Eventually {
			list = append(list, &x.Eventually[i])
		}
	}
	for _, v := range list {
		compiled, err := scenario.Compile(v.That)
		if err != nil {
			return c, err
		}
		c.eventually = append(c.eventually, &eventual{Eventually: v, condition: compiled, within: time.Duration(v.Within)})
	}
	for i := range x.Sometimes {
		compiled, err := scenario.Compile(x.Sometimes[i].That)
		if err != nil {
			return c, err
		}
		c.sometimes = append(c.sometimes, &occasional{Expression: &x.Sometimes[i], condition: compiled})
	}
	for _, v := range x.Finally {
		compiled, err := scenario.Compile(v.That)
		if err != nil {
			return c, err
		}
		c.finally = append(c.finally, compiled)
	}
	return c, nil
}

// judgeConditions looks at the facts and says whether the run is over: everything that is expected
// eventually is true, something is late, or an expression failed.
func (e *Run) judgeConditions() bool {
	now := e.backend.Elapsed()
	changed := e.tally.changed()
	counts := e.healed && e.submitted > 0
	if changed == e.judged && (!counts || !e.overdue(now)) && now < e.maxTime() {
		return false
	}
	e.judged = changed
	if e.submitted == 0 && e.tally.unsent() == 0 {
		e.submitted = now
	}
	counts = e.healed && e.submitted > 0
	if !counts && !e.hoping() && now < e.maxTime() {
		return false // No expression is to be judged yet.
	}
	facts := e.tally.snapshot()
	for _, s := range e.sometimes {
		if !s.met {
			s.met = e.holds(s.condition, &facts)
		}
	}
	if counts {
		open := 0
		for _, v := range e.eventually {
			if !v.met && e.holds(v.condition, &facts) {
				v.met, v.took = true, now-max(e.submitted, facts.Times.Healed)
			}
			switch {
			case v.met:
			case now > max(e.submitted, facts.Times.Healed)+v.within:
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
		return true
	}
	return e.evalErr != nil
}

// hoping says whether something that must happen sometimes has not happened yet.
func (e *Run) hoping() bool {
	return slices.ContainsFunc(e.sometimes, func(s *occasional) bool { return !s.met })
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
	for _, v := range e.eventually {
		if !v.met && now > max(e.submitted, healed)+v.within {
			return true
		}
	}
	return false
}

// holds evaluates a condition, and keeps the first error.
func (e *Run) holds(c *scenario.Condition, facts *scenario.Facts) bool {
	held, err := c.Holds(facts)
	if err != nil && e.evalErr == nil {
		e.evalErr = err
	}
	return held
}
