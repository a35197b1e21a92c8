package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// A diary is what servers that take a time to leave did, and when.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(h *sim.Host, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := h.Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Truncate(time.Millisecond)
	d.lines = append(d.lines, fmt.Sprintf("%v %s %s", at, h.Name(), what))
}

// leaver is a server that takes so long to leave.
func (d *diary) leaver(takes time.Duration) sim.Software {
	return func(ctx context.Context, h *sim.Host) error {
		if h.Incarnation() > 1 {
			d.write(h, "starts")
		}
		<-ctx.Done()
		if !h.Alive() {
			return nil
		}
		d.write(h, "told")
		time.Sleep(takes)
		h.Fence()
		d.write(h, "ends")
		return nil
	}
}

// Hosts that are told to leave end, or are killed, and come back.
func TestLeave(t *testing.T) {
	for name, c := range map[string]struct {
		file  string
		takes time.Duration
		diary []string
		facts string
	}{
		"in time": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1, grace: 5s, down: 2s}}}]", time.Second,
			[]string{"1s server-1 told", "2s server-1 ends", "4s server-1 starts"},
			"hosts.stopped == 1 && hosts.crashed == 0",
		},
		"too late": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1, grace: 3s, down: 2s}}}]", 9 * time.Second,
			[]string{"1s server-1 told", "6s server-1 starts"},
			"hosts.stopped == 0 && hosts.crashed == 1",
		},
		"without time": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1, grace: 0s, down: 2s}}}]", 9 * time.Second,
			[]string{"3s server-1 starts"},
			"hosts.stopped == 0 && hosts.crashed == 1",
		},
		"told twice": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1, grace: 30s, down: 2s}}}," +
				" {id: b, when: {at: 2s}, action: {stop: {target: server-1, grace: 3s, down: 7s}}}]\nheal: {at: 20s}", 9 * time.Second,
			[]string{"1s server-1 told", "7s server-1 starts"},
			"hosts.stopped == 0 && hosts.crashed == 1",
		},
		"dead while it leaves": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1, grace: 30s, down: 2s}}}," +
				" {id: b, when: {at: 3s}, action: {crash: {target: server-1}}}]\nheal: {at: 20s}", 9 * time.Second,
			[]string{"1s server-1 told", "5s server-1 starts"},
			"hosts.stopped == 0 && hosts.crashed == 1",
		},
		"until heal": {
			"faults: [{id: a, when: {at: 1s}, action: {stop: {target: server-1}}}]\nheal: {at: 8s}", time.Second,
			[]string{"1s server-1 told", "2s server-1 ends", "8s server-1 starts"},
			"hosts.stopped == 1 && hosts.crashed == 0",
		},
		"on its way out at heal": {
			"faults: [{id: a, when: {at: 3s}, action: {stop: {target: server-1}}}]\nheal: {at: 8s}", 9 * time.Second,
			[]string{"3s server-1 told", "12s server-1 ends", "12s server-1 starts"},
			"hosts.stopped == 1 && hosts.crashed == 0",
		},
		"in turn": {
			"targets: [{name: next, again: true, inTurn: true}]\n" +
				"faults: [{id: a, when: {at: 1s, every: 3s, window: {until: 10s}}, action: {stop: {target: next, grace: 5s, down: 1s}}}]", time.Second,
			[]string{
				"1s server-1 told", "2s server-1 ends", "3s server-1 starts", "4s server-2 told", "5s server-2 ends", "6s server-2 starts",
				"7s server-1 told", "8s server-1 ends", "9s server-1 starts",
			},
			"hosts.stopped == 3 && hosts.crashed == 0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			file := c.file + "\nexpect: {finally: [{that: " + c.facts + "}]}\n"
			r := run(t, file, d.leaver(c.takes), func(context.Context, *small, *facts, engine.Machine) error {
				time.Sleep(15 * time.Second)
				return nil
			})
			want(t, r, scenario.VerdictPass, "")
			within := slices.DeleteFunc(d.lines, func(line string) bool { // What the end of the run does is no matter.
				at, _, _ := strings.Cut(line, " ")
				elapsed, err := time.ParseDuration(at)
				return err != nil || elapsed >= 15*time.Second
			})
			if !slices.Equal(within, c.diary) {
				t.Errorf("the hosts did\n%s\nwant\n%s", strings.Join(within, "\n"), strings.Join(c.diary, "\n"))
			}
		})
	}
}

// Nobody drains hosts of a subject that has no such thing.
func TestNobodyDrains(t *testing.T) {
	t.Parallel()
	format := &scenario.Subject{
		Name: "small", Sections: func() scenario.Sections { return new(sections) }, Roles: []string{"server", scenario.RoleClient},
	}
	_, err := scenario.Subjects{format}.Parse("small.yaml", []byte(`
apiVersion: fray.sim/v1
kind: Scenario
subject: small
metadata: {name: small, summary: Next to nothing.}
topology: {}
workload: {}
faults: [{id: a, when: {at: 1s}, action: {drain: {target: server-1}}}]
heal: {at: 2s}
`))
	if err == nil || !strings.Contains(err.Error(), "nobody drains hosts of small") || !strings.Contains(err.Error(), "write a stop") {
		t.Errorf("the reader says %v", err)
	}
}
