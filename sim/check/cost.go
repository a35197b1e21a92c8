package check

import (
	"fmt"
	"time"
)

// costKept holds the controller to costs that do not grow with what it holds, at quiescence: what
// its scheduler looked at to find what to do (fray_scheduler_looks_total) is in proportion to what
// it did (fray_scheduler_work_total). It says most where a scenario has many jobs, workers or
// functions. What Oracles.Metrics was not given is not compared. It is vacuous where the metrics
// are not given, or little was done.
type costKept struct {
	oracle

	scraped map[string]float64
}

func newCostKept() *costKept {
	return &costKept{oracle: oracle{"cost-kept", "What the controller looks at is in proportion to what it does, whatever it holds."}}
}

// What a controller may look at: some to begin with, and some for each event, record and reply.
const (
	looksAtLeast = 5000
	looksEach    = 16
)

// Finish implements Oracle.
func (o *costKept) Finish(_ time.Duration, j *Judge) {
	looks, ok := o.scraped["fray_scheduler_looks_total"]
	if !ok {
		return
	}
	j.Check()
	work := o.scraped["fray_scheduler_work_total"]
	if most := looksAtLeast + looksEach*work; looks > most {
		j.Violated("", fmt.Sprintf("the controller looked at %v things for %v events, records and replies, and may at %v", looks, work, most))
	}
}
