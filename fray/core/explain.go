package core

import (
	"fmt"
	"slices"
	"strings"
)

// maxExplained bounds the classes that one step finds out about. Of others it says nothing, until a
// client asks again.
const maxExplained = 16

// explain says what the tasks of a class wait for that no worker can run. It costs a look at every
// session, once for each class as long as no worker comes or goes.
func (c *Scheduler) explain(cl *class) string {
	if cl.lacksAt == c.fleet && cl.lacks != "" {
		return cl.lacks
	}
	if c.explained >= maxExplained {
		return ""
	}
	c.explained++
	c.looks += uint64(len(c.sessions))
	cl.lacks, cl.lacksAt = c.missing(cl), c.fleet
	return cl.lacks
}

// missing compares what a class asks for with what all workers have: first the function, then
// labels and resources among those that have it, and last whether they have it all at once.
func (c *Scheduler) missing(cl *class) string {
	var able, leaving int // workers that have the function, and those of them that take no new work
	labels := make([]bool, len(cl.labels))
	most := make([]int64, len(cl.resources))
	for i := range most {
		most[i] = -1
	}
	for _, s := range c.sessions { // order-free: counts, facts and maxima
		switch {
		case !s.functions[cl.function]:
			continue
		case s.drain != nil:
			leaving++
			continue
		}
		able++
		for i, l := range cl.labels {
			v, ok := s.labels[l.Name]
			labels[i] = labels[i] || ok && v == l.Value
		}
		for i, r := range cl.resources {
			if at := s.resource(r.Name); at >= 0 {
				most[i] = max(most[i], s.resources[at].Amount)
			}
		}
	}
	switch {
	case len(c.sessions) == 0:
		return "there is no worker"
	case able+leaving == 0:
		return fmt.Sprintf("no worker has registered the function %q", cl.function)
	case able == 0:
		return fmt.Sprintf("every worker with the function %q is leaving", cl.function)
	}
	var lacks []string
	for i, l := range cl.labels {
		if !labels[i] {
			lacks = append(lacks, fmt.Sprintf("the label %s=%s", l.Name, l.Value))
		}
	}
	for i, r := range cl.resources {
		switch {
		case most[i] < 0:
			lacks = append(lacks, fmt.Sprintf("any %s, of which it takes %d", r.Name, r.Amount))
		case most[i] < r.Amount:
			lacks = append(lacks, fmt.Sprintf("%d %s, the most is %d", r.Amount, r.Name, most[i]))
		}
	}
	if len(lacks) > 0 {
		return fmt.Sprintf("no worker with the function %q has %s", cl.function, strings.Join(lacks, "; nor "))
	}
	return fmt.Sprintf("no worker with the function %q has all at once: %s", cl.function, strings.Join(cl.wants(), ", "))
}

// wants lists the labels and resources of a class.
func (cl *class) wants() []string {
	var wants []string
	for _, l := range cl.labels {
		wants = append(wants, l.Name+"="+l.Value)
	}
	for _, r := range cl.resources {
		wants = append(wants, fmt.Sprintf("%d %s", r.Amount, r.Name))
	}
	return slices.Clip(wants)
}

// neverStarted fails a task that nobody started in time, and says why nobody did.
func (c *Scheduler) neverStarted(t *task) {
	var result []byte
	if c.cfg.Cause != nil {
		cl := t.shape.class
		text := fmt.Sprintf("workers that can run it: %d; none had room for it in time", cl.group.workers)
		if cl.group.workers == 0 {
			text = c.explain(cl)
		}
		switch {
		case t.shape.Role == ActorCall:
			text = c.explainMailed(t)
		case t.shape.Gang > 0:
			_, text = c.explainGang(t)
		}
		result = c.cfg.Cause(SchedulingTimeout, text)
	}
	c.finish(t, Failed, SchedulingTimeout, result)
}

// explainAlone says why a task waits for a worker that has nothing else to do.
func (t *task) explainAlone() string {
	return fmt.Sprintf("it waits for a worker of its own, as %d of the %d workers that it lost ran others beside it", t.run.inCompany, t.run.losses)
}
