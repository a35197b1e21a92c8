// Package stall has a scenario that breaks down, for a test of what simtest.Test says of it.
package stall

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/simtest"
)

const file = `apiVersion: fray.sim/v1
kind: Scenario
subject: counter
metadata: {name: breaks, summary: Its clients break down.}
run: {seeds: 4711, verify: 0%}
topology: {}
workload: {clients: {count: 1, additions: 2}}
`

func TestBreaksDown(t *testing.T) {
	subject := counter.Subject()
	begin := subject.Begin
	subject.Begin = func(r *engine.Run) (engine.System, error) {
		s, err := begin(r)
		return breaking{s}, err
	}
	simtest.Test(t, subject, fstest.MapFS{"breaks.yaml": {Data: []byte(file)}})
}

// breaking is a system whose clients break down.
type breaking struct{ engine.System }

func (breaking) Client(scenario.Host) engine.Work {
	return func(context.Context, engine.Machine) error {
		time.Sleep(5 * time.Minute)
		switch os.Getenv("STALL") {
		case "spin":
			spinForEver(new(atomic.Bool))
		case "panic":
			go panic("in the background")
			time.Sleep(time.Second)
		}
		return nil
	}
}

func spinForEver(stop *atomic.Bool) {
	for !stop.Load() {
	}
}
